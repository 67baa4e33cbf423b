"""The same faces over time: which face of a frame is which person's, and scores smoothed over seconds.

Faces are matched greedily to where each person should be by now (constant velocity), by the overlap of boxes, as in
SORT (Bewley et al., ICIP 2016, https://arxiv.org/abs/1602.00763), with an exponential mean of the velocity in place of
its filter; then the others to who is out of sight and may have come there. All functions are pure: a new state comes
from an old one.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from mien.detection.boxes import iou
from mien.results import Box, Face, Scores

VELOCITY_HALF_LIFE_S = 0.1
"""Seconds after which a measured velocity counts half; detectors' boxes jitter by pixels. This, `REACH` and `memory_s`
were chosen on portraits that cross, hide each other and sway."""
REACH, LIKE_SIZE = (1.0, 0.5), 0.6
"""Who was out of sight may be so many sizes of the face beside the way to where the person should be, at once and more
for each second, if the smaller of both faces is so large against the other."""
SHARE = 4
"""A face is somebody at the latest when it was found in one of so many looks at a video (chosen)."""


@dataclass(frozen=True)
class TrackingOptions:
    """How persons are told apart and scores are smoothed."""

    memory_s: float = 3.0
    """Seconds a person may be out of sight and keep the number."""
    overlap: float = 0.2
    """Smallest intersection over union of a face with where the person should be."""
    half_life_s: float = 0.3
    """Seconds after which a score counts half; 0 for no smoothing."""
    confirmed_s: float = 0.2
    """Seconds for which a face must be found in every frame that is looked at, before it is somebody; detectors have
    short false hits. 0: at once."""
    confirmed_looks: int = 3
    """In so many looks at least (chosen), unless `confirmed_s` is 0."""

    def __post_init__(self) -> None:
        for name in ("memory_s", "half_life_s", "confirmed_s"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} must not be negative, not {getattr(self, name)}")
        if not 0 < self.overlap < 1:
            raise ValueError(f"overlap must lie between 0 and 1, not {self.overlap}")
        if self.confirmed_looks < 1:
            raise ValueError(f"confirmed_looks must be at least 1, not {self.confirmed_looks}")

    def within(self, seconds: float, period_s: float) -> "TrackingOptions":
        """The options for a video of so many seconds with a look every `period_s`: faces are confirmed in a quarter of
        it at the latest, at once where it has less than eight looks."""
        looks = min(self.confirmed_looks, max(1, math.ceil(seconds / period_s - 1e-6) // SHARE))
        return replace(self, confirmed_looks=looks, confirmed_s=min(self.confirmed_s, seconds / SHARE * (looks > 1)))


@dataclass(frozen=True)
class TrackedFace:
    """A face of one frame and whose it is: immutable, hashable, ready for pickle, copy and `asdict`."""

    person: int
    """Number of the person, counted from 1 in the order of appearance."""
    face: Face
    """The face with its raw scores: as recognised in this frame, or in the one looked at last, moved on."""
    looked: bool
    """Whether faces were looked for in this frame."""
    scores: Mapping[str, float]
    """Smoothed scores; they sum to 1."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "scores", Scores(self.scores))

    @property
    def box_xyxy(self) -> Box:
        """The box of the face."""
        return self.face.box_xyxy

    @property
    def expression(self) -> str:
        """The expression with the highest smoothed score."""
        return max(self.scores, key=lambda name: self.scores[name])

    @property
    def confidence(self) -> float:
        """The highest smoothed score."""
        return max(self.scores.values())


@dataclass(frozen=True)
class Person:
    """What is remembered of a person."""

    number: int
    """0 for a face that is not confirmed yet."""
    face: Face
    """As last seen."""
    velocity: tuple[float, float]
    """How fast the face moves to the right and down, in pixels a second."""
    first_s: float
    """When the face was first seen."""
    seen_s: float
    """When it was last seen."""
    scores: Mapping[str, float]
    looks: int = 1
    """In how many frames it was found."""


@dataclass(frozen=True)
class People:
    """Everybody who was seen lately, and how many there were in all."""

    persons: tuple[Person, ...] = ()
    count: int = 0
    looked_s: float = -math.inf
    """When faces were looked for last."""


def follow(
    people: People, faces: Sequence[Face], time_s: float, options: TrackingOptions
) -> tuple[People, list[TrackedFace]]:
    """Take up the faces of the next frame; the new state, and the confirmed faces with their persons, in their order.

    time_s: the frame's time, later than that of the frame before.
    """
    known = [
        person
        for person in people.persons
        if person.seen_s == people.looked_s or time_s - person.seen_s <= options.memory_s
    ]
    place_of = _matches(known, people.looked_s, faces, time_s, options.overlap)
    count, present = people.count, []
    for index, face in enumerate(faces):
        if index in place_of:
            person = _seen_again(known[place_of[index]], face, time_s, options)
        else:
            person = Person(0, face, (0.0, 0.0), time_s, time_s, face.scores)
        if not person.number and _confirmed(person, time_s, options):
            count += 1
            person = replace(person, number=count)
        present.append(person)
    tracked = [TrackedFace(each.number, each.face, True, each.scores) for each in present if each.number]
    taken = set(place_of.values())
    absent = [person for place, person in enumerate(known) if place not in taken and person.number]
    return People((*present, *absent), count, time_s), tracked


def _matches(
    known: Sequence[Person], looked_s: float, faces: Sequence[Face], time_s: float, least_overlap: float
) -> dict[int, int]:
    """Which known person each face is, as far as it is one: from indices of faces to indices of persons.

    Who was there in the look before, at `looked_s`, comes first: who is hidden must not take the face in front.
    """
    overlaps, ways = [], []
    for place, person in enumerate(known):
        expected, reach = predicted_box(person, time_s), REACH[0] + REACH[1] * (time_s - person.seen_s)
        for index, face in enumerate(faces):
            overlap = float(iou(expected, [face.box_xyxy])[0])
            if overlap >= least_overlap:
                overlaps.append((person.seen_s < looked_s, -overlap, place, index))
            elif person.number and (off := _beside_the_way(person, face, time_s)) <= reach:
                ways.append((off, place, index))
    found: dict[int, int] = {}
    best_first = [each[-2:] for each in sorted(overlaps)] + [each[-2:] for each in sorted(ways)]
    for place, index in best_first:
        if index not in found and place not in found.values():
            found[index] = place
    return found


def _beside_the_way(person: Person, face: Face, time_s: float) -> float:
    """How far a face is from the way between where a person was seen last and should be by now, in sizes of the face.

    Infinite where the sizes are unlike.
    """
    sizes = sorted(math.sqrt((x1 - x0) * (y1 - y0)) for x0, y0, x1, y1 in (person.face.box_xyxy, face.box_xyxy))
    if sizes[0] < LIKE_SIZE * sizes[1]:
        return math.inf
    start, way = complex(*middle(person.face)), complex(*_moved_px(person, time_s))
    offset = complex(*middle(face)) - start
    along = min(1.0, max(0.0, (offset * way.conjugate()).real / abs(way) ** 2)) if way else 0.0
    return abs(offset - along * way) / sizes[1]


def _confirmed(person: Person, time_s: float, options: TrackingOptions) -> bool:
    long_enough = time_s - person.first_s >= options.confirmed_s - 1e-6
    return long_enough and (person.looks >= options.confirmed_looks or not options.confirmed_s)


def between(people: People, time_s: float) -> list[TrackedFace]:
    """Everybody who was seen in the frame looked at last, where each should be by a time soon after it."""
    return [
        TrackedFace(person.number, _predicted_face(person, time_s), False, person.scores)
        for person in people.persons
        if person.number and person.seen_s == people.looked_s
    ]


def predicted_box(person: Person, time_s: float) -> Box:
    """Where a person's face should be at a time, by its velocity."""
    right, down = _moved_px(person, time_s)
    x0, y0, x1, y1 = person.face.box_xyxy
    return (x0 + right, y0 + down, x1 + right, y1 + down)


def _predicted_face(person: Person, time_s: float) -> Face:
    places = person.face.landmarks_xy
    if places is not None:
        right, down = _moved_px(person, time_s)
        places = tuple((x + right, y + down) for x, y in places)
    return replace(person.face, box_xyxy=predicted_box(person, time_s), landmarks_xy=places)


def _moved_px(person: Person, time_s: float) -> tuple[float, float]:
    passed = time_s - person.seen_s
    right, down = (speed * passed for speed in person.velocity)
    return right, down


def _seen_again(person: Person, face: Face, time_s: float, options: TrackingOptions) -> Person:
    passed = time_s - person.seen_s
    velocity = person.velocity
    if passed > 0:
        moved = [(now - then) / passed for now, then in zip(middle(face), middle(person.face), strict=True)]
        # Of a mean that began with the first sight, not with a standing face.
        kept = min(math.pow(0.5, passed / VELOCITY_HALF_LIFE_S), 1 - passed / (time_s - person.first_s))
        right, down = (kept * old + (1 - kept) * new for old, new in zip(velocity, moved, strict=True))
        velocity = (right, down)
    scores = smooth(person.scores, face.scores, passed, options.half_life_s)
    return replace(person, face=face, velocity=velocity, seen_s=time_s, scores=scores, looks=person.looks + 1)


def middle(face: Face) -> tuple[float, float]:
    """The middle of a face's box."""
    x0, y0, x1, y1 = face.box_xyxy
    return (x0 + x1) / 2, (y0 + y1) / 2


def smooth(
    before: Mapping[str, float], now: Mapping[str, float], passed_s: float, half_life_s: float
) -> dict[str, float]:
    """Exponential smoothing: what was counts half after each half-life."""
    kept = math.pow(0.5, passed_s / half_life_s) if half_life_s > 0 else 0.0
    return {name: kept * before[name] + (1 - kept) * score for name, score in now.items()}

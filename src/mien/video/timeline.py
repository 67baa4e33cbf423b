"""What people expressed over time: seconds, transitions, and a picture.

Memory does not grow with a video's length, only by some hundred bytes for each new person.
"""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from mien.drawing import COLOURS
from mien.preprocessing import ImageArray, pixels_of
from mien.signature import signed
from mien.video.tracking import TrackedFace

MOST_BINS = 1200
"""Finest resolution of the picture; when a video has more bins, each two become one."""
FIRST_BIN_S = 0.05
LONGEST_GAP_S = 1.0
"""A frame counts for the time until the next one, and for no longer than this."""
MOST_ROWS = 8
"""People in the picture: those who are seen longest."""
MOST_KEPT = 4 * MOST_ROWS
"""People whose scores over time are kept; beyond, those of whom was seen for the shortest time are forgotten."""
OTHER_COLOURS = ("#2ec4b6", "#999999", "#660099", "#88ccee", "#ddcc77", "#117733", "#332288", "#aa4499")


@dataclass
class PersonSummary:
    """What one person expressed."""

    number: int
    first_s: float
    last_s: float
    seconds: dict[str, float] = field(default_factory=dict)
    """For each expression, how long it was the strongest."""
    transitions: Counter[tuple[str, str]] = field(default_factory=Counter)
    """How often one expression followed another."""
    expression: str = ""
    """The last one."""

    def total(self) -> float:
        """For how many seconds the person was seen."""
        return sum(self.seconds.values())

    def longest(self) -> list[tuple[str, float]]:
        """Expressions and their seconds, the longest first."""
        return sorted(self.seconds.items(), key=lambda item: -item[1])

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {
            "person": self.number,
            "first_s": round(self.first_s, 3),
            "last_s": round(self.last_s, 3),
            "seconds": {name: round(value, 3) for name, value in self.longest()},
            "transitions": {f"{old} to {new}": count for (old, new), count in self.transitions.most_common()},
        }


class Timeline:
    """Takes up the people of one frame after the other; times rise from `start_s` on."""

    def __init__(self, expressions: Sequence[str], start_s: float = 0.0) -> None:
        self.expressions = tuple(expressions)
        self.people: dict[int, PersonSummary] = {}
        self.start_s = self.end_s = start_s
        """The times that the picture spans."""
        self.bin_s = FIRST_BIN_S
        """Seconds of each bin of the picture."""
        self._bins: dict[int, dict[int, NDArray[np.float64]]] = {}
        self._before: tuple[float, tuple[TrackedFace, ...]] | None = None

    def add(self, time_s: float, faces: Sequence[TrackedFace]) -> None:
        """The people of a frame; they count until the next one."""
        self._settle(time_s)
        self._before = (time_s, tuple(faces))
        for tracked in faces:
            person = self.people.setdefault(tracked.person, PersonSummary(tracked.person, time_s, time_s))
            if person.expression and person.expression != tracked.expression:
                person.transitions[person.expression, tracked.expression] += 1
            person.expression, person.last_s = tracked.expression, time_s

    def finish(self, end_s: float) -> None:
        """The last frame lasts until `end_s`."""
        self._settle(end_s)
        self._before = None

    def _settle(self, until_s: float) -> None:
        self.end_s = max(self.end_s, until_s)
        while (self.end_s - self.start_s) / self.bin_s > MOST_BINS:
            self._coarsen()
        if self._before is None:
            return
        since_s, faces = self._before
        seconds = min(until_s - since_s, LONGEST_GAP_S)
        parts = list(self._parts(since_s, since_s + seconds))
        for tracked in faces:
            passed = self.people[tracked.person].seconds
            passed[tracked.expression] = passed.get(tracked.expression, 0.0) + seconds
            scores = np.array([tracked.scores[name] for name in self.expressions])
            bins = self._bins.setdefault(tracked.person, {})
            for place, share in parts:
                bins[place] = bins.get(place, np.zeros(len(scores))) + share * scores
        if len(self._bins) > MOST_KEPT:
            here = {tracked.person for tracked in faces}
            gone = [self.people[number] for number in self._bins if number not in here]
            if gone:
                del self._bins[min(gone, key=PersonSummary.total).number]

    def _parts(self, since_s: float, until_s: float) -> Iterator[tuple[int, float]]:
        """The bins that a span of time touches, each with its seconds in it."""
        first, last = ((time_s - self.start_s) / self.bin_s for time_s in (since_s, until_s))
        for place in range(int(first), math.ceil(last)):
            share = (min(last, place + 1) - max(first, place)) * self.bin_s
            if share > 0:
                yield min(place, MOST_BINS - 1), share

    def _coarsen(self) -> None:
        self.bin_s *= 2
        for person, old in self._bins.items():
            bins: dict[int, NDArray[np.float64]] = {}
            for place, sums in old.items():
                bins[place // 2] = bins.get(place // 2, np.zeros(len(sums))) + sums
            self._bins[person] = bins

    def shares(self, person: int) -> dict[int, NDArray[np.float64]]:
        """The mean scores of a person in each bin of time in which the person is seen."""
        return {place: sums / sums.sum() for place, sums in sorted(self._bins.get(person, {}).items())}

    def draw(self) -> ImageArray:
        """A picture: a row for each person, over time the stacked scores of all expressions; RGB uint8 (H, W, 3)."""
        return pixels_of(self._picture())

    def save(self, file: Path) -> None:
        """Write that picture as PNG; OSError where that is not possible."""
        self._picture().save(file, "PNG", exif=signed())

    def _picture(self) -> Image.Image:
        longest = sorted(self.people.values(), key=PersonSummary.total, reverse=True)[:MOST_ROWS]
        return _Picture(self, sorted(longest, key=lambda person: person.number)).draw()


class _Picture:
    left, right, top, row, gap, axis, legend = 110, 20, 16, 90, 14, 34, 34
    plot = 960

    def __init__(self, timeline: Timeline, people: list[PersonSummary]) -> None:
        self.timeline, self.people = timeline, people
        self.bins = max(1.0, (timeline.end_s - timeline.start_s) / timeline.bin_s)
        height = self.top + max(1, len(people)) * (self.row + self.gap) + self.axis + self.legend
        self.image = Image.new("RGB", (self.left + self.plot + self.right, height), "white")
        self.pen = ImageDraw.Draw(self.image)
        self.font, self.small = ImageFont.load_default(15), ImageFont.load_default(12)
        others = iter(OTHER_COLOURS * len(timeline.expressions))
        self.colours = [COLOURS.get(name) or next(others) for name in timeline.expressions]

    def draw(self) -> Image.Image:
        for index, person in enumerate(self.people):
            self._row(self.top + index * (self.row + self.gap), person)
        if not self.people:
            self.pen.text((self.left, self.top + 30), "no faces", "#404040", self.font)
        bottom = self.top + max(1, len(self.people)) * (self.row + self.gap)
        self._axis(bottom)
        self._legend(bottom + self.axis)
        return self.image

    def _x(self, place: float) -> float:
        return self.left + self.plot * place / self.bins

    def _row(self, top: int, person: PersonSummary) -> None:
        self.pen.rectangle((self.left, top, self.left + self.plot, top + self.row), fill="#f4f5f6")
        self.pen.text((12, top + 10), f"person {person.number}", "black", self.font)
        for expression, seconds in person.longest()[:1]:
            self.pen.text((12, top + 34), expression, "#404040", self.small)
            self.pen.text((12, top + 52), f"{seconds:.1f} s", "#404040", self.small)
        for place, shares in self.timeline.shares(person.number).items():
            x0, x1 = round(self._x(place)), max(round(self._x(place)), round(self._x(min(place + 1, self.bins))) - 1)
            edges = top + self.row * (1 - np.concatenate(([0.0], np.cumsum(shares))))
            for low, high, colour in zip(edges[:-1], edges[1:], self.colours, strict=True):
                if round(low) > round(high):
                    self.pen.rectangle((x0, round(high), x1, round(low) - 1), fill=colour)
        self.pen.rectangle((self.left, top, self.left + self.plot, top + self.row), outline="#808890")

    def _axis(self, bottom: int) -> None:
        start_s = self.timeline.start_s
        seconds = self.bins * self.timeline.bin_s
        step = next((each for each in STEPS_S if seconds / each <= 12), seconds / 12)
        tick = math.ceil(start_s / step)
        while tick * step <= start_s + seconds + 1e-9:
            x = self._x((tick * step - start_s) / self.timeline.bin_s)
            self.pen.line((x, bottom - self.gap, x, bottom - self.gap + 5), fill="#808890")
            self.pen.text((x, bottom - self.gap + 8), clock(tick * step, step), "#404040", self.small, anchor="ma")
            tick += 1

    def _legend(self, top: int) -> None:
        x = float(self.left)
        for name, colour in zip(self.timeline.expressions, self.colours, strict=True):
            self.pen.rectangle((x, top + 2, x + 13, top + 15), fill=colour, outline="#808890")
            self.pen.text((x + 19, top + 1), name, "black", self.small)
            x += 19 + self.small.getlength(name) + 22
        if others := len(self.timeline.people) - len(self.people):
            told = f"and {others} more, seen for less long"
            self.pen.text((self.left + self.plot, top + 1), told, "#404040", self.small, anchor="ra")


STEPS_S = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21_600, 86_400)


def clock(seconds: float, step: float = 1) -> str:
    """Seconds as 0:07 or 1:02:03, or as 0.5 where they come in smaller steps than one."""
    if step < 1:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"

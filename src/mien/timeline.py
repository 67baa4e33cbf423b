"""What people expressed over time: seconds, transitions, and a picture. In bounded memory, for videos of any length."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from mien.drawing import COLOURS
from mien.preprocessing import ImageArray, pixels_of
from mien.tracking import TrackedFace

MOST_BINS = 1200
"""Finest resolution of the picture; when a video has more bins, each two become one."""
FIRST_BIN_S = 0.05
LONGEST_GAP_S = 1.0
"""A frame counts for the time until the next one, and for no longer than this."""
MOST_ROWS = 12
"""People in the picture: those who are seen longest."""
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
    """Takes up the people of one frame after the other; times rise."""

    def __init__(self, expressions: Sequence[str]) -> None:
        self.expressions = tuple(expressions)
        self.people: dict[int, PersonSummary] = {}
        self.bin_s = FIRST_BIN_S
        """Seconds of each bin of the picture."""
        self._bins: dict[tuple[int, int], NDArray[np.float64]] = {}
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
        if self._before is None:
            return
        since_s, faces = self._before
        seconds = min(until_s - since_s, LONGEST_GAP_S)
        place = int(since_s / self.bin_s)
        while place >= MOST_BINS:
            self._coarsen()
            place = int(since_s / self.bin_s)
        for tracked in faces:
            passed = self.people[tracked.person].seconds
            passed[tracked.expression] = passed.get(tracked.expression, 0.0) + seconds
            scores = np.array([tracked.scores[name] for name in self.expressions])
            key = (tracked.person, place)
            self._bins[key] = self._bins.get(key, np.zeros(len(scores))) + seconds * scores

    def _coarsen(self) -> None:
        self.bin_s *= 2
        old, self._bins = self._bins, {}
        for (person, place), sums in old.items():
            key = (person, place // 2)
            self._bins[key] = self._bins.get(key, np.zeros(len(sums))) + sums

    def shares(self, person: int) -> dict[int, NDArray[np.float64]]:
        """The mean scores of a person in each bin of time in which the person is seen."""
        return {
            place: sums / sums.sum()
            for (number, place), sums in sorted(self._bins.items())
            if number == person and sums.sum() > 0
        }

    def draw(self) -> ImageArray:
        """A picture: a row for each person, over time the stacked scores of all expressions; RGB uint8 (H, W, 3)."""
        longest = sorted(self.people.values(), key=lambda person: -sum(person.seconds.values()))[:MOST_ROWS]
        people = sorted(longest, key=lambda person: person.number)
        bins = max((place + 1 for _, place in self._bins), default=1)
        return _Picture(self, people, bins).draw()


class _Picture:
    left, right, top, row, gap, axis, legend = 110, 20, 16, 90, 14, 34, 34
    plot = 960

    def __init__(self, timeline: Timeline, people: list[PersonSummary], bins: int) -> None:
        self.timeline, self.people, self.bins = timeline, people, bins
        height = self.top + max(1, len(people)) * (self.row + self.gap) + self.axis + self.legend
        self.image = Image.new("RGB", (self.left + self.plot + self.right, height), "white")
        self.pen = ImageDraw.Draw(self.image)
        self.font, self.small = ImageFont.load_default(15), ImageFont.load_default(12)
        others = iter(OTHER_COLOURS * len(timeline.expressions))
        self.colours = [COLOURS.get(name) or next(others) for name in timeline.expressions]

    def draw(self) -> ImageArray:
        for index, person in enumerate(self.people):
            self._row(self.top + index * (self.row + self.gap), person)
        if not self.people:
            self.pen.text((self.left, self.top + 30), "no faces", "#404040", self.font)
        bottom = self.top + max(1, len(self.people)) * (self.row + self.gap)
        self._axis(bottom)
        self._legend(bottom + self.axis)
        return pixels_of(self.image)

    def _x(self, place: float) -> float:
        return self.left + self.plot * place / self.bins

    def _row(self, top: int, person: PersonSummary) -> None:
        self.pen.rectangle((self.left, top, self.left + self.plot, top + self.row), fill="#f4f5f6")
        self.pen.text((12, top + 10), f"person {person.number}", "black", self.font)
        for expression, seconds in person.longest()[:1]:
            self.pen.text((12, top + 34), expression, "#404040", self.small)
            self.pen.text((12, top + 52), f"{seconds:.1f} s", "#404040", self.small)
        for place, shares in self.timeline.shares(person.number).items():
            x0, x1 = round(self._x(place)), max(round(self._x(place)), round(self._x(place + 1)) - 1)
            edges = top + self.row * (1 - np.concatenate(([0.0], np.cumsum(shares))))
            for low, high, colour in zip(edges[:-1], edges[1:], self.colours, strict=True):
                if round(low) > round(high):
                    self.pen.rectangle((x0, round(high), x1, round(low) - 1), fill=colour)
        self.pen.rectangle((self.left, top, self.left + self.plot, top + self.row), outline="#808890")

    def _axis(self, bottom: int) -> None:
        seconds = self.bins * self.timeline.bin_s
        step = next((each for each in STEPS_S if seconds / each <= 12), STEPS_S[-1])
        tick = 0
        while tick * step <= seconds:
            x = self._x(tick * step / self.timeline.bin_s)
            self.pen.line((x, bottom - self.gap, x, bottom - self.gap + 5), fill="#808890")
            self.pen.text((x, bottom - self.gap + 8), clock(tick * step, step), "#404040", self.small, anchor="ma")
            tick += 1

    def _legend(self, top: int) -> None:
        x = float(self.left)
        for name, colour in zip(self.timeline.expressions, self.colours, strict=True):
            self.pen.rectangle((x, top + 2, x + 13, top + 15), fill=colour, outline="#808890")
            self.pen.text((x + 19, top + 1), name, "black", self.small)
            x += 19 + self.small.getlength(name) + 22


STEPS_S = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200)


def clock(seconds: float, step: float = 1) -> str:
    """Seconds as 0:07 or 1:02:03, or as 0.5 where they come in smaller steps than one."""
    if step < 1:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"

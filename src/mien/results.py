"""What recognition gives: one checked, immutable record a face."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from mien.errors import InputError
from mien.preprocessing import ImageArray

Box = tuple[float, float, float, float]
"""Left, top, right, bottom in float pixels."""
Landmarks = tuple[tuple[float, float], ...]
"""(x, y) in float pixels of five places: left eye, right eye, nose tip, left and right mouth corner, as seen."""
LANDMARKS = 5


class Scores(dict[str, float]):
    """The probability of each expression, as a dict that cannot be changed, but hashed, pickled and copied.

    Raises InputError unless they lie in 0 to 1 and sum to 1.
    """

    def __init__(self, scores: Mapping[str, float] | Iterable[tuple[str, float]]) -> None:
        names = dict(scores)
        super().__init__(zip(names, checked_numbers("scores", names.values()), strict=True))
        if not all(0 <= score <= 1 for score in self.values()) or abs(sum(self.values()) - 1) > 1e-3:
            raise InputError(f"scores: expected probabilities that sum to 1, received {names}")

    def __hash__(self) -> int:  # type: ignore[override]  # dict has none
        return hash(frozenset(self.items()))

    def __reduce__(self) -> tuple[Any, ...]:
        return Scores, (dict(self),)

    def _refuse(self, *values: Any, **named: Any) -> NoReturn:
        raise TypeError("scores cannot be changed; dict(scores) is a copy that can")

    __setitem__ = __delitem__ = __ior__ = clear = pop = popitem = setdefault = update = _refuse


@dataclass(frozen=True)
class Face:
    """One face in a picture and what it expresses: immutable, hashable, ready for pickle, copy and `asdict`.

    Numbers of any kind become plain floats. Raises InputError for a box without an inside, and for what is not finite
    or not in its range.

    >>> from mien import Face
    >>> face = Face((10, 20, 90, 110), 0.97, {"happiness": 0.8, "neutral": 0.2})
    >>> face.expression, face.confidence, face.box_xyxy
    ('happiness', 0.8, (10.0, 20.0, 90.0, 110.0))
    """

    box_xyxy: Box
    """Left, top, right, bottom in float pixels of the picture; may reach over its edge."""
    detection_score: float
    """How sure the detector is, 0 to 1."""
    scores: Mapping[str, float]
    """The probability of each expression; they sum to 1."""
    landmarks_xy: Landmarks | None = None
    """Eyes, nose and mouth corners in float pixels of the picture, where the detector finds them."""
    unsure_below: float = 0.0
    """The confidence below which the network is more often wrong than right, by its card; 0 where not known."""
    mouth_covered: bool = False
    """Whether the mouth seems covered, as by a mask; networks that learned from bare faces guess then."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "box_xyxy", checked_box("box_xyxy", self.box_xyxy))
        object.__setattr__(self, "scores", Scores(self.scores))
        object.__setattr__(self, "landmarks_xy", checked_landmarks(self.landmarks_xy))
        for name in ("detection_score", "unsure_below"):
            object.__setattr__(self, name, checked_share(name, getattr(self, name)))

    @property
    def expression(self) -> str:
        """The most probable expression."""
        return max(self.scores, key=lambda name: self.scores[name])

    @property
    def confidence(self) -> float:
        """The probability of the most probable expression."""
        return max(self.scores.values())

    @property
    def unsure(self) -> bool:
        """Whether the network is more often wrong than right at such a confidence, or the mouth is covered."""
        return self.mouth_covered or self.confidence < self.unsure_below

    def to_dict(self) -> dict[str, Any]:
        """The record as plain values, ready for JSON; scores with the most probable first."""
        ordered = sorted(self.scores.items(), key=lambda item: -item[1])
        places = self.landmarks_xy
        return {
            "box_xyxy": [round(value, 2) for value in self.box_xyxy],
            "detection_score": round(self.detection_score, 4),
            **({} if places is None else {"landmarks_xy": [[round(value, 2) for value in each] for each in places]}),
            "expression": self.expression,
            "confidence": round(self.confidence, 6),
            "unsure": self.unsure,
            "mouth_covered": self.mouth_covered,
            "scores": {name: round(score, 6) for name, score in ordered},
        }


def checked_numbers(name: str, values: Any) -> tuple[float, ...]:
    """Finite plain floats; InputError names what else was received."""
    try:
        numbers = tuple(float(value) for value in values)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name}: expected numbers, received {values!r}") from error
    if not all(map(math.isfinite, numbers)):
        raise InputError(f"{name}: expected finite numbers, received {numbers}")
    return numbers


def checked_box(name: str, box: Any) -> Box:
    """A box of plain floats; InputError unless it has four sides and an inside."""
    sides = checked_numbers(name, box)
    if len(sides) != 4 or not (sides[0] < sides[2] and sides[1] < sides[3]):
        raise InputError(f"{name}: expected (x0, y0, x1, y1) with x0 < x1 and y0 < y1, received {sides}")
    return sides


def checked_share(name: str, share: Any) -> float:
    """A plain float in 0 to 1; InputError for any other."""
    (number,) = checked_numbers(name, (share,))
    if not 0 <= number <= 1:
        raise InputError(f"{name}: expected a number in 0 to 1, received {number}")
    return number


def checked_landmarks(places: Any) -> Landmarks | None:
    """Five pairs of plain floats, or None; InputError for anything else."""
    if places is None:
        return None
    pairs = tuple(checked_numbers("landmarks_xy", place) for place in places)
    if [len(pair) for pair in pairs] != [2] * LANDMARKS:
        raise InputError(f"landmarks_xy: expected {LANDMARKS} pairs (x, y), received {pairs}")
    return tuple((x, y) for x, y in pairs)


def to_record(name: str, image: ImageArray, faces: Sequence[Face]) -> dict[str, Any]:
    """The JSON object of a picture that was read."""
    height, width = image.shape[:2]
    return {
        "source": name,
        "width": width,
        "height": height,
        "faces": [face.to_dict() for face in faces],
    }

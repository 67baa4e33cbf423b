"""What recognition gives: one checked, immutable record a face."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

Box = tuple[float, float, float, float]
"""Left, top, right, bottom in float pixels."""
Landmarks = tuple[tuple[float, float], ...]
"""(x, y) in float pixels of five places: left eye, right eye, nose tip, left and right mouth corner, as seen."""
LANDMARKS = 5


@dataclass(frozen=True)
class Face:
    """One face in a picture and what it expresses."""

    box_xyxy: tuple[float, float, float, float]
    """Left, top, right, bottom in float pixels of the picture; may reach over its edge."""
    detection_score: float
    """How sure the detector is, 0 to 1."""
    scores: Mapping[str, float]
    """The probability of each expression; they sum to 1."""
    landmarks_xy: Landmarks | None = None
    """Eyes, nose and mouth corners in float pixels of the picture, where the detector finds them."""
    unsure_below: float = 0.0
    """The confidence below which the network is more often wrong than right, by its card; 0 where not known."""

    def __post_init__(self) -> None:
        x0, y0, x1, y1 = self.box_xyxy
        if not (x0 < x1 and y0 < y1 and all(map(math.isfinite, self.box_xyxy))):
            raise ValueError(f"box_xyxy needs x0 < x1 and y0 < y1, not {self.box_xyxy}")
        if not 0 <= self.detection_score <= 1:
            raise ValueError(f"detection_score must lie in 0 to 1, not {self.detection_score}")
        if not self.scores or abs(sum(self.scores.values()) - 1) > 1e-3:
            raise ValueError(f"scores must be probabilities that sum to 1, not {dict(self.scores)}")
        places = self.landmarks_xy
        if places is not None and not (
            [len(place) for place in places] == [2] * LANDMARKS
            and all(math.isfinite(value) for place in places for value in place)
        ):
            raise ValueError(f"landmarks_xy needs {LANDMARKS} pairs of finite (x, y), not {places}")
        if not 0 <= self.unsure_below <= 1:
            raise ValueError(f"unsure_below must lie in 0 to 1, not {self.unsure_below}")
        object.__setattr__(self, "scores", MappingProxyType(dict(self.scores)))

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
        """Whether the confidence is so low that the network is more often wrong than right."""
        return self.confidence < self.unsure_below

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
            "scores": {name: round(score, 6) for name, score in ordered},
        }

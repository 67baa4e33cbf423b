"""How far a detector's scores can be believed. NumPy.

A score is calibrated where of the faces found with 0.9 nine of ten are right (Küppers et al., "Multivariate Confidence
Calibration for Object Detection", CVPR Workshops 2020, https://arxiv.org/abs/2004.13546).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.evaluation.detection_metrics import Matches
from mien.evaluation.metrics import calibration_error, confidence_bins

BINS = 10
SMALLEST_SCORE = 0.3
"""Of the faces whose scores are held against the share that is right: thousands of others, that nobody sees, would hide
these (chosen)."""
STEPS = 50
"""Of Newton's method, at most (chosen; it takes about ten)."""
PRECISE = 1e-9
"""Steps as short as this are the last (chosen)."""


@dataclass(frozen=True)
class ScoreMap:
    """From a network's logits to calibrated ones: `slope * logit + intercept`."""

    slope: float = 1.0
    intercept: float = 0.0

    def __call__(self, scores: NDArray[np.floating]) -> NDArray[np.float64]:
        """Calibrated scores (N,) of scores (N,)."""
        calibrated: NDArray[np.float64] = 1 / (1 + np.exp(-(self.slope * _logits(scores) + self.intercept)))
        return calibrated

    def then(self, other: "ScoreMap") -> "ScoreMap":
        """Both maps, one after the other."""
        return ScoreMap(self.slope * other.slope, self.intercept * other.slope + other.intercept)


def scores_and_right(pictures: Sequence[Matches]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Scores (N,) of the found faces of all pictures, and whether they are right (N,)."""
    empty = (np.zeros(0, np.float32), np.zeros(0, np.bool_))
    parts = [empty, *((each.scores, each.right) for each in pictures)]
    scores, right = zip(*parts, strict=True)
    return np.concatenate(scores), np.concatenate(right)


def reliability(pictures: Sequence[Matches]) -> list[dict[str, Any]]:
    """Found faces, their mean score and the share that is right, by tenths of the score; None in empty tenths."""
    counts, sums, rights = confidence_bins(*scores_and_right(pictures), BINS)
    return [
        {"count": int(count), "mean_score": total / count if count else None, "right": hits / count if count else None}
        for count, total, hits in zip(counts.tolist(), sums.tolist(), rights.tolist(), strict=True)
    ]


def score_error(pictures: Sequence[Matches]) -> float | None:
    """The expected calibration error of the scores from `SMALLEST_SCORE` on; None where nothing scores so much."""
    scores, right = scores_and_right(pictures)
    heard = scores >= SMALLEST_SCORE
    return calibration_error(scores[heard], right[heard], BINS) if heard.any() else None


def fit_score_map(scores: NDArray[np.floating], right: NDArray[np.bool_]) -> ScoreMap | None:
    """The map of logits that makes it likeliest that these found faces (N,) are right or wrong.

    Platt, "Probabilistic Outputs for Support Vector Machines", 1999, with his targets, which lie a little inside of 0
    and 1, by Newton's method with steps halved until they help. None where none or all are right, or where surer faces
    are less often right.
    """
    hits, misses = int(right.sum()), int((~right).sum())
    if not hits or not misses:
        return None
    inputs = np.stack((_logits(scores), np.ones(len(scores))), axis=1)
    targets = np.where(right, (hits + 1) / (hits + 2), 1 / (misses + 2))

    def loss(weights: NDArray[np.float64]) -> float:
        return float((np.logaddexp(0, inputs @ weights) - targets * (inputs @ weights)).sum())

    weights = np.zeros(2)
    for _ in range(STEPS):
        found = 1 / (1 + np.exp(-inputs @ weights))
        curvature = inputs.T @ (inputs * (found * (1 - found))[:, None]) + 1e-9 * np.eye(2)
        step = np.linalg.solve(curvature, inputs.T @ (found - targets))
        while loss(weights - step) > loss(weights) and np.abs(step).max() > PRECISE:
            step /= 2
        weights -= step
        if np.abs(step).max() <= PRECISE:
            break
    slope, intercept = map(float, weights)
    return ScoreMap(slope, intercept) if slope > 0 else None


def _logits(scores: NDArray[np.floating]) -> NDArray[np.float64]:
    inside = np.clip(scores.astype(np.float64), 1e-7, 1 - 1e-7)
    return np.log(inside) - np.log1p(-inside)

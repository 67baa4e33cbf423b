"""The working threshold of a face detector, chosen on pictures it did not learn from, with calibrated scores."""

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.datasets.photographs import Photographs, fold_of
from mien.detection.detection import FaceDetector
from mien.errors import DatasetError
from mien.evaluation.detection_metrics import Matches
from mien.evaluation.detector_calibration import ScoreMap, fit_score_map, score_error, scores_and_right
from mien.evaluation.detectors import boxes_and_scores, match_all

FOLDS = 5
"""Parts of the photographs on which points that were chosen on the others are measured (chosen)."""
THRESHOLD_STEP = 0.001
"""Thresholds are as fine as this (chosen)."""


@dataclass(frozen=True)
class OperatingPoint:
    """How a detector's logits are mapped, and the calibrated score from which on something is a face."""

    score_map: ScoreMap
    score_threshold: float


def choose_operating_point(
    unsure: FaceDetector,
    people: Photographs,
    empty: Photographs,
    false_faces: float,
    advance: Callable[[], object] = lambda: None,
) -> tuple[OperatingPoint, dict[str, Any]]:
    """The operating point of a detector, and a report on it.

    unsure: the detector, also of faces that it is not sure of. people, empty: photographs with known faces and without
    people, not learned from. false_faces: on 100 photographs without people, at most.
    The point is chosen on all photographs. What it is worth is told twice: on the same ones, and on each fifth of them
    (by the digests of their names) with a point that was chosen on the other four.
    """
    found = []
    for photograph in (*people, *empty):
        found.append(boxes_and_scores(unsure.detect(photograph.read())))
        advance()
    matches = match_all(found[: len(people)], people, "all")
    scores = [each for _, each in found[len(people) :]]
    point = operating_point(matches, scores, false_faces)
    folds = [[fold_of(photograph.source, FOLDS) for photograph in part] for part in (people, empty)]
    others = [
        operating_point(_without(matches, folds[0], fold), _without(scores, folds[1], fold), false_faces)
        for fold in range(FOLDS)
    ]
    return point, {
        "protocol": f"At most {false_faces:g} false faces on 100 of {len(empty)} photographs without people "
        f"({empty.split}); scores mapped by the faces found in {len(people)} photographs ({people.split}). "
        f"On other photographs: each of {FOLDS} parts of them with the point that was chosen on the other parts.",
        **asdict(point),
        "on_the_same_photographs": operating_measures(matches, scores, [point] * len(found)),
        "on_other_photographs": operating_measures(matches, scores, [others[fold] for part in folds for fold in part]),
        "thresholds_of_the_parts": [each.score_threshold for each in others],
    }


def _without(parts: Sequence[Any], folds: Sequence[int], fold: int) -> list[Any]:
    return [part for part, own in zip(parts, folds, strict=True) if own != fold]


def choose_threshold(false_scores: NDArray[np.floating], pictures: int, false_faces: float) -> float:
    """The lowest threshold with at most so many false faces on 100 pictures: the one of the highest recall.

    false_scores: (N,) of all faces found in this number of pictures without people. Thresholds are multiples of
    `THRESHOLD_STEP`, above 0 and below 1; faces that reach them are found.
    """
    allowed = int(false_faces * pictures / 100 + 1e-9)
    surest = np.sort(np.asarray(false_scores, np.float64))[::-1]
    limit = float(surest[allowed]) if len(surest) > allowed else 0.0
    return round(min((math.floor(limit / THRESHOLD_STEP + 1e-9) + 1) * THRESHOLD_STEP, 1 - THRESHOLD_STEP), 4)


def operating_point(
    people: Sequence[Matches], empty: Sequence[NDArray[np.floating]], false_faces: float
) -> OperatingPoint:
    """The map that fits found faces of photographs of people, and the threshold for photographs without people.

    empty: scores (N,) of the faces found in each of these. false_faces: on 100 of these, at most.
    Raises DatasetError where faces do not tell a map.
    """
    scores, right = scores_and_right(people)
    score_map = fit_score_map(scores, right)
    if score_map is None:
        raise DatasetError(
            "calibration: expected right and wrong faces, surer ones more often right, "
            f"found {int(right.sum())} right of {len(right)}"
        )
    false_scores = score_map(np.concatenate([np.zeros(0), *empty]))
    return OperatingPoint(score_map, choose_threshold(false_scores, len(empty), false_faces))


def operating_measures(
    people: Sequence[Matches], empty: Sequence[NDArray[np.floating]], points: Sequence[OperatingPoint]
) -> dict[str, float | None]:
    """What points are worth: one for each photograph of people, then one for each without.

    Recall and precision on people, false faces on 100 pictures without, calibration error with and without the maps.
    """
    mapped = [
        replace(each, scores=point.score_map(each.scores).astype(np.float32))
        for each, point in zip(people, points[: len(people)], strict=True)
    ]
    found = [each.scores >= point.score_threshold for each, point in zip(mapped, points, strict=False)]
    hits = sum(int((each.right & certain).sum()) for each, certain in zip(mapped, found, strict=True))
    false_faces = sum(
        int((point.score_map(scores) >= point.score_threshold).sum())
        for scores, point in zip(empty, points[len(people) :], strict=True)
    )
    return {
        "recall": hits / max(1, sum(int(each.counted.sum()) for each in people)),
        "precision": hits / max(1, sum(int(each.sum()) for each in found)),
        "false_faces_on_100_pictures": 100 * false_faces / max(1, len(empty)),
        "calibration_error": score_error(mapped),
        "calibration_error_before": score_error(people),
    }

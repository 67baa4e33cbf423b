import numpy as np
import pytest

from mien.datasets.photographs import HELD_OUT_PEOPLE, _digest, fold_of
from mien.errors import DatasetError
from mien.evaluation.detection_metrics import Matches
from mien.evaluation.detector_calibration import ScoreMap, fit_score_map, reliability, score_error
from mien.evaluation.operating_point import OperatingPoint, choose_threshold, operating_measures, operating_point


def matches(scores: list[float], right: list[bool], faces: int | None = None) -> Matches:
    counted = np.ones(sum(right) if faces is None else faces, np.bool_)
    return Matches(np.array(scores, np.float32), np.array(right, np.bool_), counted)


def test_a_map_that_is_known_is_found_again() -> None:
    """Scores whose logits are twice as far out as they should be, and too low by 1."""
    draw = np.random.default_rng(0)
    logits = draw.normal(0, 1.5, 40_000)
    right = draw.random(40_000) < 1 / (1 + np.exp(-logits))
    scores = 1 / (1 + np.exp(-(2 * logits - 1)))
    found = fit_score_map(scores, right)
    assert found is not None
    assert found.slope == pytest.approx(0.5, abs=0.02)
    assert found.intercept == pytest.approx(0.5, abs=0.03)
    assert score_error([matches(scores.tolist(), right.tolist())]) > 0.05  # type: ignore[operator]
    assert score_error([matches(found(scores).tolist(), right.tolist())]) < 0.01  # type: ignore[operator]


def test_where_there_is_nothing_to_fit() -> None:
    scores = np.array([0.2, 0.4, 0.6, 0.8])
    assert fit_score_map(scores, np.ones(4, np.bool_)) is None
    assert fit_score_map(scores, scores < 0.5) is None
    with pytest.raises(DatasetError, match=r"expected right and wrong faces, .* found 4 right of 4"):
        operating_point([matches(scores.tolist(), [True] * 4)], [], 3)


def test_surely_told_apart_scores_stay_finite() -> None:
    found = fit_score_map(np.array([0.01, 0.02, 0.98, 0.99]), np.array([False, False, True, True]))
    assert found is not None
    assert 0 < found.slope < 10


def test_maps_one_after_the_other() -> None:
    first, second, scores = ScoreMap(2, 1), ScoreMap(0.5, -3), np.array([0.1, 0.7])
    assert first.then(second)(scores) == pytest.approx(second(first(scores)))


def test_thresholds() -> None:
    scores = np.array([0.9, 0.3, 0.7, 0.5])
    assert choose_threshold(scores, 100, 0) == pytest.approx(0.901)
    assert choose_threshold(scores, 100, 2) == pytest.approx(0.501)  # 0.9 and 0.7 remain
    assert choose_threshold(scores, 60, 3) == pytest.approx(0.701)  # 1.8 of 60 pictures: one may
    assert choose_threshold(scores, 100, 4) == pytest.approx(0.001)
    assert choose_threshold(np.array([0.9999]), 100, 0) == pytest.approx(0.999)


def test_reliability_by_tenths() -> None:
    found = reliability([matches([0.95, 0.92, 0.31], [True, False, True]), matches([], [])])
    assert len(found) == 10
    assert found[9] == {"count": 2, "mean_score": pytest.approx(0.935), "right": 0.5}
    assert found[0] == {"count": 0, "mean_score": None, "right": None}
    assert score_error([matches([0.1], [False])]) is None


def test_what_points_are_worth() -> None:
    people = [matches([0.9, 0.5, 0.2], [True, False, True], 3), matches([0.8], [True])]
    empty = [np.array([0.6, 0.1]), np.array([])]
    same = ScoreMap()
    strict, lax = OperatingPoint(same, 0.7), OperatingPoint(same, 0.15)
    found = operating_measures(people, empty, [strict] * 4)
    assert (found["recall"], found["precision"], found["false_faces_on_100_pictures"]) == (0.5, 1, 0)
    found = operating_measures(people, empty, [lax, strict, lax, strict])
    assert (found["recall"], found["precision"], found["false_faces_on_100_pictures"]) == (0.75, 0.75, 50)
    assert found["calibration_error"] == pytest.approx(found["calibration_error_before"])


def test_held_out_pictures_are_in_all_parts() -> None:
    names = [f"{number}.jpg" for number in range(2000)]
    held_out = [name for name in names if int(_digest(name), 16) % HELD_OUT_PEOPLE == 0]
    counts = np.bincount([fold_of(name, 5) for name in held_out], minlength=5)
    assert counts.min() > 50

import math

import numpy as np
import pytest

from mien.evaluation import metrics

# Three classes: 4 of 5, 1 of 2 and 0 of 1 right.
LABELS = np.array([0, 0, 0, 0, 0, 1, 1, 2])
PREDICTIONS = np.array([0, 0, 0, 0, 1, 1, 0, 0])
MATRIX = np.array([[4, 1, 0], [1, 1, 0], [1, 0, 0]])


def test_measures_worked_by_hand() -> None:
    matrix = metrics.confusion_matrix(LABELS, PREDICTIONS, 3)
    assert (matrix == MATRIX).all()
    assert metrics.accuracy(matrix) == 5 / 8
    assert metrics.recalls(matrix).tolist() == [4 / 5, 1 / 2, 0]
    assert metrics.precisions(matrix)[:2].tolist() == [4 / 6, 1 / 2]
    assert math.isnan(metrics.precisions(matrix)[2])
    assert metrics.mean_class_accuracy(matrix) == pytest.approx((0.8 + 0.5 + 0) / 3)
    assert metrics.macro_f1(matrix) == pytest.approx((8 / 11 + 0.5 + 0) / 3)


def test_classes_that_do_not_occur_do_not_count() -> None:
    matrix = metrics.confusion_matrix(np.array([0, 0]), np.array([0, 1]), 3)
    assert metrics.mean_class_accuracy(matrix) == 0.5
    assert metrics.macro_f1(matrix) == pytest.approx(2 / 3)


def test_nothing_measured_is_nan() -> None:
    empty = np.zeros((2, 2), np.int64)
    assert math.isnan(metrics.accuracy(empty))
    assert math.isnan(metrics.mean_class_accuracy(empty))


def test_calibration_error_worked_by_hand() -> None:
    # Confidence 0.9 twice with one right (gap 0.4), confidence 0.6 twice with both right (gap 0.4).
    probabilities = np.array([[0.9, 0.1], [0.9, 0.1], [0.6, 0.4], [0.4, 0.6]], np.float32)
    labels = np.array([0, 1, 0, 1])
    assert metrics.expected_calibration_error(probabilities, labels) == pytest.approx(0.4)
    certain = np.array([[1.0, 0.0], [0.0, 1.0]], np.float32)
    assert metrics.expected_calibration_error(certain, np.array([0, 1])) == 0


def test_negative_log_likelihood_worked_by_hand() -> None:
    probabilities = np.array([[0.5, 0.5], [0.25, 0.75]], np.float32)
    found = metrics.negative_log_likelihood(probabilities, np.array([0, 0]))
    assert found == pytest.approx((math.log(2) + math.log(4)) / 2)


TARGETS = np.array([[1.0, 0.0], [0.4, 0.6]])
ANSWERS = np.array([[0.5, 0.5], [0.25, 0.75]], np.float32)


def test_cross_entropy_and_brier_score_worked_by_hand() -> None:
    expected = [math.log(2), 0.4 * math.log(4) + 0.6 * math.log(4 / 3)]
    assert metrics.cross_entropies(TARGETS, ANSWERS) == pytest.approx(expected)
    assert metrics.brier_scores(TARGETS, ANSWERS) == pytest.approx([0.25 + 0.25, 0.15**2 + 0.15**2])
    certain = np.array([[0, 1.0]], np.float32)
    assert metrics.brier_scores(np.array([[1.0, 0]]), certain).tolist() == [2]
    assert math.isfinite(metrics.cross_entropies(np.array([[1.0, 0]]), certain)[0])


def test_divergence_is_cross_entropy_without_that_of_the_targets() -> None:
    expected = [math.log(2), 0.4 * math.log(0.4 / 0.25) + 0.6 * math.log(0.6 / 0.75)]
    assert metrics.kl_divergences(TARGETS, ANSWERS) == pytest.approx(expected)


def test_calibration_error_against_shares_of_voters() -> None:
    # Of the bin from 0.6, two faces: voters 0.5 and 0.9, mean 0.7; alone in its bin, 0.9 has 0.8 of the voters.
    confidence, voters = np.array([0.62, 0.64, 0.9], np.float32), np.array([0.5, 0.9, 0.8])
    expected = (2 * abs(0.7 - 0.63) + abs(0.8 - 0.9)) / 3
    assert metrics.calibration_error(confidence, voters) == pytest.approx(expected, abs=1e-6)
    counts, confidences, outcomes = metrics.confidence_bins(np.array([0.0, 1.0], np.float32), np.array([0.25, 0.5]), 4)
    assert (counts.tolist(), confidences.tolist(), outcomes.tolist()) == ([1, 0, 0, 1], [0, 0, 0, 1], [0.25, 0, 0, 0.5])


def test_bootstrap_interval_of_a_mean() -> None:
    values = np.random.default_rng(1).normal(3, 2, 400)
    low, high = metrics.bootstrap_interval(lambda drawn: float(values[drawn].mean()), 400)
    assert low < values.mean() < high
    assert high - low == pytest.approx(2 * 1.96 * values.std() / 20, rel=0.1)
    assert (low, high) == metrics.bootstrap_interval(lambda drawn: float(values[drawn].mean()), 400)

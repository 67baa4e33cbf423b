import math

import numpy as np
import pytest

from mien.evaluation.calibration import (
    COLDEST,
    HOTTEST,
    fit_temperature,
    reliability,
    risk_coverage,
    unsure_measures,
    unsure_threshold,
)
from mien.evaluation.metrics import negative_log_likelihood
from mien.scorer import softmax


def answers(confidence: list[float]) -> np.ndarray:
    """Probabilities of two classes, of which the first is the answer."""
    return np.stack((confidence, 1 - np.array(confidence)), axis=1).astype(np.float32)


def labels(right: str) -> np.ndarray:
    """Labels that make an answer right where there is an r."""
    return np.array([0 if each == "r" else 1 for each in right])


def test_temperature_worked_by_hand() -> None:
    """Three of four are right, and logits are 2 apart: softmax gives 3/4 where they are log 3 apart."""
    logits = np.tile(np.array([2.0, 0.0], np.float32), (4, 1))
    assert fit_temperature(logits, labels("rrwr")) == pytest.approx(2 / math.log(3))
    assert fit_temperature(logits + 100, labels("rrwr")) == pytest.approx(2 / math.log(3))


def test_temperature_gives_a_known_factor_back() -> None:
    generator = np.random.default_rng(0)
    logits = generator.normal(0, 2, (5000, 7)).astype(np.float32)
    drawn = np.array([generator.choice(7, p=row / row.sum()) for row in softmax(logits).astype(float)])
    alone = fit_temperature(logits, drawn)
    assert alone == pytest.approx(1, abs=0.05)
    for factor in (0.25, 3.0):
        found = fit_temperature(logits * np.float32(factor), drawn)
        assert found == pytest.approx(factor * alone, rel=1e-5)
        for other in (0.98, 1.02):  # it is the best
            likelihoods = [
                negative_log_likelihood(softmax(logits * factor / (found * by)), drawn) for by in (1.0, other)
            ]
            assert likelihoods[0] < likelihoods[1]


def test_temperature_is_bounded() -> None:
    logits = np.array([[2.0, 0.0]] * 3, np.float32)
    assert fit_temperature(logits, labels("rrr")) == pytest.approx(COLDEST)
    assert fit_temperature(logits, labels("www")) == pytest.approx(HOTTEST)


def test_reliability_worked_by_hand() -> None:
    bins = reliability(answers([0.61, 0.65, 0.99, 1.0]), labels("rwrr"))
    assert [found["count"] for found in bins] == [0] * 9 + [2, 0, 0, 0, 0, 2]
    assert bins[9] == {"count": 2, "mean_confidence": pytest.approx(0.63), "accuracy": 0.5}
    assert bins[14] == {"count": 2, "mean_confidence": pytest.approx(0.995), "accuracy": 1}
    assert np.isnan(bins[0]["accuracy"])


def test_risk_and_coverage_worked_by_hand() -> None:
    confidence = [0.6, 0.95, 0.7, 0.9, 0.65, 0.8, 0.75, 0.85, 0.55, 0.99]
    points = risk_coverage(answers(confidence), labels("wrrwwrrrwr"))
    # From the surest: 0.99 r, 0.95 r, 0.9 w, 0.85 r, 0.8 r, 0.75 r, 0.7 r, 0.65 w, 0.6 w, 0.55 w.
    found = {point["coverage"]: (point["confidence"], point["accuracy"]) for point in points}
    assert len(found) == 20
    assert found[1.0] == (pytest.approx(0.55), 0.6)
    assert found[0.7] == (pytest.approx(0.7), pytest.approx(6 / 7))
    assert found[0.5] == (pytest.approx(0.8), 0.8)
    assert found[0.2] == (pytest.approx(0.95), 1)
    assert found[0.05] == (pytest.approx(0.99), 1)  # one face at least


@pytest.mark.parametrize(
    ("confidence", "right", "threshold"),
    [
        # Wrong minus right from the least confident on: 1, 0, 1, 2, 1, 2, 1, 0: two at most, first before 0.80.
        ([0.51, 0.55, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95], "wrwwrwrr", 0.8),
        ([0.95, 0.7, 0.55, 0.9, 0.51, 0.85, 0.6, 0.8], "rwrrwwwr", 0.8),  # the same in another order
        ([0.6, 0.7, 0.8], "rrr", 0.0),
        ([0.6, 0.7, 0.8], "rww", 1.0),
        ([0.6, 0.7, 0.8], "www", 1.0),
        ([0.6, 0.7, 0.8], "wrr", 0.7),
        ([0.6, 0.7, 0.8], "rwr", 0.0),  # one wrong answer does not outweigh a right one below it
        ([0.6, 0.6, 0.8], "wrr", 0.0),  # no cut between equal confidences
        ([0.6, 0.6, 0.6, 0.8], "wwrr", 0.8),
    ],
)
def test_threshold_of_unsure_answers_worked_by_hand(confidence: list[float], right: str, threshold: float) -> None:
    probabilities, truth = answers(confidence), labels(right)
    found = unsure_threshold(probabilities, truth)
    assert found == pytest.approx(threshold)
    unsure = probabilities.max(axis=1) < found
    if unsure.any():
        assert (probabilities.argmax(axis=1) == truth)[unsure].mean() < 0.5


def test_threshold_finds_where_answers_become_right() -> None:
    """Where a network is right as often as it says, but by half less: at a confidence of 0.5 / 0.75."""
    generator = np.random.default_rng(0)
    confidence = generator.uniform(0.5, 1, 20_000)
    truth = (generator.uniform(size=20_000) >= 0.75 * confidence).astype(np.int64)
    assert unsure_threshold(answers(confidence.tolist()), truth) == pytest.approx(0.5 / 0.75, abs=0.03)


def test_measures_of_unsure_answers_worked_by_hand() -> None:
    probabilities, truth = answers([0.51, 0.55, 0.6, 0.9, 0.95]), labels("wrwrw")
    found = unsure_measures(probabilities, truth, float(probabilities[2, 0]))
    assert found == {
        "below": pytest.approx(0.6),
        "share": 0.4,  # a confidence at the threshold is none below it
        "accuracy_of_unsure": 0.5,
        "accuracy_of_others": pytest.approx(1 / 3),
    }
    assert math.isnan(unsure_measures(probabilities, truth, 0.1)["accuracy_of_unsure"])

"""Measures of classification, each a pure function. A confusion matrix has a row for each true class."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.int64]
CALIBRATION_BINS = 15
"""Bins of confidence of Guo et al., ICML 2017."""


def confusion_matrix(labels: NDArray[np.int64], predictions: NDArray[np.int64], classes: int) -> Matrix:
    """Counts int64 (K, K): rows are true classes, columns predicted ones."""
    flat = np.bincount(labels * classes + predictions, minlength=classes * classes)
    return flat.reshape(classes, classes).astype(np.int64)


def accuracy(matrix: Matrix) -> float:
    """Share of right answers; nan without samples."""
    return _ratio(np.trace(matrix), matrix.sum())


def recalls(matrix: Matrix) -> NDArray[np.float64]:
    """Recall of each class (K,); nan for a class without samples."""
    return _ratios(matrix.diagonal(), matrix.sum(axis=1))


def precisions(matrix: Matrix) -> NDArray[np.float64]:
    """Precision of each class (K,); nan for a class that is never predicted."""
    return _ratios(matrix.diagonal(), matrix.sum(axis=0))


def f1_scores(matrix: Matrix) -> NDArray[np.float64]:
    """F1 of each class (K,); nan for a class that neither occurs nor is predicted."""
    return _ratios(2 * matrix.diagonal(), matrix.sum(axis=0) + matrix.sum(axis=1))


def mean_class_accuracy(matrix: Matrix) -> float:
    """Mean recall of the classes that occur."""
    return _mean(recalls(matrix)[matrix.sum(axis=1) > 0])


def macro_f1(matrix: Matrix) -> float:
    """Mean F1 of the classes that occur."""
    return _mean(f1_scores(matrix)[matrix.sum(axis=1) > 0])


def expected_calibration_error(
    probabilities: NDArray[np.float32], labels: NDArray[np.int64], bins: int = CALIBRATION_BINS
) -> float:
    """Mean gap between confidence and accuracy over equally wide bins of confidence, weighted by size.

    Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, with their 15 bins.
    probabilities: (N, K). labels: (N,). Returns a share from 0 to 1.
    """
    return calibration_error(probabilities.max(axis=1), probabilities.argmax(axis=1) == labels, bins)


def calibration_error(
    confidence: NDArray[np.float32], outcomes: NDArray[np.generic], bins: int = CALIBRATION_BINS
) -> float:
    """The expected calibration error of confidences (N,) against outcomes (N,) from 0 to 1.

    An outcome is whether the answer was right, or the share of people who gave it too.
    """
    _, confidences, found = confidence_bins(confidence, outcomes, bins)
    return float(np.abs(found - confidences).sum() / len(confidence))


def confidence_bins(
    confidence: NDArray[np.float32], outcomes: NDArray[np.generic], bins: int = CALIBRATION_BINS
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """Counts, sums of confidence and sums of outcomes (each (bins,)) in equally wide bins of confidences (N,)."""
    sure = confidence.astype(np.float64)
    bin_of = np.minimum((sure * bins).astype(np.int64), bins - 1)
    counts = np.bincount(bin_of, minlength=bins).astype(np.int64)
    confidences = np.bincount(bin_of, sure, minlength=bins).astype(np.float64)
    found = np.bincount(bin_of, outcomes.astype(np.float64), minlength=bins).astype(np.float64)
    return counts, confidences, found


def negative_log_likelihood(probabilities: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    """Mean cross entropy of probabilities (N, K) with labels (N,), in nats."""
    chosen = probabilities[np.arange(len(labels)), labels]
    return float(-np.log(np.maximum(chosen, 1e-12)).mean())


def cross_entropies(targets: NDArray[np.floating], probabilities: NDArray[np.float32]) -> NDArray[np.float64]:
    """Cross entropy (N,) of each row of probabilities (N, K) with that of targets (N, K), in nats."""
    entropies: NDArray[np.float64] = -(targets * np.log(np.maximum(probabilities.astype(np.float64), 1e-12))).sum(
        axis=1
    )
    return entropies


def brier_scores(targets: NDArray[np.floating], probabilities: NDArray[np.float32]) -> NDArray[np.float64]:
    """Squared distance (N,), from 0 to 2, of each row of probabilities (N, K) from that of targets (N, K).

    Brier, "Verification of Forecasts Expressed in Terms of Probability", 1950: summed over the classes.
    """
    scores: NDArray[np.float64] = ((probabilities.astype(np.float64) - targets) ** 2).sum(axis=1)
    return scores


def kl_divergences(targets: NDArray[np.floating], probabilities: NDArray[np.float32]) -> NDArray[np.float64]:
    """Kullback-Leibler divergence (N,) of each row of probabilities (N, K) from that of targets (N, K), in nats."""
    wanted = targets.astype(np.float64)
    negative_entropies = (wanted * np.log(np.maximum(wanted, 1e-300))).sum(axis=1)
    divergences: NDArray[np.float64] = negative_entropies + cross_entropies(wanted, probabilities)
    return divergences


def bootstrap_interval(
    measure: Callable[[NDArray[np.int64]], float], count: int, resamples: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """The 95 % percentile bootstrap interval of a measure (Efron, 1979).

    measure: from indices (N,), drawn from 0 to count - 1 with replacement, to a value.
    """
    generator = np.random.default_rng(seed)
    values = [measure(generator.integers(0, count, count)) for _ in range(resamples)]
    low, high = np.nanpercentile(values, [2.5, 97.5])
    return float(low), float(high)


def _ratio(part: float, whole: float) -> float:
    return float(part / whole) if whole else float("nan")


def _ratios(part: NDArray[np.int64], whole: NDArray[np.int64]) -> NDArray[np.float64]:
    ratios: NDArray[np.float64] = np.divide(part, whole, out=np.full(len(part), np.nan), where=whole != 0)
    return ratios


def _mean(values: NDArray[np.float64]) -> float:
    return float(values.mean()) if len(values) else float("nan")

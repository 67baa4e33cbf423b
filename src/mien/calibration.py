"""How far a network's confidence can be believed: reliability, and risk against coverage.

Confidence is the probability of the most probable class. Everywhere here, probabilities are float (N, K) and labels
int (N,), with at least one face.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.metrics import confidence_bins

COVERAGES = tuple(step / 20 for step in range(1, 21))
"""Shares of the faces that are kept, for risk against coverage."""


def reliability(probabilities: NDArray[np.float32], labels: NDArray[np.int64]) -> list[dict[str, Any]]:
    """Faces, mean confidence and accuracy in each bin of confidence, the least confident first; nan in empty bins."""
    right = probabilities.argmax(axis=1) == labels
    counts, confidences, rights = confidence_bins(probabilities.max(axis=1), right)
    with np.errstate(invalid="ignore"):
        means = zip(counts.tolist(), (confidences / counts).tolist(), (rights / counts).tolist(), strict=True)
    return [{"count": count, "mean_confidence": sure, "accuracy": accuracy} for count, sure, accuracy in means]


def risk_coverage(probabilities: NDArray[np.float32], labels: NDArray[np.int64]) -> list[dict[str, float]]:
    """Accuracy on the most confident faces, by how large a share of all is kept (`COVERAGES`).

    `confidence` is that of the least confident face kept. El-Yaniv and Wiener, "On the Foundations of Noise-free
    Selective Classification", JMLR 2010.
    """
    confidence = probabilities.max(axis=1)
    order = np.argsort(-confidence, kind="stable")
    right = (probabilities.argmax(axis=1) == labels)[order]
    kept = [max(1, round(coverage * len(labels))) for coverage in COVERAGES]
    return [
        {
            "coverage": coverage,
            "confidence": float(confidence[order[count - 1]]),
            "accuracy": float(right[:count].mean()),
        }
        for coverage, count in zip(COVERAGES, kept, strict=True)
    ]

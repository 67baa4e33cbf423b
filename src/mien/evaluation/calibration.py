"""How far a network's confidence can be believed: temperature scaling, reliability, and which answers are unsure.

Confidence is the probability of the most probable class. Everywhere here, probabilities are float (N, K) and labels
int (N,), with at least one face.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.evaluation.metrics import confidence_bins

COLDEST, HOTTEST = 0.05, 20.0
"""Temperatures that are searched (chosen): beyond, a network is always or never sure."""
HALVINGS = 60
"""Of the interval of 1 / temperature; more than its floats can tell apart."""
COVERAGES = tuple(step / 20 for step in range(1, 21))
"""Shares of the faces that are kept, for risk against coverage."""


def fit_temperature(logits: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    """The temperature T from `COLDEST` to `HOTTEST` at which softmax(logits / T) makes the labels likeliest.

    Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, https://arxiv.org/abs/1706.04599. The mean
    negative log likelihood of logits (N, K) is convex in 1 / T, so its slope is searched for the change of sign.
    """
    values = logits.astype(np.float64)
    below_largest = values - values.max(axis=1, keepdims=True)
    above_label = values - values[np.arange(len(labels)), labels][:, None]

    def slope(inverse: float) -> float:
        exponentials = np.exp(inverse * below_largest)
        return float(((exponentials * above_label).sum(axis=1) / exponentials.sum(axis=1)).mean())

    low, high = 1 / HOTTEST, 1 / COLDEST
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        if slope(middle) < 0:
            low = middle
        else:
            high = middle
    return 2 / (low + high)


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


def unsure_threshold(probabilities: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    """The confidence below which answers are more often wrong than right.

    Exactly: faces are lined up by confidence; of all places where the line can be cut between two confidences, the one
    with the largest surplus of wrong over right answers before it, the first such one; the threshold is the confidence
    that follows (1 where none does). So the last faces before it are right in less than half of the cases, and the
    first ones after it in half of them or more. 0 where no place has more wrong than right answers before it.
    """
    confidence = probabilities.max(axis=1)
    order = np.argsort(confidence, kind="stable")
    wrong = (probabilities.argmax(axis=1) != labels)[order]
    following = np.append(confidence[order][1:], 1.0)
    surplus = np.cumsum(np.where(wrong, 1, -1))
    surplus[following == confidence[order]] = 0  # no cut between equal confidences
    best = int(surplus.argmax())
    return float(following[best]) if surplus[best] > 0 else 0.0


def unsure_measures(
    probabilities: NDArray[np.float32], labels: NDArray[np.int64], unsure_below: float
) -> dict[str, float]:
    """The share of faces whose confidence is below a threshold, and the accuracy on these and on the others."""
    right = probabilities.argmax(axis=1) == labels
    unsure = probabilities.max(axis=1) < unsure_below
    accuracies = [float(right[part].mean()) if part.any() else float("nan") for part in (unsure, ~unsure)]
    return {
        "below": unsure_below,
        "share": float(unsure.mean()),
        "accuracy_of_unsure": accuracies[0],
        "accuracy_of_others": accuracies[1],
    }

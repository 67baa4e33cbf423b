"""Scorers: functions from uint8 faces (N, S, S, C) to float32 probabilities (N, K)."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from mien.preprocessing import ImageArray

Scorer = Callable[[ImageArray], NDArray[np.float32]]


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Probabilities float32 (N, K) of logits (N, K); rows sum to 1."""
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)

"""What speaks against a result on one's own faces: faces that are nearly the same on both sides, figures too good."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.preprocessing import ImageArray

SIDE_PX = 16
ALIKE = 0.97
"""Correlation of two faces of 16 x 16 pixels from which on they are taken for one picture: among other faces of FER2013
it stays below 0.96, between its copies of one picture it is above 0.98 (400 faces of PublicTest, 6000 of Training)."""
TOO_GOOD = 0.95
"""Accuracy from which on a result is doubted (chosen): people agree with each other on fewer labels."""


def nearly_alike(faces: ImageArray, others: ImageArray) -> NDArray[np.bool_]:
    """Whether each face (N,) is nearly the same picture as one of the others: uint8 (N, S, S, C) and (M, S, S, C)."""
    best = (_small(faces) @ _small(others).T).max(axis=1, initial=-1.0)
    alike: NDArray[np.bool_] = best >= ALIKE
    return alike


def _small(faces: ImageArray) -> NDArray[np.float32]:
    """Faces as vectors (N, 256) of their grey coarse pixels, with mean 0 and length 1."""
    edges = np.linspace(0, faces.shape[1], SIDE_PX + 1).astype(int)[:-1]
    grey = faces.mean(axis=3, dtype=np.float32)
    coarse = np.add.reduceat(np.add.reduceat(grey, edges, axis=1), edges, axis=2).reshape(len(faces), -1)
    coarse -= coarse.mean(axis=1, keepdims=True)
    unit: NDArray[np.float32] = coarse / np.maximum(np.linalg.norm(coarse, axis=1, keepdims=True), 1e-6)
    return unit


def doubts(report: dict[str, Any], alike: int) -> list[str]:
    """Lines for people on why a report's figures may say less than they seem to; empty where nothing speaks against it.

    report: values of a `Report`. alike: how many of its faces are nearly the same picture as one that was learned from.
    """
    lines, count, accuracy = [], report["n"], report["accuracy"]
    if alike:
        lines.append(
            f"{alike} of {count} validation faces are nearly the same picture as a training face, as frames of one "
            "video are: the accuracy says less about other pictures"
        )
    if accuracy >= TOO_GOOD:
        lines.append(
            f"an accuracy of {accuracy:.3f} is more than people reach on most expressions: see whether the classes "
            "differ in people, camera or light, and measure on people who stand in neither part (mien evaluate)"
        )
    sizes = {name: found["n"] for name, found in report["per_class"].items()}
    largest = max(sizes, key=lambda name: sizes[name])
    low, always = report["accuracy_interval"][0], sizes[largest] / count
    if low <= always:
        lines.append(
            f"the interval of the accuracy, from {low:.3f}, holds the {always:.3f} of always answering {largest}: more "
            "faces are needed, or the classes cannot be told from them"
        )
    return lines

"""Average precision as WIDER FACE's own evaluation tools compute it (Yang et al., CVPR 2016). NumPy.

What differs from detection_metrics.py: a found face is held against the one true face that it overlaps most, found
before or not, and of any difficulty; boxes include their last pixels; scores are stretched to 0 to 1 over the data set
and looked at in 1,000 steps; pictures without any true face are left out; faces of any size count.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mien.datasets.photographs import Photograph, Photographs
from mien.detection.boxes import FloatArray

OVERLAP = 0.5
STEPS = 1000

Found = tuple[FloatArray, FloatArray]
"""Boxes (N, 4) and scores (N,)."""


def wider_average_precision(found: Sequence[Found], photographs: Photographs, difficulty: str) -> float:
    """Of the faces of one difficulty, by their labels (datasets/wider_face.py); found faces of each photograph."""
    scores = np.concatenate([each for _, each in found]) if found else np.zeros(0)
    lowest, highest = (float(scores.min()), float(scores.max())) if len(scores) else (0.0, 1.0)
    proposals_and_hits, faces = np.zeros((2, STEPS)), 0
    for (boxes, own), photograph in zip(found, photographs, strict=True):
        truth, counted = _truth(photograph, difficulty)
        faces += int(counted.sum())
        if len(truth) and len(own):
            order = np.argsort(-own, kind="stable")
            stretched = (own[order].astype(np.float64) - lowest) / max(1e-12, highest - lowest)
            proposals_and_hits += _at_steps(stretched, *_matched(boxes[order], truth, counted))
    return _area(proposals_and_hits[0], proposals_and_hits[1], faces)


def _truth(photograph: Photograph, difficulty: str) -> tuple[FloatArray, NDArray[np.bool_]]:
    counted = [difficulty in label.split() for label in photograph.labels]
    boxes = np.concatenate((photograph.boxes_xyxy, photograph.unsure_boxes_xyxy))
    return boxes, np.array(counted + [False] * len(photograph.unsure_boxes_xyxy), np.bool_)


def _matched(
    boxes: FloatArray, truth: FloatArray, counted: NDArray[np.bool_]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Of found boxes (N, 4), the surest first: which are proposals, and which of these are hits."""
    sides = np.minimum(boxes[:, None, 2:], truth[:, 2:]) - np.maximum(boxes[:, None, :2], truth[:, :2]) + 1
    shared = np.maximum(sides, 0).prod(axis=2)
    areas = [(each[:, 2:] - each[:, :2] + 1).prod(axis=1) for each in (boxes, truth)]
    overlaps = shared / (areas[0][:, None] + areas[1] - shared)
    best = overlaps.argmax(axis=1)
    near = overlaps.max(axis=1) >= OVERLAP
    hits, taken = np.zeros(len(boxes), np.bool_), set()
    for index in np.nonzero(near & counted[best])[0]:
        hits[index] = best[index] not in taken
        taken.add(best[index])
    return ~near | counted[best], hits


def _at_steps(
    scores: NDArray[np.float64], proposals: NDArray[np.bool_], hits: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Numbers (2, STEPS) of proposals and hits down to each score; scores in descending order."""
    limits = 1 - np.arange(1, STEPS + 1) / STEPS
    down_to = np.searchsorted(-scores, -limits, side="right")
    return np.stack([np.append(0, np.cumsum(each))[down_to] for each in (proposals, hits)]).astype(np.float64)


def _area(proposals: NDArray[np.float64], hits: NDArray[np.float64], faces: int) -> float:
    precision = np.append(hits / np.maximum(1, proposals), 0)
    recall = np.concatenate(([0], hits / max(1, faces)))
    best = np.maximum.accumulate(precision[::-1])[::-1]
    return float((np.diff(recall) * best[:-1]).sum())

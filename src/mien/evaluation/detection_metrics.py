"""How good found faces are: average precision and recall. NumPy.

A found face is right when it overlaps a true one by half (intersection over union), each true one once, the surest
first. True faces that do not count are neither missed nor wrong when found, and so are found faces without a true one
that are smaller than those that count (the rule of COCO, Lin et al., ECCV 2014). Nor are found faces of which half lies
in a box where nobody is sure what is shown (COCO's rule for crowds).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.detection.boxes import FloatArray, iou

OVERLAP = 0.5
NO_BOXES: FloatArray = np.zeros((0, 4), np.float32)
SMALLEST_PX = 20.0
"""Size, the square root of the area, from which a face counts (DATA.md)."""


@dataclass(frozen=True)
class Matches:
    """Found and true faces of one picture."""

    scores: FloatArray
    """(N,) of the found faces that are right or wrong; others are left out."""
    right: NDArray[np.bool_]
    """(N,)."""
    counted: NDArray[np.bool_]
    """(M,) whether each true face counts."""


def match(
    boxes: FloatArray,
    scores: FloatArray,
    truth: FloatArray,
    counted: NDArray[np.bool_],
    smallest_px: float = SMALLEST_PX,
    unsure: FloatArray = NO_BOXES,
) -> Matches:
    """Match found boxes (N, 4) with scores (N,) to true ones (M, 4), of which `counted` (M,) are measured.

    unsure: boxes (K, 4) of what may be faces, or many faces.
    """
    taken = np.zeros(len(truth), np.bool_)
    kept: list[tuple[float, bool]] = []
    for index in np.argsort(-scores, kind="stable"):
        shared = np.where(taken, 0, iou(boxes[index], truth)) if len(truth) else np.zeros(0)
        # Faces that count come first, so that a doubtful one beside them does not take the hit.
        for candidates in (np.where(counted, shared, 0), shared):
            best = int(candidates.argmax()) if len(candidates) else -1
            if best >= 0 and candidates[best] >= OVERLAP:
                taken[best] = True
                if counted[best]:
                    kept.append((float(scores[index]), True))
                break
        else:
            if size_px(boxes[index]) >= smallest_px and not (covered_shares(boxes[index], unsure) >= OVERLAP).any():
                kept.append((float(scores[index]), False))
    return Matches(
        np.array([score for score, _ in kept], np.float32),
        np.array([right for _, right in kept], np.bool_),
        counted,
    )


def covered_shares(box: FloatArray, others: FloatArray) -> FloatArray:
    """The share (K,) of a box (4,) that lies in each of the others (K, 4)."""
    sides = np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2])
    shares: FloatArray = np.maximum(sides, 0).prod(axis=1) / max(1e-9, float((box[2:] - box[:2]).prod()))
    return shares


def size_px(box: FloatArray) -> float:
    """The square root of a box's area."""
    return float(np.sqrt((box[2] - box[0]) * (box[3] - box[1])))


def average_precision(pictures: Sequence[Matches]) -> float:
    """The area under precision over recall, where precision is the best at any higher recall (PASCAL VOC 2010)."""
    faces = sum(int(each.counted.sum()) for each in pictures)
    scores = np.concatenate([each.scores for each in pictures])
    right = np.concatenate([each.right for each in pictures])[np.argsort(-scores, kind="stable")]
    hits = np.cumsum(right)
    precision = hits / np.arange(1, len(right) + 1)
    best = np.maximum.accumulate(precision[::-1])[::-1]
    return float(best[right].sum() / max(1, faces))


def precision(pictures: Sequence[Matches]) -> float:
    """The share of the found faces that are right; nan where none is found."""
    found = sum(len(each.right) for each in pictures)
    return sum(int(each.right.sum()) for each in pictures) / found if found else float("nan")


def recall(pictures: Sequence[Matches]) -> float:
    """The share of the true faces that are found."""
    found = sum(int(each.right.sum()) for each in pictures)
    return found / max(1, sum(int(each.counted.sum()) for each in pictures))

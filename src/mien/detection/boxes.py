"""Boxes and the candidates of a detector: intersection over union, non-maximum suppression, boxes of leaning faces."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mien.detection.options import LOOKS

FloatArray = NDArray[np.float32]

SHAPE = 1.29
"""Height of a face's box over its width, on LFW (DATA.md)."""
FLATTEST, LONGEST = 0.8, 1.8
"""Shapes out of these limits are those of boxes that are cut or wrong (chosen)."""


@dataclass(frozen=True)
class Candidates:
    """Faces in one picture, N of them."""

    boxes_xyxy: FloatArray
    """(N, 4) float pixels."""
    scores: FloatArray
    """(N,) from 0 to 1."""
    landmarks_xy: FloatArray
    """(N, 5, 2) float pixels: left eye, right eye, nose tip, left and right mouth corner, as seen when the face
    stands upright."""

    def __getitem__(self, chosen: NDArray[np.intp] | NDArray[np.bool_]) -> "Candidates":
        return Candidates(self.boxes_xyxy[chosen], self.scores[chosen], self.landmarks_xy[chosen])

    @property
    def sizes_px(self) -> FloatArray:
        """(N,) square roots of the boxes' areas."""
        sizes: FloatArray = np.sqrt((self.boxes_xyxy[:, 2:] - self.boxes_xyxy[:, :2]).prod(axis=1))
        return sizes

    @property
    def centres_xy(self) -> FloatArray:
        """(N, 2) of the boxes."""
        centres: FloatArray = (self.boxes_xyxy[:, :2] + self.boxes_xyxy[:, 2:]) * np.float32(0.5)
        return centres

    def moved(self, factor: FloatArray, offset: FloatArray | None = None) -> "Candidates":
        """In other pixels: x and y times `factor` (2,), plus `offset` (2,)."""
        add = np.zeros(2, np.float32) if offset is None else offset
        boxes = self.boxes_xyxy * np.tile(factor, 2) + np.tile(add, 2)
        return Candidates(boxes, self.scores, self.landmarks_xy * factor + add)


def iou(box: ArrayLike, boxes: ArrayLike) -> FloatArray:
    """Intersection over union (N,) of a box (4,) and boxes (N, 4)."""
    box, boxes = np.asarray(box), np.asarray(boxes)
    sides = np.minimum(box[2:], boxes[:, 2:]) - np.maximum(box[:2], boxes[:, :2])
    shared = np.maximum(sides, 0).prod(axis=1)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1) + (box[2:] - box[:2]).prod()
    result: FloatArray = shared / (areas - shared)
    return result


def nms(
    candidates: Candidates,
    score_threshold: float = 0.0,
    iou_threshold: float = LOOKS.nms_iou,
    voting_iou: float | None = LOOKS.voting_iou,
) -> Candidates:
    """Non-maximum suppression: the surest of each group of candidates that overlap more than `iou_threshold`.

    Its landmarks are the mean, by scores, of those of the candidates that nearly agree with it, which is steadier
    (Bazarevsky et al., "BlazeFace", 2019, https://arxiv.org/abs/1907.05047); the mean of boxes was less precise.
    score_threshold: candidates that score less are left out. voting_iou: from which on they nearly agree; None for its
    own alone.
    """
    left = np.arange(len(candidates.scores))
    kept, landmarks = [], []
    while len(left) and candidates.scores[left[0]] >= score_threshold:
        shared = iou(candidates.boxes_xyxy[left[0]], candidates.boxes_xyxy[left])
        heard = candidates.scores[left] >= min(LOOKS.voting_score, candidates.scores[left[0]])
        agreeing = left[:1] if voting_iou is None else left[heard & (shared >= voting_iou)]
        weights = candidates.scores[agreeing]
        kept.append(left[0])
        landmarks.append(np.tensordot(weights / weights.sum(), candidates.landmarks_xy[agreeing], axes=1))
        left = left[1:][shared[1:] <= iou_threshold]
    surest = candidates[np.array(kept, np.intp)]
    return replace(surest, landmarks_xy=np.array(landmarks, np.float32).reshape(-1, 5, 2))


def joined(looks: Sequence[Candidates]) -> Candidates:
    """The candidates of all looks at one picture, the surest first."""
    boxes, scores, landmarks = (
        np.concatenate([getattr(look, part) for look in looks]) for part in ("boxes_xyxy", "scores", "landmarks_xy")
    )
    return Candidates(boxes, scores, landmarks)[np.argsort(-scores, kind="stable")]


def roll_degrees(landmarks: FloatArray) -> float:
    """How far a face leans clockwise, as seen in the picture, by its eyes; landmarks (5, 2)."""
    x, y = landmarks[1] - landmarks[0]
    return math.degrees(math.atan2(float(y), float(x)))


def leaning_half_sides(half_width: float, half_height: float, roll: float) -> tuple[float, float]:
    """Of the box around a face that leans by `roll` degrees, from those of it upright; the face is an ellipse."""
    cosine, sine = math.cos(math.radians(roll)), math.sin(math.radians(roll))
    return (
        math.hypot(half_width * cosine, half_height * sine),
        math.hypot(half_width * sine, half_height * cosine),
    )


def upright_box(box: FloatArray, roll: float) -> tuple[float, float, float, float]:
    """The box of a face that stood upright, from the box (4,) of it as it leans by `roll` degrees.

    The face is taken as an ellipse, as in training. Near 45 degrees the leaning box does not tell height from width:
    from 15 to 25 degrees beside a quarter turn on, the usual shape of a face comes in.
    """
    x0, y0, x1, y1 = (float(value) for value in box)
    wide, high = ((x1 - x0) / 2) ** 2, ((y1 - y0) / 2) ** 2
    turns = round(roll / 90)
    rest = abs(roll - 90 * turns)
    if turns % 2:
        wide, high = high, wide
    shape = SHAPE
    if rest < 25:
        cosine, sine = math.cos(math.radians(rest)) ** 2, math.sin(math.radians(rest)) ** 2
        width, height = max(1e-9, wide * cosine - high * sine), max(1e-9, high * cosine - wide * sine)
        own = min(max(math.sqrt(height / width), FLATTEST), LONGEST)
        shape = SHAPE + (own - SHAPE) * min(1.0, (25 - rest) / 10)
    half_width = math.sqrt((wide + high) / (1 + shape**2))  # the sum of squares stays as the face leans
    half_height = half_width * shape
    x, y = (x0 + x1) / 2, (y0 + y1) / 2
    return (x - half_width, y - half_height, x + half_width, y + half_height)

"""The face detector's runtime: a picture to its network, the network's maps to boxes, scores and landmarks. NumPy.

Each cell of a map with stride s has 15 values: the logit of the score; the face's centre, as its distance from the
cell's centre in units of s; logarithms of the face's width and height in units of 4 s; and five landmarks, x and y, as
their distance from the face's centre in units of half its width and half its height.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mien.preprocessing import ImageArray

STRIDES = (8, 16, 32)
VALUES = 15
SIZE = 4
"""Box sides are learned in units of so many strides (chosen: the middle of the sizes of a stride)."""

LONGEST_PX = 416
"""Longer side of the network's input, unless asked for otherwise (chosen by latency)."""
MOST_ENLARGED = 4.0
"""Smaller pictures are enlarged until they are so large, but not further than this (chosen)."""
NARROWEST_PX = 96
"""Oblong pictures are not shrunk until their shorter side has fewer pixels, in the first look (chosen)."""
LARGEST_PX = 4096
"""No side of the network's input is longer."""
WELL_FOUND_PX, SMALLER = 256, 3
"""Faces that are larger than this in the network's input are often missed. So pictures whose longer side is longer are
also looked at so many times smaller, and these again (chosen; an eighth more pixels)."""
SMALLEST_AGAIN_PX = 48
"""Size (square root of the area) of the smallest faces that are looked for in these smaller pictures (chosen: the boxes
of smaller ones are better in the larger picture)."""
SURE = 0.6
"""Faces that the network is less sure of are left out, unless asked for otherwise: none of 60 held-out pictures without
people has one then, 3 at 0.55 (chosen on these)."""
OVERLAP = 0.4
"""Candidates that overlap more are one face (chosen)."""
AGREEING, HEARD = 0.7, 0.3
"""Candidates that overlap the surest one of a face by so much, with scores from the second on, have a say in its
landmarks (chosen on LFW's faces that were learned from)."""
SHAPE = 1.29
"""Height of a face's box over its width, on LFW (DATA.md)."""
FLATTEST, LONGEST = 0.8, 1.8
"""Shapes out of these limits are those of boxes that are cut or wrong (chosen)."""
MULTIPLE_PX = 32
"""The sides of the network's input are multiples of the largest stride."""

FloatArray = NDArray[np.float32]
Maps = Sequence[FloatArray]
"""One map (15, H/s, W/s) for each stride."""


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


def decode(maps: Maps, score_threshold: float) -> Candidates:
    """All cells that score enough, of the maps (15, H/s, W/s) of one picture; the surest first."""
    logit = float(np.log(score_threshold / (1 - score_threshold)))
    values, centres, strides = [], [], []
    for found, stride in zip(maps, STRIDES, strict=True):
        rows, columns = np.nonzero(found[0] > logit)
        values.append(found[:, rows, columns].T)
        centres.append((np.stack((columns, rows), axis=1) + 0.5) * stride)
        strides.append(np.full((len(rows), 1), stride))
    value, centre, step = (np.concatenate(part).astype(np.float32) for part in (values, centres, strides))
    middle = centre + value[:, 1:3] * step
    half = np.exp(np.minimum(value[:, 3:5], 5)) * step * np.float32(SIZE / 2)  # no face is larger than e^5 * 4 strides
    landmarks = middle[:, None] + value[:, 5:].reshape(-1, 5, 2) * half[:, None]
    scores = (1 / (1 + np.exp(-value[:, 0]))).astype(np.float32)
    candidates = Candidates(np.concatenate((middle - half, middle + half), axis=1), scores, landmarks)
    return candidates[np.argsort(-scores, kind="stable")]


def overlaps(box: FloatArray, boxes: FloatArray) -> FloatArray:
    """Intersection over union (N,) of a box (4,) and boxes (N, 4)."""
    sides = np.minimum(box[2:], boxes[:, 2:]) - np.maximum(box[:2], boxes[:, :2])
    shared = np.maximum(sides, 0).prod(axis=1)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1) + (box[2:] - box[:2]).prod()
    result: FloatArray = shared / (areas - shared)
    return result


def without_repetitions(candidates: Candidates, overlap: float, score_threshold: float = 0.0) -> Candidates:
    """Non-maximum suppression: the surest of each group of candidates that overlap more than allowed, and score enough.

    Its landmarks are the mean, by scores, of those of the candidates that nearly agree with it, which is steadier
    (Bazarevsky et al., "BlazeFace", 2019, https://arxiv.org/abs/1907.05047); the mean of boxes was less precise.
    """
    left = np.arange(len(candidates.scores))
    kept, landmarks = [], []
    while len(left) and candidates.scores[left[0]] >= score_threshold:
        shared = overlaps(candidates.boxes_xyxy[left[0]], candidates.boxes_xyxy[left])
        heard = candidates.scores[left] >= min(HEARD, candidates.scores[left[0]])
        agreeing = left[heard & (shared >= AGREEING)]
        weights = candidates.scores[agreeing]
        kept.append(left[0])
        landmarks.append(np.tensordot(weights / weights.sum(), candidates.landmarks_xy[agreeing], axes=1))
        left = left[1:][shared[1:] <= overlap]
    surest = candidates[np.array(kept, np.intp)]
    return replace(surest, landmarks_xy=np.array(landmarks, np.float32).reshape(-1, 5, 2))


def find_faces(
    image: ImageArray, network: Callable[[ImageArray], Maps], longest_px: int, score_threshold: float, overlap: float
) -> Candidates:
    """The faces in an RGB image uint8 (H, W, 3), in its pixels, the surest first, by looks at the whole of it.

    network: from uint8 (H, W, 3), sides divisible by 32, to its maps. longest_px, looks: see `whole_looks`.
    """
    looks = whole_looks(Image.fromarray(image), network, longest_px, min(score_threshold, HEARD))
    return without_repetitions(joined(looks), overlap, score_threshold)


def whole_looks(
    image: Image.Image, network: Callable[[ImageArray], Maps], longest_px: int, score_threshold: float
) -> list[Candidates]:
    """Candidates in an RGB picture, in its pixels, by looks at the whole of it; several may stand for one face.

    longest_px: pictures are shrunk or enlarged until their longer side has about so many pixels (limits: see the
    constants above); each side then becomes the nearest multiple of 32. Larger pictures are also looked at `SMALLER`
    times smaller, and so on.
    """
    picture, (width, height) = image, image.size
    scale = first_scale(width, height, longest_px)
    looks: list[Candidates] = []
    while not looks or max(height, width) * scale * SMALLER > WELL_FOUND_PX:
        size = (input_side(width * scale), input_side(height * scale))
        if size != picture.size:
            picture = picture.resize(size, Image.Resampling.BILINEAR, reducing_gap=1.0 if looks else 2.0)
        found = decode(network(np.asarray(picture)), score_threshold)
        if looks:
            found = found[found.sizes_px >= SMALLEST_AGAIN_PX]
        looks.append(found.moved(np.array([width / size[0], height / size[1]], np.float32)))
        scale /= SMALLER
    return looks


def first_scale(width: int, height: int, longest_px: int) -> float:
    """By how much a picture is enlarged for the first look at it."""
    longer, shorter = max(height, width), min(height, width)
    return min(MOST_ENLARGED, LARGEST_PX / longer, max(longest_px / longer, min(1.0, NARROWEST_PX / shorter)))


def input_side(side_px: float) -> int:
    """The side of the network's input that is nearest to so many pixels."""
    return max(1, round(side_px / MULTIPLE_PX)) * MULTIPLE_PX


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

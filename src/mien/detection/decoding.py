"""The face detector's runtime: a picture to its network, the network's maps to boxes, scores and landmarks. NumPy.

Each cell of a map with stride s has 15 values: the logit of the score; the face's centre, as its distance from the
cell's centre in units of s; logarithms of the face's width and height in units of 4 s; and five landmarks, x and y, as
their distance from the face's centre in units of half its width and half its height.
"""

from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image

from mien.detection.boxes import Candidates, FloatArray, joined, nms
from mien.detection.options import LOOKS
from mien.preprocessing import ImageArray

STRIDES = (8, 16, 32)
VALUES = 15
SIZE = 4
"""Box sides are learned in units of so many strides (chosen: the middle of the sizes of a stride)."""

MULTIPLE_PX = 32
"""The sides of the network's input are multiples of the largest stride."""

Maps = Sequence[FloatArray]
"""One map (15, H/s, W/s) for each stride."""


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


def find_faces(
    image: ImageArray, network: Callable[[ImageArray], Maps], longest_px: int, score_threshold: float
) -> Candidates:
    """The faces in an RGB image uint8 (H, W, 3), in its pixels, the surest first, by looks at the whole of it.

    network: from uint8 (H, W, 3), sides divisible by 32, to its maps. longest_px, looks: see `whole_looks`.
    """
    looks = whole_looks(Image.fromarray(image), network, longest_px, min(score_threshold, LOOKS.voting_score))
    return nms(joined(looks), score_threshold)


def whole_looks(
    image: Image.Image, network: Callable[[ImageArray], Maps], longest_px: int, score_threshold: float
) -> list[Candidates]:
    """Candidates in an RGB picture, in its pixels, by looks at the whole of it; several may stand for one face.

    longest_px: pictures are shrunk or enlarged until their longer side has about so many pixels (limits: see
    options.py); each side then becomes the nearest multiple of 32. Larger pictures are also looked at smaller.
    """
    picture, (width, height) = image, image.size
    scale = first_scale(width, height, longest_px)
    looks: list[Candidates] = []
    while not looks or max(height, width) * scale * LOOKS.times_smaller > LOOKS.well_found_px:
        size = (input_side(width * scale), input_side(height * scale))
        if size != picture.size:
            picture = picture.resize(size, Image.Resampling.BILINEAR, reducing_gap=1.0 if looks else 2.0)
        found = decode(network(np.asarray(picture)), score_threshold)
        if looks:
            found = found[found.sizes_px >= LOOKS.smallest_again_px]
        looks.append(found.moved(np.array([width / size[0], height / size[1]], np.float32)))
        scale /= LOOKS.times_smaller
    return looks


def first_scale(width: int, height: int, longest_px: int) -> float:
    """By how much a picture is enlarged for the first look at it."""
    longer, shorter = max(height, width), min(height, width)
    return min(
        LOOKS.most_enlarged, LOOKS.largest_px / longer, max(longest_px / longer, min(1.0, LOOKS.narrowest_px / shorter))
    )


def input_side(side_px: float) -> int:
    """The side of the network's input that is nearest to so many pixels."""
    return max(1, round(side_px / MULTIPLE_PX)) * MULTIPLE_PX

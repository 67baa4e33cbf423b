"""Photographs looked at as finely as their pixels allow, within a budget: whole first, then finer in tiles.

Looking again at overlapping tiles of a large picture is the idea of SAHI (Akyon et al., ICIP 2022,
https://arxiv.org/abs/2202.06934); there all tiles are looked at. Here the whole picture is looked at ever more finely,
up to 1,280 pixels, in tiles where it is large; a last, still finer look takes only the tiles where small faces are
suggested.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mien.detection.boxes import (
    Candidates,
    FloatArray,
    iou,
    joined,
    nms,
)
from mien.detection.decoding import (
    MULTIPLE_PX,
    Maps,
    decode,
    first_scale,
    input_side,
    whole_looks,
)
from mien.detection.options import LOOKS
from mien.preprocessing import ImageArray


@dataclass(frozen=True)
class Stretch:
    """One side of a tile."""

    start: float
    """Where it begins, in pixels of the picture."""
    end: float
    owned: tuple[float, float]
    """From where to where faces' centres belong to this tile and not to a neighbour."""
    side_px: int
    """Of the network's input."""


@dataclass(frozen=True)
class Tile:
    """A part of a picture, or the whole, and how it is looked at."""

    across: Stretch
    down: Stretch

    @property
    def pixels(self) -> int:
        """Of the network's input."""
        return self.across.side_px * self.down.side_px

    @property
    def is_whole(self) -> bool:
        """Whether there is no other tile."""
        return self.across.owned == self.down.owned == (-math.inf, math.inf)

    def owns(self, found: Candidates) -> NDArray[np.bool_]:
        """Whether each candidate, in pixels of the picture, belongs to this tile."""
        x, y = found.centres_xy.T
        (left, right), (top, bottom) = self.across.owned, self.down.owned
        owned: NDArray[np.bool_] = (x >= left) & (x < right) & (y >= top) & (y < bottom)
        return owned


def stretches(length: int, scale: float) -> list[Stretch]:
    """The sides of the tiles that cover `length` pixels of a picture, in order, at a scale of at most 1."""
    seen = length * scale
    count = max(1, math.ceil((seen - LOOKS.shared_px) / (LOOKS.tile_px - LOOKS.shared_px)))
    if count == 1:
        return [Stretch(0.0, float(length), (-math.inf, math.inf), input_side(seen))]
    side_px = math.ceil((seen + (count - 1) * LOOKS.shared_px) / count / MULTIPLE_PX) * MULTIPLE_PX
    # Whole pixels of the look: where it is 2, 3 ... times coarser than the picture, pixels are only averaged.
    starts = [math.floor(index * (seen - side_px) / (count - 1)) / scale for index in range(count)]
    side = side_px / scale
    borders = [(before + side + start) / 2 for before, start in pairwise(starts)]
    owned = zip([-math.inf, *borders], [*borders, math.inf], strict=True)
    return [Stretch(start, start + side, own, side_px) for start, own in zip(starts, owned, strict=True)]


def find_in_photograph(image: ImageArray, network: Callable[[ImageArray], Maps], score_threshold: float) -> Candidates:
    """The faces in an RGB image uint8 (H, W, 3), in its pixels, the surest first.

    network: from uint8 (H, W, 3), sides divisible by 32, to its maps.
    """
    picture, heard = Image.fromarray(image), min(score_threshold, LOOKS.voting_score)
    width, height = picture.size
    first, *finer = whole_scales(width, height)
    seen, scale = joined(whole_looks(picture, network, LOOKS.longest_px, min(heard, LOOKS.suggesting_score))), first
    for following in finer:
        parts = [
            look_at(picture, tile, network, min(heard, LOOKS.suggesting_score))
            for tile in tiles(width, height, following)
        ]
        large = seen[seen.sizes_px * scale >= LOOKS.well_seen_px]
        seen, scale = joined([large, confirmed(joined(parts), seen, scale)]), following
    suggested = seen[(seen.scores >= LOOKS.suggesting_score) & (seen.sizes_px * scale <= LOOKS.largest_suggested_px)]
    parts = [look_at(picture, tile, network, heard) for tile in closest(width, height, scale, suggested)]
    if parts:
        seen = joined([seen, confirmed(joined(parts), seen, scale)])
    return nms(seen[seen.scores >= heard], score_threshold)


def whole_scales(width: int, height: int) -> list[float]:
    """By how much a picture is enlarged for each look at the whole of it, ever finer; all but small ones are shrunk."""
    scales = [first_scale(width, height, LOOKS.longest_px)]
    for longest_px in LOOKS.finer_looks_px:
        finer = min(first_scale(width, height, longest_px), max(1.0, LOOKS.enlarged_px / max(width, height)))
        if finer >= scales[-1] * LOOKS.least_finer:
            scales.append(finer)
    return scales


def confirmed(found: Candidates, before: Candidates, scale: float) -> Candidates:
    """Of the candidates of a look, those that the looks before, the last at `scale`, suggested or hardly could."""
    suggesting = before.boxes_xyxy[before.scores >= LOOKS.suggesting_score]
    doubtful = found.sizes_px * scale >= LOOKS.well_seen_px
    believed = [
        not doubt or bool((iou(box, suggesting) >= LOOKS.confirming_iou).any())
        for doubt, box in zip(doubtful, found.boxes_xyxy, strict=True)
    ]
    return found[np.array(believed, np.bool_)]


def tiles(width: int, height: int, scale: float) -> list[Tile]:
    """The tiles of a look at the whole of a picture, row by row."""
    return [Tile(across, down) for down in stretches(height, scale) for across in stretches(width, scale)]


def closest(width: int, height: int, scale: float, suggested: Candidates) -> list[Tile]:
    """The tiles around suggested faces, as fine as the options allow; none where that is not finer.

    Pictures are shrunk 1, 1.5, 2 ... times: by whole numbers, pixels need only be averaged, which is fast.
    """
    for halves in range(
        max(2, math.ceil(2 / (scale * LOOKS.most_finer))), math.floor(2 / (scale * LOOKS.least_finer)) + 1
    ):
        chosen = [tile for tile in tiles(width, height, 2 / halves) if tile.owns(suggested).any()]
        if sum(tile.pixels for tile in chosen) <= LOOKS.budget_px:
            return chosen
    return []


def look_at(
    picture: Image.Image, tile: Tile, network: Callable[[ImageArray], Maps], score_threshold: float
) -> Candidates:
    """Candidates in a tile that belong to it and are not too large for it, in pixels of the picture."""
    size = (tile.across.side_px, tile.down.side_px)
    box = (tile.across.start, tile.down.start, min(tile.across.end, picture.width), min(tile.down.end, picture.height))
    seen = picture.resize(size, Image.Resampling.BILINEAR, box, reducing_gap=1.0)
    found = decode(network(np.asarray(seen)), score_threshold)
    if not tile.is_whole:
        found = found[found.sizes_px <= LOOKS.largest_in_tile_px]
    factor: FloatArray = np.array([(box[2] - box[0]) / size[0], (box[3] - box[1]) / size[1]], np.float32)
    found = found.moved(factor, np.array(box[:2], np.float32))
    return found[tile.owns(found)]

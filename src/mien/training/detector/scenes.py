"""Scenes to learn face detection from: mosaics of labelled pictures, turned, zoomed and cut, on the device.

Each picture shows its main face in a tile of its own; a scene has 1 to 64 tiles, so that faces are between a few
pixels and larger than the scene. A mosaic (Bochkovskiy et al., "YOLOv4", 2020, https://arxiv.org/abs/2004.10934) of
portraits is the only way to small faces where all labelled faces are about 100 pixels wide. Where a tile is larger than
its portrait, a picture without people surrounds it.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from mien.training.detector.degradation import degrade, relight
from mien.training.detector.occluders import occlude
from mien.training.detector.scene_pictures import ANY_SHARE, LEVELS, PICTURE_PX, SURE_BOX, WHOLE_SHARE, Pictures
from mien.training.masking import uniform

BLURRED, BLURRED_PX = 0.35, 16
"""This share of the tiles is sampled from a smaller size than need be, in which faces are at least so high (chosen)."""
LAYOUT = {1: 6, 2: 12, 3: 7, 4: 4, 6: 2, 8: 1}
"""Of 32 scenes, how many have 1, 2x2, 3x3 ... tiles (chosen)."""
SMALLEST_PX = 12.0
"""Smaller faces (square root of the area) are neither faces nor background."""


@dataclass(frozen=True)
class SceneFaces:
    """The faces of B scenes, F in all."""

    scene: Tensor
    """int64 (F,)."""
    boxes_xyxy: Tensor
    """float32 (F, 4) pixels of the scene: what is seen of the upright bounding box of the face."""
    landmarks_xy: Tensor
    """float32 (F, 5, 2) pixels of the scene, in the order of `Photograph`."""
    seen: Tensor
    """bool (F, 5): whether a landmark lies in the face's tile."""
    ignored: Tensor
    """bool (F,): too small, cut off or doubtful; such cells are left out of the loss."""


@dataclass(frozen=True)
class _Placement:
    """Where each of T tiles takes its pixels from: source = centre + turn (place - focus)."""

    picture: Tensor
    """int64 (T,)."""
    turn: Tensor
    """(T, 2, 2), in pixels of the picture for one of the tile."""
    centre: Tensor
    """(T, 2) pixels of the picture."""
    focus: Tensor
    """(T, 2) pixels of the tile."""
    zoom: Tensor
    """(T,) pixels of the tile for one of the picture."""
    angle: Tensor
    """(T,) radians, clockwise as seen."""
    mirrored: Tensor
    """bool (T,)."""


def compose(
    pictures: Pictures,
    count: int,
    size_px: int,
    empty_share: float,
    draw: torch.Generator,
    plain_share: float = 0.0,
) -> tuple[Tensor, SceneFaces]:
    """Scenes float32 (B, 3, S, S) on the scale 0 to 1, with their faces.

    empty_share: how many of the tiles show pictures without faces. draw: on the device of the pictures. plain_share:
    how many of the scenes are not covered, lit anew or degraded.
    """
    plain = uniform((count, 1, 1, 1), 0, 1, pictures.boxes, draw) < plain_share if plain_share else None
    scenes, faces, first = [], [], 0
    for tiles, scene_count in layout(count).items():
        placement = _place(pictures, scene_count * tiles * tiles, size_px // tiles, empty_share, draw)
        places = source_places(placement, size_px // tiles)
        sampled = _surround(pictures, placement, places, _sample(pictures, placement, places, draw), draw)
        occluded = occlude(sampled.clone(), places, pictures.landmarks[placement.picture, 0], draw)
        changed = _joined(relight(occluded, draw), tiles)
        if plain is not None:
            changed = torch.where(plain[first : first + scene_count], _joined(sampled, tiles).clamp(0, 1), changed)
        scenes.append(changed)
        faces.append(_faces(pictures, placement, size_px // tiles, tiles, first))
        first += scene_count
    images = torch.cat(scenes)
    degraded = degrade(images, draw)
    images = degraded if plain is None else torch.where(plain, images, degraded)
    return images, SceneFaces(*(torch.cat(part) for part in zip(*faces, strict=True)))


def layout(count: int) -> dict[int, int]:
    """How many of a number of scenes have 1, 2x2, 3x3 ... tiles."""
    ends = np.round(np.cumsum(list(LAYOUT.values())) * count / sum(LAYOUT.values())).astype(int)
    shares = np.diff(ends, prepend=0)
    return {tiles: int(share) for tiles, share in zip(LAYOUT, shares, strict=True) if share}


def _place(pictures: Pictures, count: int, tile_px: int, empty_share: float, draw: torch.Generator) -> _Placement:
    like = pictures.boxes

    def drawn(low: float, high: float, *shape: int) -> Tensor:
        return uniform((count, *shape), low, high, like, draw)

    empty = drawn(0, 1) < (empty_share if pictures.empty else 0)
    picture = (drawn(0, 1) * pictures.with_faces).long()
    picture = torch.where(empty, pictures.with_faces + (drawn(0, 1) * pictures.empty).long(), picture)
    box = pictures.boxes[picture, 0]
    largest = 1.25 if tile_px >= 144 else 1.0
    smallest = (0.2 if tile_px >= 96 else 0.3 if tile_px >= 72 else 0.45) if pictures.empty else 0.45
    height_px = tile_px * (drawn(0, 1) * math.log(largest / smallest)).exp() * smallest
    fits = tile_px / PICTURE_PX
    empty_zoom = max(0.4, fits) * (drawn(0, 1) * math.log(1.5 / 0.4)).exp()
    zoom = torch.where(empty, empty_zoom, height_px / (box[:, 3] - box[:, 1]).clamp(min=1))
    anywhere = PICTURE_PX / 2 * (1 + drawn(-1, 1, 2) * (1 - fits / empty_zoom)[:, None])
    centre = torch.where(empty[:, None], anywhere, (box[:, :2] + box[:, 2:]) / 2)
    room = (tile_px / 2 - 0.3 * height_px).clamp(min=0)  # a fifth of the face may be cut off
    focus = tile_px / 2 + drawn(-1, 1, 2) * room[:, None]
    slight = torch.randn(count, generator=draw, device=like.device) * math.radians(8)
    angle = torch.where(drawn(0, 1) < 0.5, slight, drawn(-math.radians(50), math.radians(50)))
    mirrored = drawn(0, 1) < 0.5
    cosine, sine = angle.cos() / zoom, angle.sin() / zoom
    flip = torch.where(mirrored, -1.0, 1.0)
    turn = torch.stack((torch.stack((flip * cosine, flip * sine), 1), torch.stack((-sine, cosine), 1)), 1)
    return _Placement(picture, turn, centre, focus, zoom, angle, mirrored)


def source_places(placement: _Placement, tile_px: int) -> Tensor:
    """Where each pixel of each tile lies in its picture, float (T, t, t, 2)."""
    steps = torch.arange(tile_px, device=placement.zoom.device) + 0.5
    offset = steps[:, None] - placement.focus[:, None]  # (T, t, 2), to the right and down
    across = offset[:, :, :1] * placement.turn[:, None, :, 0] + placement.centre[:, None]
    down = offset[:, :, 1:] * placement.turn[:, None, :, 1]
    return across[:, None] + down[:, :, None]


def _surround(
    pictures: Pictures, placement: _Placement, places: Tensor, tiles: Tensor, draw: torch.Generator
) -> Tensor:
    """Put pictures without people where tiles (T, 3, t, t) reach beyond their portraits, with soft seams; in place."""
    if not pictures.empty:
        return tiles
    tile_px = tiles.shape[2]
    from_edge = torch.minimum(places, PICTURE_PX - places).amin(dim=3) - pictures.edges[placement.picture, None, None]
    softness = uniform((len(tiles), 1, 1), 1, 6, tiles, draw)
    portrait = (from_edge * placement.zoom[:, None, None] / softness).clamp(0, 1)
    (chosen,) = torch.nonzero(portrait.amin(dim=(1, 2)) < 1, as_tuple=True)
    if len(chosen):
        behind = _place(pictures, len(chosen), tile_px, 1.0, draw)
        ground = _sample(pictures, behind, source_places(behind, tile_px), draw)
        tiles[chosen] = ground + portrait[chosen, None] * (tiles[chosen] - ground)
    return tiles


def _sample(pictures: Pictures, placement: _Placement, places: Tensor, draw: torch.Generator) -> Tensor:
    """The tiles' pixels float (T, 3, t, t) on the scale 0 to 1; some are blurred, from a smaller size."""
    tile_px = places.shape[1]
    heights = pictures.boxes[placement.picture, 0, 3] - pictures.boxes[placement.picture, 0, 1]
    height = torch.where(heights > 0, heights, PICTURE_PX / 2)
    chance, by = uniform((2, len(places)), 0, 1, placement.zoom, draw)
    most = 4 if tile_px >= 144 else 3
    level = (-placement.zoom.log2()).round().clamp(min=0)
    coarsest = (height / BLURRED_PX).log2().floor()
    blurred = torch.minimum(level + 1 + (by * (most - 1)).floor(), coarsest)
    level = torch.where(chance < BLURRED, torch.maximum(level, blurred), level).clamp(max=LEVELS - 1).long()
    grid = places * (2 / PICTURE_PX) - 1
    tiles = torch.empty(len(grid), 3, tile_px, tile_px, device=grid.device)
    for number, pixels in enumerate(pictures.levels):
        (chosen,) = torch.nonzero(level == number, as_tuple=True)
        if len(chosen):
            source = pixels[placement.picture[chosen]].float().mul_(1 / 255)
            tiles[chosen] = functional.grid_sample(source, grid[chosen], padding_mode="border", align_corners=False)
    return tiles


def _joined(tiles: Tensor, side: int) -> Tensor:
    """Tiles (B side side, C, t, t) as scenes (B, C, side t, side t)."""
    count, channels, size_px, _ = tiles.shape
    rows = tiles.view(count // side**2, side, side, channels, size_px, size_px)
    return rows.permute(0, 3, 1, 4, 2, 5).reshape(-1, channels, side * size_px, side * size_px)


def _faces(pictures: Pictures, placement: _Placement, tile_px: int, tiles: int, first: int) -> tuple[Tensor, ...]:
    """The fields of SceneFaces for tiles of scenes that are numbered from `first`."""
    picture = placement.picture
    scores, boxes = pictures.scores[picture], pictures.boxes[picture]  # (T, M), (T, M, 4)
    tile, place = torch.nonzero(scores, as_tuple=True)
    centres = (boxes[tile, place, :2] + boxes[tile, place, 2:]) / 2
    halves = (boxes[tile, place, 2:] - boxes[tile, place, :2]) / 2
    forward = torch.linalg.inv(placement.turn)[tile]  # (F, 2, 2)

    def moved(points: Tensor) -> Tensor:
        return (
            torch.einsum("fpj,fij->fpi", points - placement.centre[tile, None], forward) + placement.focus[tile, None]
        )

    middle = moved(centres[:, None])[:, 0]
    # Of the turned face, taken as an ellipse in its box.
    cosine, sine = placement.angle[tile].cos().square(), placement.angle[tile].sin().square()
    squared = halves.square()
    half = torch.stack(
        (squared[:, 0] * cosine + squared[:, 1] * sine, squared[:, 0] * sine + squared[:, 1] * cosine), dim=1
    )
    half = half.sqrt() * placement.zoom[tile, None]
    whole = torch.cat((middle - half, middle + half), dim=1)
    inside = whole.clamp(0, tile_px)
    area = (4 * half.prod(dim=1)).clamp(min=1e-6)
    share = (inside[:, 2:] - inside[:, :2]).prod(dim=1) / area
    landmarks = moved(pictures.landmarks[picture][tile, place])
    exchanged = landmarks[:, [1, 0, 2, 4, 3]]
    landmarks = torch.where(placement.mirrored[tile, None, None], exchanged, landmarks)
    seen = ((landmarks >= 0) & (landmarks < tile_px)).all(dim=2)
    doubtful = scores[tile, place] < SURE_BOX
    ignored = (share < WHOLE_SHARE) | ((share * area).sqrt() < SMALLEST_PX) | doubtful
    corner = torch.stack((tile % tiles, tile // tiles % tiles), dim=1) * tile_px
    kept = share >= ANY_SHARE
    scene = first + tile // (tiles * tiles)
    fields = (scene, inside + corner.repeat(1, 2), landmarks + corner[:, None], seen, ignored)
    return tuple(field[kept] for field in fields)

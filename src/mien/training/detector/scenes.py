"""Scenes to learn face detection from: mosaics of labelled pictures, turned, zoomed and cut, on the device.

Some scenes show photographs of people (crowds.py); the others are mosaics of portraits. Each portrait shows its main
face in a tile of its own; a scene has 1 to 64 tiles, so that faces are between a few pixels and larger than the scene.
A mosaic (Bochkovskiy et al., "YOLOv4", 2020, https://arxiv.org/abs/2004.10934) of portraits is the only way to small
faces where all labelled faces are about 100 pixels wide. Where a tile is larger than its picture, one without people
surrounds it.
"""

import math

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from mien.training.detector.crowds import MOST_TURNED, Crowd, cover_faces, crowd_faces, place_crowd, sample_crowd
from mien.training.detector.degradation import degrade, relight
from mien.training.detector.occluders import occlude
from mien.training.detector.scene_pictures import LEVELS, PICTURE_PX, SURE_BOX, Pictures
from mien.training.detector.tiles import Placement, SceneFaces, TileFaces, faces_in_scenes, joined, source_places, turns
from mien.training.masking import uniform

BLURRED, BLURRED_PX = 0.35, 16
"""This share of the tiles is sampled from a smaller size than need be, in which faces are at least so high (chosen)."""
LAYOUT = {1: 6, 2: 12, 3: 7, 4: 4, 6: 2, 8: 1}
"""Of 32 scenes, how many have 1, 2x2, 3x3 ... tiles (chosen)."""
CROWD_LAYOUT = {1: 5, 2: 4, 3: 2}
"""The same for scenes of photographs of people (chosen)."""


def compose(
    pictures: Pictures,
    count: int,
    size_px: int,
    empty_share: float,
    draw: torch.Generator,
    plain_share: float = 0.0,
    crowd: Crowd | None = None,
    crowd_share: float = 0.0,
) -> tuple[Tensor, SceneFaces]:
    """Scenes float32 (B, 3, S, S) on the scale 0 to 1, with their faces.

    empty_share: how many of the tiles of portraits show pictures without faces instead. draw: on the device of the
    pictures. plain_share: how many of the scenes are not covered, lit anew or degraded. crowd, crowd_share: how many of
    the scenes show photographs of people, and which.
    """
    plain = uniform((count, 1, 1, 1), 0, 1, pictures.boxes, draw) < plain_share if plain_share else None
    crowd_count = round(count * crowd_share) if crowd else 0
    scenes, faces, first = [], [], 0
    for shown, layouts in ((None, layout(count - crowd_count, LAYOUT)), (crowd, layout(crowd_count, CROWD_LAYOUT))):
        for tiles, scene_count in layouts.items():
            if shown is None:
                usual, changed, found = _portraits(pictures, scene_count, size_px, tiles, first, empty_share, draw)
            else:
                usual, changed, found = _people(pictures, shown, scene_count, size_px, tiles, first, draw)
            if plain is not None:
                changed = torch.where(plain[first : first + scene_count], usual.clamp(0, 1), changed)
            scenes.append(changed)
            faces.append(found)
            first += scene_count
    images = torch.cat(scenes)
    degraded = degrade(images, draw)
    images = degraded if plain is None else torch.where(plain, images, degraded)
    fields = zip(*(vars(each).values() for each in faces), strict=True)
    return images, SceneFaces(*(torch.cat(part) for part in fields))


def layout(count: int, shares: dict[int, int]) -> dict[int, int]:
    """How many of a number of scenes have 1, 2x2, 3x3 ... tiles."""
    ends = np.round(np.cumsum(list(shares.values())) * count / sum(shares.values())).astype(int)
    counts = np.diff(ends, prepend=0)
    return {tiles: int(share) for tiles, share in zip(shares, counts, strict=True) if share}


def _portraits(
    pictures: Pictures, count: int, size_px: int, tiles: int, first: int, empty_share: float, draw: torch.Generator
) -> tuple[Tensor, Tensor, SceneFaces]:
    """Scenes of portraits as photographed, then covered and lit anew, with their faces."""
    tile_px = size_px // tiles
    placement = _place(pictures, count * tiles * tiles, tile_px, empty_share, draw)
    places = source_places(placement, tile_px)
    from_edge = torch.minimum(places, PICTURE_PX - places).amin(dim=3) - pictures.edges[placement.picture, None, None]
    sampled = _sample(pictures, placement, places, draw)
    sampled = _surround(pictures, from_edge * placement.zoom[:, None, None], sampled, draw)
    occluded = occlude(sampled.clone(), places, pictures.landmarks[placement.picture, 0], draw)
    faces = faces_in_scenes(_faces(pictures, placement), placement, tile_px, tiles, first)
    return joined(sampled, tiles), joined(relight(occluded, draw), tiles), faces


def _people(
    pictures: Pictures, crowd: Crowd, count: int, size_px: int, tiles: int, first: int, draw: torch.Generator
) -> tuple[Tensor, Tensor, SceneFaces]:
    """Scenes of photographs of people as photographed, then covered and lit anew, with their faces."""
    tile_px = size_px // tiles
    placement = place_crowd(crowd, count * tiles * tiles, tile_px, draw)
    sampled, inside = sample_crowd(crowd, placement, source_places(placement, tile_px), draw)
    scenes = joined(_surround(pictures, inside, sampled, draw), tiles)
    faces = faces_in_scenes(crowd_faces(crowd, placement), placement, tile_px, tiles, first)
    covered = scenes.clone()
    cover_faces(covered, faces, first, draw)
    return scenes, relight(covered, draw), faces


def _place(pictures: Pictures, count: int, tile_px: int, empty_share: float, draw: torch.Generator) -> Placement:
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
    angle = torch.where(drawn(0, 1) < 0.5, slight, drawn(-math.radians(MOST_TURNED), math.radians(MOST_TURNED)))
    mirrored = drawn(0, 1) < 0.5
    return Placement(picture, turns(zoom, angle, mirrored), centre, focus, zoom, angle, mirrored)


def _surround(pictures: Pictures, inside: Tensor, tiles: Tensor, draw: torch.Generator) -> Tensor:
    """Put pictures without people where tiles (T, 3, t, t) reach beyond their photographs, with soft seams; in place.

    inside: (T, t, t), how far each pixel lies inside its photograph, in pixels of the tile.
    """
    if not pictures.empty:
        return tiles
    softness = uniform((len(tiles), 1, 1), 1, 6, tiles, draw)
    shown = (inside / softness).clamp(0, 1)
    (chosen,) = torch.nonzero(shown.amin(dim=(1, 2)) < 1, as_tuple=True)
    if len(chosen):
        behind = _place(pictures, len(chosen), tiles.shape[2], 1.0, draw)
        ground = _sample(pictures, behind, source_places(behind, tiles.shape[2]), draw)
        tiles[chosen] = ground + shown[chosen, None] * (tiles[chosen] - ground)
    return tiles


def _sample(pictures: Pictures, placement: Placement, places: Tensor, draw: torch.Generator) -> Tensor:
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


def _faces(pictures: Pictures, placement: Placement) -> TileFaces:
    """The faces of the portraits of tiles."""
    scores, boxes = pictures.scores[placement.picture], pictures.boxes[placement.picture]  # (T, M), (T, M, 4)
    tile, place = torch.nonzero(scores, as_tuple=True)
    box = boxes[tile, place]
    return TileFaces(
        tile,
        (box[:, :2] + box[:, 2:]) / 2,
        (box[:, 2:] - box[:, :2]) / 2,
        torch.zeros(len(tile), device=box.device),
        pictures.landmarks[placement.picture][tile, place],
        torch.ones(len(tile), dtype=torch.bool, device=box.device),
        scores[tile, place] < SURE_BOX,
    )

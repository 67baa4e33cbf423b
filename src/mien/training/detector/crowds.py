"""Tiles that show a part of a photograph of people at the density they come in, turned, zoomed and cut.

Zooms are chosen so that one face, drawn at random, has a size drawn at random; the others are as large as they are
beside it. Where the photograph ends, a picture without people begins (scenes.py).
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from mien.datasets.photographs import Photograph
from mien.detection.boxes import roll_degrees, upright_box
from mien.errors import DatasetError
from mien.training.detector.occluders import occlude
from mien.training.detector.scene_pictures import LEVELS
from mien.training.detector.tiles import Placement, SceneFaces, TileFaces, turns
from mien.training.masking import uniform

SIZES_PX = (9.0, 200.0)
"""Sizes (square root of the area) that the drawn face of a tile gets, log-uniform (chosen)."""
FILLED, MOST_ENLARGED = 0.9, 2.5
"""The longer side of a photograph fills at least this share of its tile; it is not enlarged further (chosen)."""
AIMED = 0.8
"""Share of the tiles that are aimed at a face; the others show any part of the photograph (chosen)."""
TURNED, MOST_TURNED = 0.35, 60
"""Share of the tiles that are turned by any angle up to so many degrees; the others lean by few (chosen)."""
EYES_APART = 0.25
"""Faces whose eyes are nearer to each other, in sizes of the face, are in profile: their eyes do not tell how they
lean (chosen)."""
MOST_LEANING = 50
"""Nor do eyes that tell of more degrees."""
BLURRED = 0.3
"""Share of the tiles that are sampled from a smaller size than need be (chosen)."""
COVERED = 0.6
"""Share of the scenes in which some faces are covered; of which share, is drawn for each (chosen)."""
REACH = 2.8
"""What covers a face lies in a square that reaches so many distances of the eyes around its nose."""


class Crowd:
    """Photographs of people, decoded, with their faces."""

    def __init__(self, photographs: Sequence[Photograph], device: torch.device) -> None:
        self.levels = [_levels(each.read(), device) for each in photographs]
        """For each photograph its pixels uint8 (3, H, W) and smaller copies, each half of the one before."""
        faces = [_faces_of(each) for each in photographs]
        counts = torch.tensor([len(each.doubtful) for each in faces])
        self.starts = torch.cat((torch.zeros(1, dtype=torch.int64), counts.cumsum(0))).to(device)
        fields = ("centres", "halves", "rolls", "landmarks", "known", "doubtful")
        self.faces = {name: torch.cat([getattr(each, name) for each in faces]).to(device) for name in fields}
        sure = torch.tensor([len(each.boxes_xyxy) for each in photographs], dtype=torch.float32, device=device)
        self.sure = sure.long()
        self.weights = sure.clamp(min=1).sqrt()  # crowds are shown more often, but not in proportion to their faces
        self.sizes = torch.tensor([level[0].shape[:0:-1] for level in self.levels], device=device)  # width, height


def _levels(image: NDArray[np.uint8], device: torch.device) -> list[Tensor]:
    levels = [torch.tensor(image, device=device).permute(2, 0, 1).contiguous()]
    while len(levels) < LEVELS and min(levels[-1].shape[1:]) >= 16:
        height, width = (side // 2 for side in levels[-1].shape[1:])
        half = functional.interpolate(levels[-1][None].float(), (height, width), mode="area")
        levels.append(half[0].round_().to(torch.uint8))
    return levels


def _faces_of(photograph: Photograph) -> TileFaces:
    """Sure faces first, then unsure ones."""
    sure, unsure = photograph.boxes_xyxy, photograph.unsure_boxes_xyxy
    if len(sure) and photograph.landmarks_xy is None:
        raise DatasetError(f"{photograph.source}: expected landmarks of its faces to learn from, found none")
    landmarks = np.zeros((len(sure) + len(unsure), 5, 2), np.float32)
    if photograph.landmarks_xy is not None:
        landmarks[: len(sure)] = photograph.landmarks_xy
    boxes, rolls = np.concatenate((sure, unsure)), np.zeros(len(landmarks), np.float32)
    for index, box in enumerate(sure):
        size, roll = math.sqrt((box[2] - box[0]) * (box[3] - box[1])), roll_degrees(landmarks[index])
        apart = np.linalg.norm(landmarks[index, 1] - landmarks[index, 0])
        if apart >= EYES_APART * size and abs(roll) <= MOST_LEANING:
            rolls[index] = math.radians(roll)
            boxes[index] = upright_box(box, roll)
    corners = torch.from_numpy(boxes)
    known = torch.arange(len(boxes)) < len(sure)
    return TileFaces(
        torch.zeros(len(boxes), dtype=torch.int64),
        (corners[:, :2] + corners[:, 2:]) / 2,
        (corners[:, 2:] - corners[:, :2]) / 2,
        torch.from_numpy(rolls),
        torch.from_numpy(landmarks),
        known,
        ~known,
    )


def place_crowd(crowd: Crowd, count: int, tile_px: int, draw: torch.Generator) -> Placement:
    """Which part of which photograph each of some tiles shows."""

    def drawn(low: float, high: float, *shape: int) -> Tensor:
        return uniform((count, *shape), low, high, crowd.weights, draw)

    def log_uniform(low: float, high: float) -> Tensor:
        return (drawn(0, 1) * math.log(high / low)).exp() * low

    picture = torch.multinomial(crowd.weights, count, replacement=True, generator=draw)
    size = crowd.sizes[picture].float()
    aimed = (drawn(0, 1) < AIMED) & (crowd.sure[picture] > 0)
    face = crowd.starts[picture] + (drawn(0, 1) * crowd.sure[picture]).long()
    face = torch.where(aimed, face, 0)
    face_px = 2 * crowd.faces["halves"][face].prod(dim=1).sqrt()
    largest = min(SIZES_PX[1], 0.8 * tile_px)
    zoom = torch.where(aimed, log_uniform(SIZES_PX[0], largest) / face_px, log_uniform(0.35, 1.6))
    zoom = torch.maximum(zoom.clamp(max=MOST_ENLARGED), FILLED * tile_px / size.amax(dim=1))
    wanted = torch.where(aimed[:, None], crowd.faces["centres"][face], size * drawn(0, 1, 2))
    centre = wanted + drawn(-0.4, 0.4, 2) * tile_px / zoom[:, None]
    half = (tile_px / 2 / zoom)[:, None]
    low, high = torch.minimum(half, size - half), torch.maximum(half, size - half)
    centre = torch.minimum(torch.maximum(centre, low), high)  # the tile in the photograph, or this in the tile
    slight = torch.randn(count, generator=draw, device=centre.device) * math.radians(6)
    most = math.radians(MOST_TURNED)
    angle = torch.where(drawn(0, 1) < TURNED, drawn(-most, most), slight)
    mirrored = drawn(0, 1) < 0.5
    focus = torch.full((count, 2), tile_px / 2, device=centre.device)
    return Placement(picture, turns(zoom, angle, mirrored), centre, focus, zoom, angle, mirrored)


def sample_crowd(crowd: Crowd, placement: Placement, places: Tensor, draw: torch.Generator) -> tuple[Tensor, Tensor]:
    """The pixels of tiles float (T, 3, t, t) on the scale 0 to 1, and how far each lies inside its photograph, in
    pixels of the tile (T, t, t); some tiles are blurred, from a smaller size."""
    count, tile_px = places.shape[:2]
    blurred = uniform((count,), 0, 1, placement.zoom, draw) < BLURRED
    level = (-placement.zoom.log2()).round().clamp(min=0) + blurred
    tiles = torch.empty(count, 3, tile_px, tile_px, device=places.device)
    for tile, (number, picture) in enumerate(zip(level.long().tolist(), placement.picture.tolist(), strict=True)):
        levels = crowd.levels[picture]
        pixels = levels[min(number, len(levels) - 1)]
        scale = torch.tensor([pixels.shape[2], pixels.shape[1]], device=places.device) / crowd.sizes[picture]
        where = places[tile] * scale
        low = (where.amin(dim=(0, 1)) - 2).long().clamp(min=0).tolist()
        high = (where.amax(dim=(0, 1)) + 3).long().tolist()
        part = pixels[:, low[1] : max(high[1], low[1] + 1), low[0] : max(high[0], low[0] + 1)]
        sides = torch.tensor([part.shape[2], part.shape[1]], device=places.device)
        grid = (where - torch.tensor(low, device=places.device)) * (2 / sides) - 1
        source = part[None].float().mul_(1 / 255)
        tiles[tile] = functional.grid_sample(source, grid[None], padding_mode="border", align_corners=False)[0]
    size = crowd.sizes[placement.picture][:, None, None]
    inside = torch.minimum(places, size - places).amin(dim=3) * placement.zoom[:, None, None]
    return tiles, inside


def crowd_faces(crowd: Crowd, placement: Placement) -> TileFaces:
    """The faces of the photographs of tiles."""
    begin, end = crowd.starts[placement.picture], crowd.starts[placement.picture + 1]
    tile = torch.arange(len(begin), device=begin.device).repeat_interleave(end - begin)
    nth = torch.arange(len(tile), device=begin.device) - (end - begin).cumsum(0).sub(end - begin)[tile]
    return TileFaces(tile, **{name: values[begin[tile] + nth] for name, values in crowd.faces.items()})


def cover_faces(images: Tensor, faces: SceneFaces, first: int, draw: torch.Generator) -> None:
    """Hide parts of some faces of scenes (B, 3, S, S) that are numbered from `first`, in place."""
    size_px = images.shape[2]
    chance = uniform((len(images),), 0, 1, images, draw)
    share = torch.where(chance < COVERED, uniform((len(images),), 0, 1, images, draw), 0.0)
    covered = uniform((len(faces.scene),), 0, 1, images, draw) < share[faces.scene - first]
    apart = (faces.landmarks_xy[:, 1] - faces.landmarks_xy[:, 0]).norm(dim=1)
    size = (faces.boxes_xyxy[:, 2:] - faces.boxes_xyxy[:, :2]).prod(dim=1).sqrt()
    covered &= ~faces.ignored & (apart >= EYES_APART * size)
    for face in torch.nonzero(covered)[:, 0].tolist():
        nose, reach = faces.landmarks_xy[face, 2], REACH * apart[face]
        left, top = (nose - reach).long().clamp(min=0).tolist()
        right, bottom = (nose + reach + 1).long().clamp(max=size_px).tolist()
        if right <= left or bottom <= top:
            continue
        window = images[faces.scene[face] - first, :, top:bottom, left:right]
        across = torch.arange(left, right, device=images.device) + 0.5
        down = torch.arange(top, bottom, device=images.device) + 0.5
        places = torch.stack(torch.meshgrid(across, down, indexing="xy"), dim=-1)
        window.copy_(occlude(window[None].clone(), places[None], faces.landmarks_xy[face][None], draw)[0])

"""Tiles of scenes: where their pixels come from, and where that puts the faces."""

from dataclasses import dataclass

import torch
from torch import Tensor

from mien.training.detector.scene_pictures import ANY_SHARE, WHOLE_SHARE

SMALLEST_PX = 10.0
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
class Placement:
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


@dataclass(frozen=True)
class TileFaces:
    """The faces of the pictures that T tiles show, F in all, as they are in the pictures."""

    tile: Tensor
    """int64 (F,)."""
    centres: Tensor
    """(F, 2) pixels of the picture."""
    halves: Tensor
    """(F, 2): half the width and height that the face would have if it stood upright."""
    rolls: Tensor
    """(F,) radians that it leans clockwise."""
    landmarks: Tensor
    """(F, 5, 2) pixels of the picture."""
    known: Tensor
    """bool (F,) whether the landmarks are known."""
    doubtful: Tensor
    """bool (F,): neither face nor background."""


def turns(zoom: Tensor, angle: Tensor, mirrored: Tensor) -> Tensor:
    """`Placement.turn` (T, 2, 2)."""
    cosine, sine = angle.cos() / zoom, angle.sin() / zoom
    flip = torch.where(mirrored, -1.0, 1.0)
    return torch.stack((torch.stack((flip * cosine, flip * sine), 1), torch.stack((-sine, cosine), 1)), 1)


def source_places(placement: Placement, tile_px: int) -> Tensor:
    """Where each pixel of each tile lies in its picture, float (T, t, t, 2)."""
    steps = torch.arange(tile_px, device=placement.zoom.device) + 0.5
    offset = steps[:, None] - placement.focus[:, None]  # (T, t, 2), to the right and down
    across = offset[:, :, :1] * placement.turn[:, None, :, 0] + placement.centre[:, None]
    down = offset[:, :, 1:] * placement.turn[:, None, :, 1]
    return across[:, None] + down[:, :, None]


def joined(tiles: Tensor, side: int) -> Tensor:
    """Tiles (B side side, C, t, t) as scenes (B, C, side t, side t)."""
    count, channels, size_px, _ = tiles.shape
    rows = tiles.view(count // side**2, side, side, channels, size_px, size_px)
    return rows.permute(0, 3, 1, 4, 2, 5).reshape(-1, channels, side * size_px, side * size_px)


def faces_in_scenes(faces: TileFaces, placement: Placement, tile_px: int, tiles: int, first: int) -> SceneFaces:
    """The faces of tiles, tiles x tiles of them a scene, in scenes that are numbered from `first`."""
    tile = faces.tile
    forward = torch.linalg.inv(placement.turn)[tile]  # (F, 2, 2)

    def moved(points: Tensor) -> Tensor:
        return (
            torch.einsum("fpj,fij->fpi", points - placement.centre[tile, None], forward) + placement.focus[tile, None]
        )

    middle = moved(faces.centres[:, None])[:, 0]
    # Of the turned face, taken as an ellipse in its box.
    angle = torch.where(placement.mirrored[tile], -faces.rolls, faces.rolls) + placement.angle[tile]
    cosine, sine = angle.cos().square(), angle.sin().square()
    squared = faces.halves.square()
    half = torch.stack(
        (squared[:, 0] * cosine + squared[:, 1] * sine, squared[:, 0] * sine + squared[:, 1] * cosine), dim=1
    )
    half = half.sqrt() * placement.zoom[tile, None]
    whole = torch.cat((middle - half, middle + half), dim=1)
    inside = whole.clamp(0, tile_px)
    area = (4 * half.prod(dim=1)).clamp(min=1e-6)
    share = (inside[:, 2:] - inside[:, :2]).prod(dim=1) / area
    landmarks = moved(faces.landmarks)
    exchanged = landmarks[:, [1, 0, 2, 4, 3]]
    landmarks = torch.where(placement.mirrored[tile, None, None], exchanged, landmarks)
    seen = ((landmarks >= 0) & (landmarks < tile_px)).all(dim=2) & faces.known[:, None]
    ignored = (share < WHOLE_SHARE) | ((share * area).sqrt() < SMALLEST_PX) | faces.doubtful
    corner = torch.stack((tile % tiles, tile // tiles % tiles), dim=1) * tile_px
    scene = first + tile // (tiles * tiles)
    kept = share >= ANY_SHARE
    return SceneFaces(
        scene[kept],
        (inside + corner.repeat(1, 2))[kept],
        (landmarks + corner[:, None])[kept],
        seen[kept],
        ignored[kept],
    )

"""What hides a part of a face, drawn by code: medical and cloth masks, sunglasses, round and oblong things like hands.

They are drawn in coordinates of the face: u along the eyes, v down the face, both in distances between the eyes, with
the middle of the eyes as the origin. A nose tip lies near v = 0.6, a mouth near 1.1, a chin near 1.8.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from mien.training.masking import uniform

MASKS, SUNGLASSES, BLOBS = 0.5, 0.07, 0.15
"""Shares of the tiles with one of these (chosen: four fifths of the faces of faces-dev wear masks)."""


def occlude(tiles: Tensor, places: Tensor, landmarks: Tensor, draw: torch.Generator) -> Tensor:
    """Hide parts of some faces.

    tiles: float (T, 3, t, t) on the scale 0 to 1, changed in place. places: (T, t, t, 2), where each pixel lies in the
    picture that landmarks (T, 5, 2) belong to; landmarks that are all 0 mean that there is no face.
    """
    which = uniform((len(tiles),), 0, 1, tiles, draw)
    has_face = landmarks.any(dim=2).any(dim=1)
    first = 0.0
    for share, drawn in ((MASKS, mask), (SUNGLASSES, _sunglasses), (BLOBS, _blob)):
        (chosen,) = torch.nonzero(has_face & (which >= first) & (which < first + share), as_tuple=True)
        first += share
        if len(chosen):
            tiles[chosen] = draw_over(tiles[chosen], places[chosen], landmarks[chosen], drawn, draw)
    return tiles


def draw_over(
    tiles: Tensor, places: Tensor, landmarks: Tensor, drawn: Callable[..., tuple[Tensor, Tensor]], draw: torch.Generator
) -> Tensor:
    """Hide a part of each face, changing tiles in place; see `occlude`. drawn: `mask`, or another of its kind."""
    u, v, edge = _face_coordinates(places, landmarks)
    depth, colour = drawn(tiles, u, v, draw)
    cover = (depth / edge[:, None, None] + 0.5).clamp(0, 1)[:, None]  # edges about a pixel wide
    tiles += cover * (colour.clamp(0, 1) - tiles)
    return tiles


def _face_coordinates(places: Tensor, landmarks: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """u and v (N, t, t) of places (N, t, t, 2), and the size of a pixel in them (N,)."""
    eyes = landmarks[:, 1] - landmarks[:, 0]
    between = eyes.norm(dim=1).clamp(min=1)
    along = eyes / between[:, None]
    offset = places - landmarks[:, :2].mean(dim=1)[:, None, None]
    scale = between[:, None, None]
    u = (offset * along[:, None, None]).sum(dim=3) / scale
    v = (offset[..., 1] * along[:, 0, None, None] - offset[..., 0] * along[:, 1, None, None]) / scale
    pixel = (places[:, 0, 1] - places[:, 0, 0]).norm(dim=1) / between
    return u, v, pixel


def mask(tiles: Tensor, u: Tensor, v: Tensor, draw: torch.Generator) -> tuple[Tensor, Tensor]:
    """How deep inside the mask each pixel lies (N, t, t), and its colour (N, 3, t, t)."""

    def drawn(low: float, high: float) -> Tensor:
        return uniform((len(tiles), 1, 1), low, high, tiles, draw)

    top = drawn(0.2, 0.7) + drawn(-0.05, 0.3) * u.square()  # from the bridge of the nose to under it
    depth = torch.minimum(v - top, 1 - ((u / drawn(0.85, 1.15)).square() + ((v - 0.4) / drawn(1.3, 1.7)).square()))
    shade = 1 - drawn(0, 0.35) * u.square() + drawn(0, 0.1) * (v * drawn(8, 25) + drawn(0, 6)).sin()
    pattern = drawn(0, 0.25) * (drawn(0, 1) < 0.3) * (u * drawn(5, 20)).sin() * (v * drawn(5, 20)).sin()
    palette = torch.tensor([[0.92, 0.92, 0.92], [0.55, 0.75, 0.88], [0.1, 0.1, 0.12]], device=tiles.device)
    usual = palette[(drawn(0, 1)[:, 0, 0] * len(palette)).long()]
    own = uniform((len(tiles), 3), 0, 1, tiles, draw)
    base = torch.where(drawn(0, 1)[:, 0] < 0.7, usual, own) * uniform((len(tiles), 1), 0.6, 1.1, tiles, draw)
    return depth, base[:, :, None, None] * ((shade + pattern)[:, None] + drawn(0, 0.7)[:, None] * _light(tiles))


def _light(tiles: Tensor) -> Tensor:
    """How much lighter (1) or darker (-1) than the whole tile its parts are, (N, 1, t, t), without detail."""
    grey = functional.adaptive_avg_pool2d(tiles.mean(dim=1, keepdim=True), 5)
    relative = grey / grey.mean(dim=(2, 3), keepdim=True).clamp(min=0.02) - 1
    return functional.interpolate(relative.clamp(-1, 1), tiles.shape[2:], mode="bilinear", align_corners=False)


def _sunglasses(tiles: Tensor, u: Tensor, v: Tensor, draw: torch.Generator) -> tuple[Tensor, Tensor]:
    def drawn(low: float, high: float) -> Tensor:
        return uniform((len(tiles), 1, 1), low, high, tiles, draw)

    lens = 1 - (((u.abs() - 0.5) / drawn(0.36, 0.5)).square() + ((v - 0.05) / drawn(0.22, 0.4)).square())
    bridge = torch.minimum(drawn(0.03, 0.08) - v.abs(), drawn(0.5, 1.1) - u.abs())
    base = uniform((len(tiles), 3, 1, 1), 0, 0.25, tiles, draw)
    reflection = drawn(0, 0.4) * torch.sigmoid(6 * (u - v + drawn(-1, 1)))
    return torch.maximum(lens, bridge), base + reflection[:, None]


def _blob(tiles: Tensor, u: Tensor, v: Tensor, draw: torch.Generator) -> tuple[Tensor, Tensor]:
    def drawn(low: float, high: float) -> Tensor:
        return uniform((len(tiles), 1, 1), low, high, tiles, draw)

    angle = drawn(0, math.pi)
    u, v = u - drawn(-1.1, 1.1), v - drawn(-0.7, 1.9)
    along, across = u * angle.cos() + v * angle.sin(), v * angle.cos() - u * angle.sin()
    along_share, across_share = (along / drawn(0.3, 1.2)).abs(), (across / drawn(0.2, 0.6)).abs()
    oblong = drawn(0, 1) < 0.5
    depth = 1 - torch.where(oblong, torch.maximum(along_share, across_share), along_share**2 + across_share**2)
    skin = tiles.mean(dim=(2, 3), keepdim=True) * uniform((len(tiles), 1, 1, 1), 0.8, 1.4, tiles, draw)
    own = uniform((len(tiles), 3, 1, 1), 0, 1, tiles, draw)
    base = torch.where(drawn(0, 1)[:, None] < 0.5, skin, own)
    return depth, base * (1 + 0.1 * (along * drawn(3, 15)).sin())[:, None]

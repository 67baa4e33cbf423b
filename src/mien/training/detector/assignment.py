"""Which cells of a face detector's maps learn which faces.

`assign_centres`: those near the middle of a face, on the stride that suits its size (centre sampling of FCOS, Tian et
al., ICCV 2019, https://arxiv.org/abs/1904.01355). `assign_by_cost`: those that already answer it best, as many as their
overlaps add up to (SimOTA of YOLOX, Ge et al., 2021, https://arxiv.org/abs/2107.08430), with the costs of RTMDet's
dynamic soft labels (Lyu et al., 2022, https://arxiv.org/abs/2212.07784), which suit scores that learn the overlap.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from mien.detection.decoding import SIZE, STRIDES
from mien.training.detector.tiles import SceneFaces

RANGES_PX = ((0.0, 56.0), (44.0, 240.0), (128.0, math.inf))
"""Sizes of faces (square root of the area) that each stride learns (chosen). They overlap, so that no face has a stride
where it is background although it looks like those that are not; large faces, which are few, are learned by both."""
REACH = 0.25
"""Of the cell that holds a face's centre and the eight around it, those learn the face whose centres are no further
from its own than this share of the box's sides (chosen), and the first one always."""
MOST_OVERLAPS = 13
"""The sum of so many of the largest overlaps is how many cells learn a face (RTMDet)."""
OVERLAP_WEIGHT = 3.0
"""Weight of the cost of overlaps (YOLOX, RTMDet)."""
CENTRE_BASE, CENTRE_STRIDES = 10.0, 3.0
"""A cell whose centre is d strides from the face's costs the first to the power of d minus the second (RTMDet)."""
FORBIDDEN = 1e6


@dataclass(frozen=True)
class Cells:
    """All cells of the maps of B scenes, one after the other: strides, then rows, then columns."""

    centres: Tensor
    """float (A, 2) pixels."""
    strides: Tensor
    """float (A,)."""
    starts: tuple[int, ...]
    """Index of the first cell of each stride."""
    size_px: int
    """Side of the scene."""


def all_cells(size_px: int, device: torch.device) -> Cells:
    """The cells of square scenes."""
    centres: list[Tensor] = []
    strides: list[Tensor] = []
    starts: list[int] = []
    for stride in STRIDES:
        steps = (torch.arange(size_px // stride, device=device) + 0.5) * stride
        starts.append(sum(map(len, centres)))
        centres.append(torch.stack(torch.meshgrid(steps, steps, indexing="xy"), dim=-1).reshape(-1, 2))
        strides.append(torch.full((len(centres[-1]),), float(stride), device=device))
    return Cells(torch.cat(centres), torch.cat(strides), tuple(starts), size_px)


def assign_centres(faces: SceneFaces, cells: Cells) -> tuple[Tensor, Tensor]:
    """Which cells learn which faces: int64 (P,) indices into all cells of all scenes, and (P,) into the faces.

    Where two faces claim a cell, the nearer one, in sizes of the face, has it.
    """
    boxes = faces.boxes_xyxy
    middle, sides = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]
    size = sides.prod(dim=1).sqrt()
    claims = []
    for level, (low, high) in enumerate(RANGES_PX):
        (face,) = torch.nonzero((size >= low) & (size < high) & ~faces.ignored, as_tuple=True)
        index, inside = _nine_cells(faces, cells, level, face)
        stride, cell = STRIDES[level], index % len(cells.strides)
        distance = (cells.centres[cell] - middle[face, None]).abs() / sides[face, None]  # in sides of the box
        holds = ((cells.centres[cell] - middle[face, None]).abs() <= stride / 2).all(dim=2)
        allowed = ((distance <= REACH).all(dim=2) | holds) & inside
        claimed = face[:, None].expand_as(index)[allowed]
        claims.append((index[allowed], claimed, distance.square().sum(dim=2)[allowed]))
    return _cheapest(*(torch.cat(parts) for parts in zip(*claims, strict=True)))


def _nine_cells(faces: SceneFaces, cells: Cells, level: int, face: Tensor) -> tuple[Tensor, Tensor]:
    """The cell of a stride that holds the centre of each face (F,), and the eight around it.

    Returns int64 (F, 9) indices into all cells of all scenes, and bool (F, 9) whether they lie in the scene; the
    indices of those that do not are of other cells.
    """
    stride, start, device = STRIDES[level], cells.starts[level], face.device
    side = cells.size_px // stride
    around = torch.tensor([[x, y] for y in (-1, 0, 1) for x in (-1, 0, 1)], device=device)
    boxes = faces.boxes_xyxy[face]
    place = ((boxes[:, :2] + boxes[:, 2:]) / (2 * stride)).floor().long()[:, None] + around
    inside = ((place >= 0) & (place < side)).all(dim=2)
    place = place.clamp(0, side - 1)
    first = (faces.scene[face] * len(cells.strides) + start)[:, None]
    return first + place[..., 1] * side + place[..., 0], inside


def assign_by_cost(faces: SceneFaces, cells: Cells, values: Tensor) -> tuple[Tensor, Tensor]:
    """As `assign_centres`, by the maps' values (B, A, 15): of the nine cells around a face's centre on each stride.

    A face's k cheapest cells learn it, where k is the sum of its largest overlaps, at least 1; where two faces claim a
    cell, the cheaper one has it.
    """
    (face,) = torch.nonzero(~faces.ignored, as_tuple=True)
    found = [_nine_cells(faces, cells, level, face) for level in range(len(STRIDES))]
    index, inside = (torch.cat(parts, dim=1) for parts in zip(*found, strict=True))  # (F, 27)
    cell = index % len(cells.strides)
    value = values.reshape(-1, values.shape[2])[index].flatten(0, 1)
    centres, strides = cells.centres[cell], cells.strides[cell]
    boxes, _ = decode_cells(value, centres.flatten(0, 1), strides.flatten())
    wanted = faces.boxes_xyxy[face]
    overlap, _ = overlap_and_distance(boxes, wanted.repeat_interleave(index.shape[1], dim=0))
    overlap = overlap.view_as(index).clamp(0, 1) * inside
    logits = value[:, 0].view_as(index)
    wrong = (overlap - logits.sigmoid()).square()
    score_cost = functional.binary_cross_entropy_with_logits(logits, overlap, reduction="none") * wrong
    middle = (wanted[:, :2] + wanted[:, 2:]) / 2
    apart = (centres - middle[:, None]).norm(dim=2) / strides
    cost = score_cost - OVERLAP_WEIGHT * (overlap + 1e-7).log() + CENTRE_BASE ** (apart - CENTRE_STRIDES)
    cost = torch.where(inside, cost, FORBIDDEN)
    count = overlap.topk(MOST_OVERLAPS, dim=1).values.sum(dim=1).long().clamp(min=1)
    rank = cost.argsort(dim=1, stable=True).argsort(dim=1)
    chosen = (rank < count[:, None]) & inside
    return _cheapest(index[chosen], face[:, None].expand_as(index)[chosen], cost[chosen])


def _cheapest(index: Tensor, face: Tensor, cost: Tensor) -> tuple[Tensor, Tensor]:
    """Of claims (P,) to cells, the cheapest for each cell."""
    order = torch.argsort(cost, descending=True, stable=True)  # so that the cheapest is last
    index, face = index[order], face[order]
    unique, inverse = torch.unique(index, return_inverse=True)
    last = torch.zeros(len(unique), dtype=torch.int64, device=index.device)
    last = last.scatter_reduce(0, inverse, torch.arange(len(index), device=index.device), "amax")
    return unique, face[last]


def decode_cells(values: Tensor, centres: Tensor, strides: Tensor) -> tuple[Tensor, Tensor]:
    """Boxes (P, 4) and landmarks (P, 5, 2) in pixels of values (P, 15) of cells, as in mien/detection/decoding.py."""
    step = strides[:, None]
    middle = centres + values[:, 1:3] * step
    half = values[:, 3:5].clamp(max=5).exp() * (SIZE / 2) * step
    landmarks = middle[:, None] + values[:, 5:].view(-1, 5, 2) * half[:, None]
    return torch.cat((middle - half, middle + half), dim=1), landmarks


def overlap_and_distance(boxes: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor]:
    """Intersection over union (P,) of pairs of boxes (P, 4), and the distance of their centres by DIoU's measure."""
    shared = (torch.minimum(boxes[:, 2:], wanted[:, 2:]) - torch.maximum(boxes[:, :2], wanted[:, :2])).clamp(min=0)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(dim=1) + (wanted[:, 2:] - wanted[:, :2]).prod(dim=1)
    shared_area = shared.prod(dim=1)
    around = torch.maximum(boxes[:, 2:], wanted[:, 2:]) - torch.minimum(boxes[:, :2], wanted[:, :2])
    apart = (boxes[:, :2] + boxes[:, 2:] - wanted[:, :2] - wanted[:, 2:]) / 2
    return shared_area / (areas - shared_area), apart.square().sum(dim=1) / around.square().sum(dim=1)

"""What a face detector's maps should hold, and how wrong they are.

Cells near the middle of a face, on the stride that suits its size, learn it (centre sampling of FCOS, Tian et al.,
ICCV 2019, https://arxiv.org/abs/1904.01355). Scores learn the overlap of the predicted box by the quality focal loss
(Li et al., "Generalized Focal Loss", NeurIPS 2020, https://arxiv.org/abs/2006.04388), boxes by the distance-IoU loss
(Zheng et al., AAAI 2020, https://arxiv.org/abs/1911.08287), landmarks by their distance in distances of the eyes.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from mien.detection.face_finder import SIZE, STRIDES
from mien.training.detector.scenes import SceneFaces

RANGES_PX = ((0.0, 56.0), (44.0, 240.0), (128.0, math.inf))
"""Sizes of faces (square root of the area) that each stride learns (chosen). They overlap, so that no face has a stride
where it is background although it looks like those that are not; large faces, which are few, are learned by both."""
NARROWEST_EYES = 0.1
"""The eyes count as at least so far apart, in sizes of the face (chosen): those of faces in profile nearly meet."""
LANDMARK_WEIGHTS, WEIGHT_ONE_PX = (0.1, 3.0), 64.0
"""Landmarks count by the size of their face, those of a face of so many pixels once, within limits (chosen): the small
ones' errors, in distances of the eyes, are large and would outweigh the others'."""
REACH = 0.25
"""Of the cell that holds a face's centre and the eight around it, those learn the face whose centres are no further
from its own than this share of the box's sides (chosen), and the first one always."""


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


def assign(faces: SceneFaces, cells: Cells) -> tuple[Tensor, Tensor]:
    """Which cells learn which faces: int64 (P,) indices into all cells of all scenes, and (P,) into the faces.

    Where two faces claim a cell, the nearer one, in sizes of the face, has it.
    """
    boxes = faces.boxes_xyxy
    middle, sides = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]
    size = sides.prod(dim=1).sqrt()
    around = torch.tensor([[x, y] for y in (-1, 0, 1) for x in (-1, 0, 1)], device=size.device)
    claims = []
    for stride, start, (low, high) in zip(STRIDES, cells.starts, RANGES_PX, strict=True):
        (face,) = torch.nonzero((size >= low) & (size < high) & ~faces.ignored, as_tuple=True)
        side = cells.size_px // stride
        place = (middle[face] / stride).floor().long()[:, None] + around  # (F, 9, 2)
        distance = ((place + 0.5) * stride - middle[face, None]).abs() / sides[face, None]  # in sides of the box
        allowed = (distance <= REACH).all(dim=2) | (around == 0).all(dim=1)
        allowed &= ((place >= 0) & (place < side)).all(dim=2)
        index = (faces.scene[face] * len(cells.strides) + start)[:, None] + place[..., 1] * side + place[..., 0]
        claimed = face[:, None].expand(-1, len(around))[allowed]
        claims.append((index[allowed], claimed, distance.square().sum(dim=2)[allowed]))
    index, face, near = (torch.cat(parts) for parts in zip(*claims, strict=True))
    order = torch.argsort(near, descending=True, stable=True)  # so that the nearest is written last
    index, face = index[order], face[order]
    unique, last = _last_of_each(index)
    return unique, face[last]


def _last_of_each(values: Tensor) -> tuple[Tensor, Tensor]:
    """The different values, and where each stands last."""
    unique, inverse = torch.unique(values, return_inverse=True)
    last = torch.zeros(len(unique), dtype=torch.int64, device=values.device)
    places = torch.arange(len(values), device=values.device)
    return unique, last.scatter_reduce(0, inverse, places, "amax")


def in_ignored(faces: SceneFaces, cells: Cells, count: int) -> Tensor:
    """Whether cells bool (B, A) lie in the box of a face that is neither face nor background, or hold its middle."""
    boxes = faces.boxes_xyxy[faces.ignored]
    middle, half = (boxes[:, None, :2] + boxes[:, None, 2:]) / 2, (boxes[:, None, 2:] - boxes[:, None, :2]) / 2
    reach = torch.maximum(half, cells.strides[:, None] / 2)
    inside = ((cells.centres - middle).abs() < reach).all(dim=2)
    result = torch.zeros(count, len(cells.strides), device=boxes.device)
    return result.index_add_(0, faces.scene[faces.ignored], inside.float()) > 0


def decode_cells(values: Tensor, centres: Tensor, strides: Tensor) -> tuple[Tensor, Tensor]:
    """Boxes (P, 4) and landmarks (P, 5, 2) in pixels of values (P, 15) of cells, as in mien/face_finder.py."""
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


def detection_losses(maps: tuple[Tensor, ...], faces: SceneFaces) -> dict[str, Tensor]:
    """The losses `score`, `box` and `landmark` of maps (B, 15, H/s, W/s) of square scenes, and the mean `overlap`."""
    count = len(maps[0])
    cells = all_cells(maps[0].shape[-1] * STRIDES[0], maps[0].device)
    values = torch.cat([found.float().flatten(2) for found in maps], dim=2).transpose(1, 2)  # (B, A, 15)
    index, face = assign(faces, cells)
    cell = index % len(cells.strides)
    boxes, landmarks = decode_cells(
        values.reshape(-1, values.shape[2])[index], cells.centres[cell], cells.strides[cell]
    )
    wanted = faces.boxes_xyxy[face]
    overlap, distance = overlap_and_distance(boxes, wanted)
    positives = max(1, len(index))
    box_loss = (1 - overlap + distance).sum() / positives
    size = (wanted[:, 2:] - wanted[:, :2]).prod(dim=1).sqrt()
    where = faces.landmarks_xy[face]
    eyes = torch.maximum((where[:, 1] - where[:, 0]).norm(dim=1), NARROWEST_EYES * size)
    error = (landmarks - where).square().sum(dim=2).add(1e-10).sqrt() / eyes[:, None]
    weight = faces.seen[face] * (size / WEIGHT_ONE_PX).clamp(*LANDMARK_WEIGHTS)[:, None]
    landmark_loss = (error * weight).sum() / weight.sum().clamp(min=1)
    quality = torch.zeros(values.shape[:2], device=values.device)
    quality.view(-1)[index] = overlap.detach().clamp(0, 1)
    left_out = in_ignored(faces, cells, count)
    left_out.view(-1)[index] = False
    logits = values[..., 0]
    wrong = (quality - logits.sigmoid()).square()
    score_losses = wrong * functional.binary_cross_entropy_with_logits(logits, quality, reduction="none")
    score_loss = (score_losses * ~left_out).sum() / positives
    return {
        "score": score_loss,
        "box": box_loss,
        "landmark": landmark_loss,
        "overlap": overlap.detach().sum() / positives,
    }

"""How wrong a face detector's maps are.

Scores learn the overlap of the predicted box by the quality focal loss (Li et al., "Generalized Focal Loss", NeurIPS
2020, https://arxiv.org/abs/2006.04388), boxes by the distance-IoU loss (Zheng et al., AAAI 2020,
https://arxiv.org/abs/1911.08287), landmarks by their distance in distances of the eyes. Which cells learn which faces
is in assignment.py.
"""

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from mien.detection.decoding import STRIDES
from mien.training.detector.assignment import (
    Cells,
    all_cells,
    assign_by_cost,
    assign_centres,
    decode_cells,
    overlap_and_distance,
)
from mien.training.detector.tiles import SceneFaces

Assignment = Literal["centres", "cost"]

NARROWEST_EYES = 0.1
"""The eyes count as at least so far apart, in sizes of the face (chosen): those of faces in profile nearly meet."""
LANDMARK_WEIGHTS, WEIGHT_ONE_PX = (0.1, 3.0), 64.0
"""Landmarks count by the size of their face, those of a face of so many pixels once, within limits (chosen): the small
ones' errors, in distances of the eyes, are large and would outweigh the others'."""


def in_ignored(faces: SceneFaces, cells: Cells, count: int) -> Tensor:
    """Whether cells bool (B, A) lie in the box of a face that is neither face nor background, or hold its middle."""
    boxes = faces.boxes_xyxy[faces.ignored]
    middle, half = (boxes[:, None, :2] + boxes[:, None, 2:]) / 2, (boxes[:, None, 2:] - boxes[:, None, :2]) / 2
    reach = torch.maximum(half, cells.strides[:, None] / 2)
    inside = ((cells.centres - middle).abs() < reach).all(dim=2)
    result = torch.zeros(count, len(cells.strides), device=boxes.device)
    return result.index_add_(0, faces.scene[faces.ignored], inside.float()) > 0


def detection_losses(
    maps: tuple[Tensor, ...], faces: SceneFaces, assignment: Assignment = "centres"
) -> dict[str, Tensor]:
    """The losses `score`, `box` and `landmark` of maps (B, 15, H/s, W/s) of square scenes, and the mean `overlap`."""
    count = len(maps[0])
    cells = all_cells(maps[0].shape[-1] * STRIDES[0], maps[0].device)
    values = torch.cat([found.float().flatten(2) for found in maps], dim=2).transpose(1, 2)  # (B, A, 15)
    if assignment == "cost":
        index, face = assign_by_cost(faces, cells, values.detach())
    else:
        index, face = assign_centres(faces, cells)
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

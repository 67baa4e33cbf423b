"""The pictures that scenes are composed of, on the device: labelled ones, and ones without faces."""

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from mien.datasets.photographs import Photograph
from mien.errors import DatasetError

PICTURE_PX = 250
"""Side of all pictures, that of LFW's."""
LEVELS = 5
"""Each picture is kept in so many sizes, each half of the one before, so that small tiles are not sampled with gaps."""
MOST_FACES = 8
"""Faces of a picture that are kept, the largest ones."""
BLACK, DEEPEST_PX = 12, 45
"""LFW's turned pictures have black edges: darker than this, and taken for so deep at most."""
SURE_BOX, DOUBTFUL = 0.6, 0.1
"""Boxes of lower scores than the first are sometimes wrong (DATA.md): they are neither faces nor background. Boxes that
lie in a picture's black edge for the larger part have the second."""
WHOLE_SHARE, ANY_SHARE = 0.5, 0.15
"""A face of which this share of the box is in its tile is a face; below the second one it is none (chosen)."""


class Pictures:
    """Labelled pictures and pictures without faces as tensors on the device."""

    def __init__(self, photographs: Sequence[Photograph], device: torch.device) -> None:
        with_faces = [each for each in photographs if len(each.boxes_xyxy)]
        empty = [square for each in photographs if not len(each.boxes_xyxy) for square in _squares(each)]
        pixels = np.empty((len(with_faces) + len(empty), 3, PICTURE_PX, PICTURE_PX), np.uint8)
        edges = np.zeros(len(pixels), np.float32)
        for index, photograph in enumerate(with_faces):
            image = photograph.read()
            if image.shape[:2] != (PICTURE_PX, PICTURE_PX) or photograph.landmarks_xy is None:
                known = "no landmarks" if photograph.landmarks_xy is None else "landmarks"
                raise DatasetError(
                    f"{photograph.source}: expected {PICTURE_PX}x{PICTURE_PX} pixels and landmarks to learn faces "
                    f"from, found {image.shape[1]}x{image.shape[0]} and {known}"
                )
            pixels[index], edges[index] = image.transpose(2, 0, 1), black_edge(image)
        for index, square in enumerate(empty, start=len(with_faces)):
            pixels[index] = square.transpose(2, 0, 1)
        self.with_faces, self.empty = len(with_faces), len(empty)
        boxes = np.zeros((len(pixels), MOST_FACES, 4), np.float32)
        scores = np.zeros((len(pixels), MOST_FACES), np.float32)
        landmarks = np.zeros((len(pixels), MOST_FACES, 5, 2), np.float32)
        for index, each in enumerate(with_faces):
            assert each.landmarks_xy is not None  # checked above
            order = np.argsort(-_areas(each.boxes_xyxy))[:MOST_FACES]
            low, high = edges[index], PICTURE_PX - edges[index]
            whole = each.boxes_xyxy[order]
            boxes[index, : len(order)] = inside = whole.clip(low, high)
            share = _areas(inside) / _areas(whole)
            scores[index, : len(order)] = np.where(share < WHOLE_SHARE, DOUBTFUL, each.box_scores[order])
            landmarks[index, : len(order)] = each.landmarks_xy[order]
        self.boxes, self.scores, self.landmarks, self.edges = (
            torch.from_numpy(values).to(device) for values in (boxes, scores, landmarks, edges)
        )
        self.levels = [torch.from_numpy(pixels).to(device)]
        while len(self.levels) < LEVELS:
            self.levels.append(_halved(self.levels[-1]))


def _areas(boxes: np.ndarray) -> np.ndarray:
    areas: np.ndarray = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    return areas


def _squares(photograph: Photograph) -> list[np.ndarray]:
    """Both ends of an oblong picture, as squares."""
    image = Image.fromarray(photograph.read())
    side = min(image.size)
    corners = [(0, 0), (image.width - side, image.height - side)]
    boxes = [(x, y, x + side, y + side) for x, y in corners]
    return [np.asarray(image.resize((PICTURE_PX, PICTURE_PX), Image.Resampling.BOX, box)) for box in boxes]


def black_edge(image: np.ndarray) -> int:
    """How many rings around a picture (PICTURE_PX, PICTURE_PX, 3) have black parts; DEEPEST_PX at most."""
    from_edge = np.minimum(np.arange(PICTURE_PX), np.arange(PICTURE_PX)[::-1])
    ring = np.minimum(from_edge[:, None], from_edge)
    black = np.bincount(ring[image.max(axis=2) < BLACK], minlength=DEEPEST_PX)[:DEEPEST_PX]
    return int(np.argmax([*(black < 0.05 * np.bincount(ring.ravel())[:DEEPEST_PX]), True]))


def _halved(pixels: Tensor) -> Tensor:
    size = pixels.shape[-1] // 2
    parts = (functional.interpolate(part.float(), (size, size), mode="area") for part in torch.split(pixels, 256))
    return torch.cat([part.round_().to(torch.uint8) for part in parts])

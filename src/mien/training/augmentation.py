"""Batched augmentation on the tensor's device: one resampling for flip, rotation, scale, shift and size."""

import math

import torch
from torch import Tensor
from torch.nn import functional

from mien.training.config import AugmentationOptions


def augment(images: Tensor, options: AugmentationOptions, size_px: int, generator: torch.Generator) -> Tensor:
    """Random versions of a batch.

    images: float (B, C, S, S) on the scale 0 to 1. generator: on the device of images.
    Returns float (B, C, size_px, size_px) on the scale 0 to 1; each image has its own draw. What comes
    from outside of an image repeats its edge.
    """
    images = _move(images, options, size_px, generator)
    images = _relight(images, options, generator)
    return _erase(images, options, generator)


def _uniform(count: int, low: float, high: float, images: Tensor, generator: torch.Generator) -> Tensor:
    draw = torch.rand(count, generator=generator, device=images.device, dtype=images.dtype)
    return draw * (high - low) + low


def _move(images: Tensor, options: AugmentationOptions, size_px: int, generator: torch.Generator) -> Tensor:
    count = len(images)
    angle = math.radians(options.rotation_degrees)
    angle_drawn = _uniform(count, -angle, angle, images, generator)
    limit = math.log1p(options.scale)
    scale = _uniform(count, -limit, limit, images, generator).exp()
    shift = 2 * options.translation  # the coordinates of affine_grid run from -1 to 1
    shift_x = _uniform(count, -shift, shift, images, generator)
    shift_y = _uniform(count, -shift, shift, images, generator)
    flipped = _uniform(count, 0, 1, images, generator) < options.flip
    mirror = torch.where(flipped, -1.0, 1.0).to(images.dtype)
    cosine, sine = angle_drawn.cos() / scale, angle_drawn.sin() / scale
    top = torch.stack((cosine * mirror, -sine, shift_x), dim=1)
    bottom = torch.stack((sine * mirror, cosine, shift_y), dim=1)
    matrices = torch.stack((top, bottom), dim=1)  # (B, 2, 3): output place to input place
    grid = functional.affine_grid(matrices, [count, images.shape[1], size_px, size_px], align_corners=False)
    return functional.grid_sample(images, grid, padding_mode="border", align_corners=False)


def _relight(images: Tensor, options: AugmentationOptions, generator: torch.Generator) -> Tensor:
    count = len(images)
    contrast = _uniform(count, 1 - options.contrast, 1 + options.contrast, images, generator)
    shift = _uniform(count, -options.brightness, options.brightness, images, generator)
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    changed = (images - mean) * contrast.view(-1, 1, 1, 1) + mean + shift.view(-1, 1, 1, 1)
    return changed.clamp_(0, 1)


def _erase(images: Tensor, options: AugmentationOptions, generator: torch.Generator) -> Tensor:
    """Random erasing (Zhong et al., AAAI 2020): one rectangle, aspect ratio log-uniform in 0.3 to 1/0.3."""
    count, size = len(images), images.shape[-1]
    chosen = _uniform(count, 0, 1, images, generator) < options.erasing
    area = _uniform(count, *options.erasing_area, images, generator)
    ratio = _uniform(count, math.log(0.3), -math.log(0.3), images, generator).exp()
    height = (area * ratio).sqrt().clamp_(max=1) * size
    width = (area / ratio).sqrt().clamp_(max=1) * size
    top = _uniform(count, 0, 1, images, generator) * (size - height)
    left = _uniform(count, 0, 1, images, generator) * (size - width)
    place = torch.arange(size, device=images.device, dtype=images.dtype) + 0.5
    rows = (place >= top[:, None]) & (place < (top + height)[:, None])
    columns = (place >= left[:, None]) & (place < (left + width)[:, None])
    erased = rows[:, None, :, None] & columns[:, None, None, :] & chosen.view(-1, 1, 1, 1)
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    return torch.where(erased, mean, images)

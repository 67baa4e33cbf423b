"""Batched augmentation on the tensor's device: one resampling for flip, rotation, scale, shift and size."""

import math

import torch
from torch import Tensor
from torch.nn import functional

from mien.training.config import AugmentationOptions
from mien.training.masking import erase, mask, uniform


def augment(images: Tensor, options: AugmentationOptions, size_px: int, generator: torch.Generator) -> Tensor:
    """Random versions of a batch.

    images: float (B, C, S, S) on the scale 0 to 1. generator: on the device of images.
    Returns float (B, C, size_px, size_px) on the scale 0 to 1; each image has its own draw. What comes
    from outside of an image repeats its edge.
    """
    images = _move(images, options, size_px, generator)
    images = _relight(images, options, generator)
    if options.erasing:
        images = erase(images, options, generator)
    return mask(images, options, generator) if options.masking else images


def _move(images: Tensor, options: AugmentationOptions, size_px: int, generator: torch.Generator) -> Tensor:
    count = len(images)
    angle = math.radians(options.rotation_degrees)
    angle_drawn = uniform((count,), -angle, angle, images, generator)
    limit = math.log1p(options.scale)
    scale = uniform((count,), -limit, limit, images, generator).exp()
    shift = 2 * options.translation  # the coordinates of affine_grid run from -1 to 1
    shift_x = uniform((count,), -shift, shift, images, generator)
    shift_y = uniform((count,), -shift, shift, images, generator)
    flipped = uniform((count,), 0, 1, images, generator) < options.flip
    mirror = torch.where(flipped, -1.0, 1.0).to(images.dtype)
    cosine, sine = angle_drawn.cos() / scale, angle_drawn.sin() / scale
    top = torch.stack((cosine * mirror, -sine, shift_x), dim=1)
    bottom = torch.stack((sine * mirror, cosine, shift_y), dim=1)
    matrices = torch.stack((top, bottom), dim=1)  # (B, 2, 3): output place to input place
    grid = functional.affine_grid(matrices, [count, images.shape[1], size_px, size_px], align_corners=False)
    return functional.grid_sample(images, grid, padding_mode="border", align_corners=False)


def _relight(images: Tensor, options: AugmentationOptions, generator: torch.Generator) -> Tensor:
    count = len(images)
    contrast = uniform((count,), 1 - options.contrast, 1 + options.contrast, images, generator)
    shift = uniform((count,), -options.brightness, options.brightness, images, generator)
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    changed = (images - mean) * contrast.view(-1, 1, 1, 1) + mean + shift.view(-1, 1, 1, 1)
    return changed.clamp_(0, 1)

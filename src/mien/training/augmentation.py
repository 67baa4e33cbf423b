"""Batched augmentation on the tensor's device: one resampling for flip, rotation, scale, shift and size."""

import math

import torch
from torch import Tensor
from torch.nn import functional

from mien.training.masking import erase, mask, uniform
from mien.training.options import AugmentationOptions

LARGEST_BLUR_PX = 1.5
"""Largest deviation of a blur, in pixels of the network's input (chosen)."""


def augment(
    images: Tensor, options: AugmentationOptions, size_px: int, generator: torch.Generator, crop: bool = False
) -> Tensor:
    """Random versions of a batch.

    images: float (B, C, S, S) on the scale 0 to 1. generator: on the device of images. crop: whether a size_px
    smaller than S cuts a square out at a random place, instead of making the face smaller.
    Returns float (B, C, size_px, size_px) on the scale 0 to 1; each image has its own draw. What comes
    from outside of an image repeats its edge.
    """
    if options.one_of_six:
        images = _one_of_six(images, options.one_of_six, generator)
    images = _move(images, options, size_px, generator, crop)
    images = _relight(images, options, generator)
    if options.erasing:
        images = erase(images, options, generator)
    return mask(images, options, generator) if options.masking else images


def _one_of_six(images: Tensor, probability: float, generator: torch.Generator) -> Tensor:
    """With a probability, one of six changes, as in the code of the authors of fer_mobilenet_v3.py.

    Mirror; rotate by up to 15 degrees; shift by 5 of 48 pixels to the right and down; crop 40 of 48 pixels anywhere;
    multiply by 0.5 to 1.3 and add 2 of 255; add noise of variance 40 on the scale 0 to 255, drawn at 48 pixels.
    """
    count, size_px = len(images), images.shape[-1]
    chosen = uniform((count,), 0, 1, images, generator) < probability
    which = torch.where(chosen, uniform((count,), 0, 6, images, generator).floor(), -1.0)
    angle = math.radians(15) * uniform((count,), -1, 1, images, generator) * (which == 1)
    places = 8 / 48 * uniform((2, count), -1, 1, images, generator) * (which == 3) - 10 / 48 * (which == 2)
    scale = torch.where(which == 3, 48 / 40, 1.0)
    moved = _resample(images, which == 0, angle, scale, places[0], places[1], size_px)
    factor = torch.where(which == 4, uniform((count,), 0.5, 1.3, images, generator), 1.0)
    drawn = torch.randn(count, images.shape[1], 48, 48, generator=generator, device=images.device, dtype=images.dtype)
    noise = functional.interpolate(drawn, (size_px, size_px), mode="bilinear") * math.sqrt(40) / 255
    changed = moved * _each(factor) + _each(which == 4) * 2 / 255 + _each(which == 5) * noise
    return changed.clamp_(0, 1)


def _move(images: Tensor, options: AugmentationOptions, size_px: int, generator: torch.Generator, crop: bool) -> Tensor:
    count = len(images)
    angle = math.radians(options.rotation_degrees)
    angle_drawn = uniform((count,), -angle, angle, images, generator)
    limit = math.log1p(options.scale)
    scale = uniform((count,), -limit, limit, images, generator).exp()
    shift = 2 * options.translation  # the coordinates of affine_grid run from -1 to 1
    shift_x = uniform((count,), -shift, shift, images, generator)
    shift_y = uniform((count,), -shift, shift, images, generator)
    flipped = uniform((count,), 0, 1, images, generator) < options.flip
    if crop and size_px < images.shape[-1]:
        share = size_px / images.shape[-1]
        scale = scale / share
        shift_x = shift_x + uniform((count,), share - 1, 1 - share, images, generator)
        shift_y = shift_y + uniform((count,), share - 1, 1 - share, images, generator)
    return _resample(images, flipped, angle_drawn, scale, shift_x, shift_y, size_px)


def _resample(
    images: Tensor, flipped: Tensor, angle: Tensor, scale: Tensor, shift_x: Tensor, shift_y: Tensor, size_px: int
) -> Tensor:
    """Move each image of a batch: all but images and size_px are (B,), shifts in halves of the side."""
    mirror = torch.where(flipped, -1.0, 1.0).to(images.dtype)
    cosine, sine = angle.cos() / scale, angle.sin() / scale
    top = torch.stack((cosine * mirror, -sine, shift_x), dim=1)
    bottom = torch.stack((sine * mirror, cosine, shift_y), dim=1)
    matrices = torch.stack((top, bottom), dim=1)  # (B, 2, 3): output place to input place
    shape = [len(images), images.shape[1], size_px, size_px]
    grid = functional.affine_grid(matrices, shape, align_corners=False)
    return functional.grid_sample(images, grid, padding_mode="border", align_corners=False)


def _relight(images: Tensor, options: AugmentationOptions, generator: torch.Generator) -> Tensor:
    count = len(images)
    contrast = uniform((count,), 1 - options.contrast, 1 + options.contrast, images, generator)
    shift = uniform((count,), -options.brightness, options.brightness, images, generator)
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    images = ((images - mean) * _each(contrast) + mean + _each(shift)).clamp_(0, 1)
    if options.blur:
        images = _blur(images, options.blur, generator)
    if options.gamma:
        limit = math.log1p(options.gamma)
        images = images.pow(_each(uniform((count,), -limit, limit, images, generator).exp()))
    if options.side_light:
        images = images * _ramps(images, options.side_light, generator)
    if options.exposure:
        factor = uniform((count,), -math.log1p(options.exposure), 0, images, generator).exp()
        images = (images * _each(factor) * 255).round_() / 255
    if options.noise:
        deviation = uniform((count,), -options.noise, options.noise, images, generator).clamp_(min=0)
        noise = torch.randn(images.shape, generator=generator, device=images.device, dtype=images.dtype)
        images = images + noise * _each(deviation)
    return images.clamp_(0, 1)


def _ramps(images: Tensor, strongest: float, generator: torch.Generator) -> Tensor:
    """What side light multiplies each image by, (B, 1, S, S)."""
    count, size_px = len(images), images.shape[-1]
    direction = uniform((count,), 0, 2 * math.pi, images, generator)
    strength = uniform((count,), 0, strongest, images, generator)
    place = torch.linspace(-1, 1, size_px, device=images.device, dtype=images.dtype)
    across = place.view(1, 1, 1, -1) * _each(direction.cos()) + place.view(1, 1, -1, 1) * _each(direction.sin())
    return 1 + across.clamp_(-1, 1) * _each(strength)


def _blur(images: Tensor, probability: float, generator: torch.Generator) -> Tensor:
    """Gaussian blurs, for each image its own or none, in seven taps a direction."""
    count, channels = images.shape[:2]
    chosen = uniform((count,), 0, 1, images, generator) < probability
    deviation = uniform((count,), 0.3, LARGEST_BLUR_PX, images, generator)
    taps = torch.arange(-3, 4, device=images.device, dtype=images.dtype)
    kernels = (-taps.square() / (2 * deviation[:, None].square())).exp()
    kernels = kernels / kernels.sum(dim=1, keepdim=True)
    kernels = torch.where(chosen[:, None], kernels, (taps == 0).to(images.dtype)).repeat_interleave(channels, dim=0)
    planes = functional.pad(images.reshape(1, count * channels, *images.shape[2:]), (3, 3, 3, 3), "replicate")
    planes = functional.conv2d(planes, kernels.view(-1, 1, 1, 7), groups=count * channels)
    planes = functional.conv2d(planes, kernels.view(-1, 1, 7, 1), groups=count * channels)
    return planes.view_as(images)


def _each(values: Tensor) -> Tensor:
    """One value an image, (B,), to be broadcast over its pixels."""
    return values.view(-1, 1, 1, 1)

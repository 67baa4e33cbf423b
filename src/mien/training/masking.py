"""Random erasing and improved random masking: rectangles of a face are hidden, each face with its own draw.

Random erasing: Zhong et al., AAAI 2020, https://arxiv.org/abs/1708.04896: one rectangle of any size.
Improved random masking: RLR-CNet (rlr_cnet.py) names it without details; this reading is inferred: several
small rectangles imitate partly covered faces and never take all of the eyes and the mouth.
"""

import math

import torch
from torch import Tensor

from mien.training.options import AugmentationOptions, Fill

RATIO = 0.3
"""Height / width lies between this and its inverse (Zhong et al., 2020), log-uniform as torchvision draws it."""


def uniform(shape: tuple[int, ...], low: float, high: float, images: Tensor, generator: torch.Generator) -> Tensor:
    """Numbers of a shape between low and high, on the device of images."""
    draw = torch.rand(shape, generator=generator, device=images.device, dtype=images.dtype)
    return draw * (high - low) + low


def erase(images: Tensor, options: AugmentationOptions, generator: torch.Generator) -> Tensor:
    """Random erasing: images (B, C, S, S), each with the probability `erasing` loses one rectangle."""
    count = len(images)
    chosen = uniform((count, 1), 0, 1, images, generator) < options.erasing
    area = uniform((count, 1), *options.erasing_area, images, generator)
    return _hide(images, area, chosen, "mean", generator)


def mask(images: Tensor, options: AugmentationOptions, generator: torch.Generator) -> Tensor:
    """Improved random masking: images (B, C, S, S), each with the probability `masking` gets several small masks.

    From the first mask on that would bring the sum of areas over `masking_total_area`, masks are left out.
    """
    count, (fewest, most) = len(images), options.masks
    chosen = uniform((count, 1), 0, 1, images, generator) < options.masking
    number = uniform((count, 1), fewest, most + 1, images, generator).floor()
    area = uniform((count, most), *options.mask_area, images, generator)
    wanted = torch.arange(most, device=images.device) < number
    wanted &= area.cumsum(dim=1) <= options.masking_total_area
    return _hide(images, area, chosen & wanted, options.mask_fill, generator)


def _hide(images: Tensor, area: Tensor, wanted: Tensor, fill: Fill, generator: torch.Generator) -> Tensor:
    """Fill rectangles: area (B, M) as shares of the image, wanted (B, M)."""
    size = images.shape[-1]
    shape = (area.shape[0], area.shape[1])
    ratio = uniform(shape, math.log(RATIO), -math.log(RATIO), images, generator).exp()
    height = (area * ratio).sqrt().clamp_(max=1) * size
    width = (area / ratio).sqrt().clamp_(max=1) * size
    top = uniform(shape, 0, 1, images, generator) * (size - height)
    left = uniform(shape, 0, 1, images, generator) * (size - width)
    place = torch.arange(size, device=images.device, dtype=images.dtype) + 0.5
    rows = (place >= top[..., None]) & (place < (top + height)[..., None])  # (B, M, S)
    columns = (place >= left[..., None]) & (place < (left + width)[..., None])
    columns &= wanted[..., None]
    hidden = (rows[..., :, None] & columns[..., None, :]).any(dim=1).unsqueeze(1)  # (B, 1, S, S)
    if fill == "noise":
        filling = uniform(tuple(images.shape), 0, 1, images, generator)
    elif fill == "black":
        filling = torch.zeros_like(images)
    else:
        filling = images.mean(dim=(1, 2, 3), keepdim=True)
    return torch.where(hidden, filling, images)

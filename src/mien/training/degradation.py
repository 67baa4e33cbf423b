"""What cameras and networks do to pictures: light, colour, noise, JPEG. Batched, on the device of the pictures."""

import torch
from torch import Tensor

from mien.training.masking import uniform

LUMINANCE = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)
"""The quantisation table of quality 50 (ITU-T T.81, annex K.1)."""
MIDDLE = 128 / 255
"""What is subtracted before the transform."""


def relight(tiles: Tensor, draw: torch.Generator) -> Tensor:
    """Tiles float (T, 3, t, t) on the scale 0 to 1 with another light: gamma, contrast, brightness; a few very dark."""

    def drawn(low: float, high: float) -> Tensor:
        return uniform((len(tiles), 1, 1, 1), low, high, tiles, draw)

    tiles = tiles.clamp(0, 1) ** drawn(-0.6, 0.6).exp()
    dark = torch.where(drawn(0, 1) < 0.15, drawn(0.1, 0.6), 1.0)
    mean = tiles.mean(dim=(1, 2, 3), keepdim=True)
    return ((tiles - mean) * drawn(0.6, 1.3) + mean + drawn(-0.15, 0.15)).mul_(dark).clamp_(0, 1)


def degrade(images: Tensor, draw: torch.Generator) -> Tensor:
    """Scenes float (B, 3, S, S) on the scale 0 to 1 with other colours, a few grey, noise, and traces of JPEG."""

    def drawn(low: float, high: float, channels: int = 1) -> Tensor:
        return uniform((len(images), channels, 1, 1), low, high, images, draw)

    grey = images.mean(dim=1, keepdim=True)
    saturation = torch.where(drawn(0, 1) < 0.15, 0.0, drawn(0.5, 1.4))
    images = (grey + (images - grey) * saturation) * drawn(0.85, 1.15, 3)
    noise = torch.randn(images.shape, generator=draw, device=images.device)
    noisy = images + noise * torch.where(drawn(0, 1) < 0.3, drawn(0, 0.1), 0.0)
    return torch.where(drawn(0, 1) < 0.5, jpeg(noisy, drawn(0.2, 4)), noisy).clamp_(0, 1)


def jpeg(images: Tensor, coarseness: Tensor) -> Tensor:
    """What is left of images (B, C, S, S) on the scale 0 to 1 after JPEG's quantisation, each channel like luminance.

    coarseness: (B, 1, 1, 1), multiples of the table of quality 50. S must be divisible by 8.
    """
    count, channels, height, width = images.shape
    blocks = images.view(count, channels, height // 8, 8, width // 8, 8).permute(0, 1, 2, 4, 3, 5)
    basis = _cosines().to(images)
    steps = torch.tensor(LUMINANCE, device=images.device, dtype=images.dtype) / 255
    steps = steps * coarseness.view(-1, 1, 1, 1, 1, 1)
    quantised = (basis @ (blocks - MIDDLE) @ basis.T / steps).round() * steps
    restored = basis.T @ quantised @ basis + MIDDLE
    return restored.permute(0, 1, 2, 4, 3, 5).reshape(images.shape)


def _cosines() -> Tensor:
    """The orthonormal DCT-II of 8 values as a matrix (8, 8)."""
    place = torch.arange(8.0)
    basis = torch.cos(torch.pi / 8 * (place + 0.5) * place[:, None]) / 2
    basis[0] /= 2**0.5
    return basis

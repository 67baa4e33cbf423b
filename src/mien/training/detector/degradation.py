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
STRONGEST_NOISE = 0.2
"""The largest deviation; most noise is far weaker."""
MIDDLE = 128 / 255
"""What is subtracted before the transform."""


def relight(tiles: Tensor, draw: torch.Generator) -> Tensor:
    """Tiles float (T, 3, t, t) on the scale 0 to 1 with another light: gamma, contrast, brightness; a few very dark."""

    def drawn(low: float, high: float) -> Tensor:
        return uniform((len(tiles), 1, 1, 1), low, high, tiles, draw)

    tiles = tiles.clamp(0, 1)
    (curved,) = torch.nonzero(drawn(0, 1).view(-1) < 0.5, as_tuple=True)
    tiles[curved] = tiles[curved] ** drawn(-0.6, 0.6).exp()[curved]
    dark = torch.where(drawn(0, 1) < 0.12, drawn(0.15, 0.6), 1.0)
    mean = tiles.mean(dim=(1, 2, 3), keepdim=True)
    return ((tiles - mean) * drawn(0.6, 1.3) + mean + drawn(-0.15, 0.15)).mul_(dark).clamp_(0, 1)


def degrade(images: Tensor, draw: torch.Generator) -> Tensor:
    """Scenes float (B, 3, S, S) on the scale 0 to 1 with other colours, a few grey, noise, and traces of JPEG."""

    def drawn(low: float, high: float, channels: int = 1) -> Tensor:
        return uniform((len(images), channels, 1, 1), low, high, images, draw)

    grey = images.mean(dim=1, keepdim=True)
    saturation = torch.where(drawn(0, 1) < 0.15, 0.0, drawn(0.5, 1.4))
    images = (grey + (images - grey) * saturation) * drawn(0.85, 1.15, 3)
    coarseness = drawn(0.2, 4)
    noisy, coded = (torch.nonzero(drawn(0, 1).view(-1) < share, as_tuple=True)[0] for share in (0.4, 0.5))
    images[noisy] += _noise(images[noisy], draw)
    if len(coded):
        images[coded] = jpeg(images[coded], coarseness[coded])
    return images.clamp_(0, 1)


def _noise(images: Tensor, draw: torch.Generator) -> Tensor:
    """Noise for images (N, 3, S, S), fine or in grains of 2 x 2 pixels."""
    count, size_px = len(images), images.shape[3]
    fine = torch.randn(images.shape, generator=draw, device=images.device)
    grains = fine[:, :, : size_px // 2, : size_px // 2].repeat_interleave(2, 2).repeat_interleave(2, 3)
    coarse = uniform((count, 1, 1, 1), 0, 1, images, draw) < 0.3
    return torch.where(coarse, grains, fine) * uniform((count, 1, 1, 1), 0, 1, images, draw).square() * STRONGEST_NOISE


def jpeg(images: Tensor, coarseness: Tensor) -> Tensor:
    """What is left of images (B, C, S, S) on the scale 0 to 1 after JPEG's quantisation, each channel like luminance.

    coarseness: (B, 1, 1, 1), multiples of the table of quality 50. S must be divisible by 8.
    """
    count, width = len(images), images.shape[3]
    basis = _cosines().to(images)
    steps = torch.tensor(LUMINANCE, device=images.device, dtype=images.dtype).repeat(1, width // 8) / 255
    steps = steps * coarseness.view(-1, 1, 1)

    def transformed(values: Tensor, along_rows: Tensor, along_columns: Tensor) -> Tensor:
        rows = (values.reshape(-1, 8) @ along_rows).view(-1, 8, width)
        return along_columns @ rows

    blocks = (images - MIDDLE).view(count, -1, width)
    found = transformed(blocks, basis.T, basis).view(count, -1, 8, width)
    quantised = (found / steps[:, None]).round_() * steps[:, None]
    return transformed(quantised, basis, basis.T).view(images.shape) + MIDDLE


def _cosines() -> Tensor:
    """The orthonormal DCT-II of 8 values as a matrix (8, 8)."""
    place = torch.arange(8.0)
    basis = torch.cos(torch.pi / 8 * (place + 0.5) * place[:, None]) / 2
    basis[0] /= 2**0.5
    return basis

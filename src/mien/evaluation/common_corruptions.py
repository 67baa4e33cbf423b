"""The corruptions of Hendrycks and Dietterich that concern faces, written anew for NumPy.

"Benchmarking Neural Network Robustness to Common Corruptions and Perturbations", ICLR 2019, arXiv:1903.12261, with the
severities of Tiny-ImageNet-C (create_c/make_tinyimagenet_c.py of github.com/hendrycks/robustness), whose pictures of
64 px are nearest to faces of 48. Lengths in pixels are taken as shares of the side. Chosen otherwise: results are
rounded, not cut, to 8 bits; edges repeat; blurs lie between pixels, since theirs, rounded to whole ones, would change
nothing at some severities of 48 px. `corruptions.py` says what all corruptions take and return.
"""

import io
import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mien.preprocessing import ImageArray, picture_of, pixels_of

FloatArray = NDArray[np.floating]

PUBLISHED_SIDE_PX = 64
"""Side of the pictures for which published lengths are meant."""

NOISE_STD = (0.04, 0.08, 0.12, 0.15, 0.18)
"""On the scale 0 to 1."""
PHOTONS = (250, 100, 50, 30, 15)
"""Photons that make a pixel white."""
DEFOCUS_PX = ((0.5, 0.6), (1, 0.1), (1.5, 0.1), (2.5, 0.01), (3, 0.1))
"""Radius of the disc, and deviation of the Gaussian that softens it."""
MOTION_PX = (1, 1.5, 2, 2.5, 3)
"""Deviation of the half Gaussian along the path."""
MOTION_DEGREES = 45
"""The path leans by up to so much from the horizontal."""
JPEG_QUALITY = (65, 58, 50, 40, 25)
PIXELATE = (0.9, 0.8, 0.7, 0.6, 0.5)
"""Share of the side that is kept."""
CONTRAST = (0.4, 0.3, 0.2, 0.1, 0.05)
FOG = ((0.4, 3), (0.7, 3), (1, 2.5), (1.5, 2), (2, 1.75))
"""Thickness, and how fast smaller patches fade."""


def gaussian_noise(face: ImageArray, severity: int, generator: np.random.Generator) -> ImageArray:
    """Normal noise on each pixel and channel."""
    return to_uint8(face + 255 * generator.normal(scale=NOISE_STD[severity - 1], size=face.shape))


def shot_noise(face: ImageArray, severity: int, generator: np.random.Generator) -> ImageArray:
    """Poisson noise: as if few photons had been counted."""
    photons_per_level = PHOTONS[severity - 1] / 255
    return to_uint8(generator.poisson(face * photons_per_level) / photons_per_level)


def defocus_blur(face: ImageArray, severity: int, generator: np.random.Generator) -> ImageArray:
    """Each point becomes a disc."""
    radius, std = (_scaled(length, face) for length in DEFOCUS_PX[severity - 1])
    reach = math.ceil(radius) + 1
    fine = (np.arange(9 * (2 * reach + 1)) + 0.5) / 9 - reach - 0.5  # nine places a pixel in each direction
    disc = fine[:, None] ** 2 + fine**2 <= radius**2
    covered = disc.reshape(2 * reach + 1, 9, 2 * reach + 1, 9).mean(axis=(1, 3))
    gaussian = np.exp(-0.5 * (np.arange(-1, 2) / std) ** 2)
    return to_uint8(_filter(_filter(face, covered), np.outer(gaussian, gaussian)))


def motion_blur(face: ImageArray, severity: int, generator: np.random.Generator) -> ImageArray:
    """Each point leaves a trail that fades to one side."""
    std = _scaled(MOTION_PX[severity - 1], face)
    angle = math.radians(generator.uniform(-MOTION_DEGREES, MOTION_DEGREES))
    reach = math.ceil(4 * std) + 1
    places = np.arange(-reach, reach + 1)
    kernel = np.zeros((len(places), len(places)))
    for step in range(reach):
        weight = math.exp(-0.5 * (step / std) ** 2)
        x, y = step * math.cos(angle), step * math.sin(angle)
        beside_x, beside_y = (np.maximum(0, 1 - np.abs(places - place)) for place in (x, y))  # bilinear
        kernel += weight * np.outer(beside_y, beside_x)
    return to_uint8(_filter(face, kernel))


def jpeg(face: ImageArray, severity: int, generator: np.random.Generator) -> ImageArray:
    """Stored as JPEG."""
    stream = io.BytesIO()
    picture_of(face).save(stream, "JPEG", quality=JPEG_QUALITY[severity - 1])
    return pixels_of(Image.open(stream))


def pixelate(face: ImageArray, severity: int, generator: np.random.Generator) -> ImageArray:
    """Fewer and larger pixels."""
    picture = picture_of(face)
    small_px = max(1, int(len(face) * PIXELATE[severity - 1]))
    small = picture.resize((small_px, small_px), Image.Resampling.BOX)
    return pixels_of(small.resize(picture.size, Image.Resampling.BOX))


def contrast(face: ImageArray, severity: int, generator: np.random.Generator) -> ImageArray:
    """Closer to the face's mean, in each channel."""
    mean = face.mean(axis=(0, 1))
    return to_uint8((face - mean) * CONTRAST[severity - 1] + mean)


def fog(face: ImageArray, severity: int, generator: np.random.Generator) -> ImageArray:
    """Bright clouds before the face, and all darkened so that its brightest pixel can stay as bright as it was."""
    thickness, decay = FOG[severity - 1]
    clouds = _clouds(len(face), decay, generator)[:, :, None]
    brightest = face.max() / 255
    return to_uint8((face + 255 * thickness * clouds) * brightest / (brightest + thickness))


def to_uint8(values: FloatArray) -> ImageArray:
    """Values on the scale 0 to 255, rounded and cut to 8 bits."""
    rounded: ImageArray = np.clip(np.rint(values), 0, 255).astype(np.uint8)
    return rounded


def _scaled(length_px: float, face: ImageArray) -> float:
    return length_px * len(face) / PUBLISHED_SIDE_PX


def _filter(image: NDArray[np.generic], kernel: FloatArray) -> FloatArray:
    """An image (S, S, C) of weighted sums around each pixel; the kernel (2 R + 1, 2 R + 1) is normalised."""
    reach, (height, width) = len(kernel) // 2, image.shape[:2]
    padded = np.pad(image, ((reach, reach), (reach, reach), (0, 0)), mode="edge")
    filtered = np.zeros(image.shape)
    for row, column in np.argwhere(kernel > 1e-6):
        filtered += kernel[row, column] * padded[row : row + height, column : column + width]
    filtered /= kernel[kernel > 1e-6].sum()
    return filtered


def _clouds(side: int, decay: float, generator: np.random.Generator) -> FloatArray:
    """Clouds (side, side) from 0 to 1 by the diamond-square algorithm, on a torus of a power of two pixels."""
    step = whole = max(PUBLISHED_SIDE_PX, 1 << (side - 1).bit_length())
    heights, roughness = np.zeros((whole, whole)), 1.0
    while step > 1:
        half, corners = step // 2, heights[::step, ::step]
        down, right = corners + np.roll(corners, -1, axis=0), corners + np.roll(corners, -1, axis=1)
        wobble = generator.uniform(-roughness, roughness, (3, *corners.shape))
        centres = (down + np.roll(down, -1, axis=1)) / 4 + wobble[0]
        heights[half::step, half::step] = centres
        heights[::step, half::step] = (centres + np.roll(centres, 1, axis=0) + right) / 4 + wobble[1]
        heights[half::step, ::step] = (centres + np.roll(centres, 1, axis=1) + down) / 4 + wobble[2]
        step, roughness = half, roughness / decay**2
    clouds = heights[:side, :side]
    clouds -= clouds.min()
    clouds /= clouds.max()
    return clouds

"""What can be wrong with a picture of a face, at five severities each, to measure how networks bear it.

Eight corruptions are published (common_corruptions.py); the others are mien's own, with severities that are chosen.
Each is a function (face, severity, generator) of a square face crop uint8 (S, S, 1 or 3), as a network takes it, and
returns a new one. Severity is 1 to 5. A generator in the same state gives the same picture.
"""

import math
import zlib
from collections.abc import Callable, Iterable

import numpy as np

from mien.errors import DatasetError
from mien.evaluation.common_corruptions import (
    contrast,
    defocus_blur,
    fog,
    gaussian_noise,
    jpeg,
    motion_blur,
    pixelate,
    shot_noise,
    to_uint8,
)
from mien.preprocessing import ImageArray, Preprocessing, crop_face

Corruption = Callable[[ImageArray, int, np.random.Generator], ImageArray]

SEVERITIES = (1, 2, 3, 4, 5)
BRIGHTNESS = (0.5, 0.3, 0.15, 0.08, 0.04)
"""Factors; at the last, eleven grey levels are left."""
SIDE_LIGHT = ((1.1, 0.7), (1.2, 0.5), (1.3, 0.35), (1.4, 0.2), (1.5, 0.1))
"""Brightness at the lit and at the dark edge of the face."""
EYES_Y, MOUTH_Y = 0.40, 0.755
"""Middles of the bands, as shares of the side: medians of landmarks that face-finder sees on every 100th image of
FER2013's training split."""
BAND_HEIGHT = (0.10, 0.15, 0.20, 0.25, 0.30)
SUNGLASSES, MEDICAL_MASK = 24, 224
"""Grey values of the bands."""
BOX_SHIFT = (0.025, 0.05, 0.075, 0.10, 0.15)
"""Shares of the side."""
BOX_SCALE = (0.04, 0.08, 0.12, 0.15, 0.20)
"""Shares by which the box is larger or smaller."""
LEAN_DEGREES = (5, 10, 15, 20, 25)


def corrupt(faces: ImageArray, positions: Iterable[int], name: str, severity: int) -> ImageArray:
    """Corrupted copies of faces uint8 (N, S, S, C).

    positions: of the N faces in their data set; position and name alone decide what is drawn, so that a face has the
    same noise, direction or side at each severity, and the same every time.
    severity: 1 to 5. Raises DatasetError for an unknown name, ValueError for another severity.
    """
    require_corruption(name)
    if severity not in SEVERITIES:
        raise ValueError(f"severity must be one of {', '.join(map(str, SEVERITIES))}, not {severity}")
    corruption, key = CORRUPTIONS[name], zlib.crc32(name.encode())
    corrupted = np.empty_like(faces)
    for index, (face, position) in enumerate(zip(faces, positions, strict=True)):
        corrupted[index] = corruption(face, severity, np.random.default_rng([int(position), key]))
    return corrupted


def require_corruption(name: str) -> None:
    """Raise DatasetError unless there is a corruption of this name."""
    if name not in CORRUPTIONS:
        raise DatasetError(f"unknown corruption {name!r}; known: {', '.join(CORRUPTIONS)}")


def darkness(face: ImageArray, severity: int, generator: np.random.Generator) -> ImageArray:
    """Little light: a picture uint8 of any shape, multiplied and rounded to 8 bits, which loses levels for good."""
    return to_uint8(face * BRIGHTNESS[severity - 1])


def side_light(face: ImageArray, severity: int, generator: np.random.Generator) -> ImageArray:
    """Light from the left or right; the other side of the face lies in the dark."""
    lit, dark = SIDE_LIGHT[severity - 1]
    place = (np.arange(face.shape[1]) + 0.5) / face.shape[1]
    if generator.random() < 0.5:
        place = 1 - place
    light = dark + (lit - dark) * (1 + np.cos(np.pi * place)) / 2
    return to_uint8(face * light[:, None])


def occluded_eyes(face: ImageArray, severity: int, generator: np.random.Generator) -> ImageArray:
    """A dark band over the eyes, like sunglasses."""
    return _with_band(face, EYES_Y, BAND_HEIGHT[severity - 1], SUNGLASSES)


def occluded_mouth(face: ImageArray, severity: int, generator: np.random.Generator) -> ImageArray:
    """A light band over the mouth, like a medical mask."""
    return _with_band(face, MOUTH_Y, BAND_HEIGHT[severity - 1], MEDICAL_MASK)


def box_shift(face: ImageArray, severity: int, generator: np.random.Generator) -> ImageArray:
    """As if the detector's box lay beside the face, in any direction."""
    angle = generator.uniform(0, 2 * math.pi)
    distance = BOX_SHIFT[severity - 1]
    return _cut(face, distance * math.cos(angle), distance * math.sin(angle))


def box_scale(face: ImageArray, severity: int, generator: np.random.Generator) -> ImageArray:
    """As if the detector's box were too large or too small."""
    return _cut(face, scale=1 + _either_sign(generator) * BOX_SCALE[severity - 1])


def lean(face: ImageArray, severity: int, generator: np.random.Generator) -> ImageArray:
    """The head leans to the left or right, and the detector does not see it."""
    return _cut(face, roll_degrees=_either_sign(generator) * LEAN_DEGREES[severity - 1])


CORRUPTIONS: dict[str, Corruption] = {
    "gaussian-noise": gaussian_noise,
    "shot-noise": shot_noise,
    "defocus-blur": defocus_blur,
    "motion-blur": motion_blur,
    "jpeg": jpeg,
    "pixelate": pixelate,
    "contrast": contrast,
    "fog": fog,
    "darkness": darkness,
    "side-light": side_light,
    "occluded-eyes": occluded_eyes,
    "occluded-mouth": occluded_mouth,
    "box-shift": box_shift,
    "box-scale": box_scale,
    "lean": lean,
}


def _either_sign(generator: np.random.Generator) -> int:
    return 1 if generator.random() < 0.5 else -1


def _with_band(face: ImageArray, middle: float, height: float, level: int) -> ImageArray:
    covered: ImageArray = face.copy()
    top, bottom = (round(len(face) * (middle + sign * height / 2)) for sign in (-1, 1))
    covered[top:bottom] = level
    return covered


def _cut(face: ImageArray, right: float = 0, down: float = 0, scale: float = 1, roll_degrees: float = 0) -> ImageArray:
    """The face in another box: moved by shares of its side, of another size, or as if the face leant.

    It is resampled from the crop: where the data set's picture is larger, a detector's box would keep more detail.
    """
    side, channels = len(face), int(face.shape[2])
    x, y, half = side * (0.5 + right), side * (0.5 + down), side * scale / 2
    rule = Preprocessing(size_px=side, channels=channels)
    return crop_face(face, (x - half, y - half, x + half, y + half), rule, roll_degrees)

"""From a face in a photograph to the input of a network: where crops are cut, the one pre-processing.

Training, evaluation and recognition all go through this module, and its values travel with the
weights, so that a network always sees what it was trained on.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mien.errors import InputError, ModelError

ImageArray = NDArray[np.uint8]
"""RGB (H, W, 3) or grey (H, W, 1), values 0 to 255."""

FLAT_STD = 0.05
"""Added to a crop's std where crops are standardised, on the scale 0 to 1 (chosen): a crop without contrast stays
flat instead of becoming noise."""
LARGEST_WINDOW_PX = 4096
"""Larger squares are read with gaps, so that no box asks for more memory than this."""


@dataclass(frozen=True)
class Preprocessing:
    """What turns a face into the input of a network."""

    size_px: int = 48
    """Side of the square face crop, in pixels."""
    channels: int = 1
    """1 for grey (ITU-R 601 luma), 3 for RGB."""
    margin: float = 0.0
    """Added on every side of the face box, as a share of the box's longer side; negative cuts."""
    mean: float = 0.5
    """Subtracted from intensities on the scale 0 to 1."""
    std: float = 0.25
    """Divides the intensities after the mean is subtracted."""
    standardize: bool = False
    """Whether each crop is first brought to its own mean and standard deviation, which makes its light nearly
    irrelevant: (x - its mean) / (its std + `FLAT_STD`) on the scale 0 to 1; `mean` and `std` must then be 0 and 1."""

    def __post_init__(self) -> None:
        if self.size_px < 1:
            raise ValueError(f"size_px must be at least 1, not {self.size_px}")
        if self.channels not in (1, 3):
            raise ValueError(f"channels must be 1 (grey) or 3 (RGB), not {self.channels}")
        if not -0.5 < self.margin <= 2:
            raise ValueError(f"margin must lie in (-0.5, 2], not {self.margin}")
        if self.std <= 0:
            raise ValueError(f"std must be positive, not {self.std}")
        if self.standardize and (self.mean, self.std) != (0.0, 1.0):
            raise ValueError(
                f"standardize takes each crop's own mean and std: mean and std must be 0 and 1, "
                f"not {self.mean} and {self.std}"
            )

    def to_dict(self) -> dict[str, Any]:
        """The values by name, for manifests, checkpoints and reports."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Preprocessing":
        """The inverse of `to_dict`; unknown or missing names raise ModelError.

        Older files have no `standardize`, which means False, and call `std` deviation.
        """
        if "deviation" in values:
            values = {"std" if name == "deviation" else name: value for name, value in values.items()}
        expected = {field.name for field in fields(cls)}
        if set(values) | {"standardize"} != expected:
            raise ModelError(f"pre-processing: expected the values {sorted(expected)}, found {sorted(values)}")
        return cls(**values)


def whole_image_face(image: ImageArray, preprocessing: Preprocessing) -> ImageArray:
    """The whole of an image (H, W, 1 or 3) as a face crop uint8 (S, S, C); it is stretched to the square."""
    _require_image(image)
    face = _with_channels(image, preprocessing.channels)
    height, width = face.shape[:2]
    if (height, width) == (preprocessing.size_px, preprocessing.size_px):
        return face
    return _resize(face, (0.0, 0.0, float(width), float(height)), preprocessing.size_px)


def crop_face(
    image: ImageArray,
    box_xyxy: Sequence[float],
    preprocessing: Preprocessing,
    roll_degrees: float = 0.0,
) -> ImageArray:
    """Cut a face out of an image, as uint8 (S, S, C).

    image: RGB uint8 (H, W, 3) or grey (H, W, 1).
    box_xyxy: the face in float pixels of the image; it may reach over the image's edge.
    roll_degrees: how far the face leans clockwise, as seen in the picture; the crop stands upright.

    The crop is the square around the box's centre whose side is the box's longer side and a margin
    on both sides. It is sampled at sub-pixel places (nothing is rounded, so crops do not drift), and
    where it reaches over the edge of the image, the edge's pixels are repeated.
    """
    _require_image(image)
    x0, y0, x1, y1 = (float(value) for value in box_xyxy)
    if not (x1 > x0 and y1 > y0):
        raise InputError(f"a face box needs x0 < x1 and y0 < y1, not {tuple(box_xyxy)}")
    side = max(x1 - x0, y1 - y0) * (1 + 2 * preprocessing.margin)
    centre_x, centre_y = (x0 + x1) / 2, (y0 + y1) / 2
    size_px, channels = preprocessing.size_px, preprocessing.channels
    if roll_degrees == 0:
        return _cut_square(image, centre_x, centre_y, side, size_px, channels)
    # A square that holds the crop at any angle is cut first, turned, and its middle kept.
    wide_px = 2 * math.ceil(size_px * math.sqrt(0.5)) + size_px % 2
    wide = _cut_square(image, centre_x, centre_y, side * wide_px / size_px, wide_px, channels)
    turned = picture_of(wide).rotate(roll_degrees, Image.Resampling.BICUBIC)
    offset = (wide_px - size_px) // 2
    middle = slice(offset, offset + size_px)
    return pixels_of(turned)[middle, middle]


def to_network_input(faces: ImageArray, preprocessing: Preprocessing) -> NDArray[np.float32]:
    """Face crops uint8 (N, S, S, C) as normalised float32 (N, C, S, S)."""
    expected = (preprocessing.size_px, preprocessing.size_px, preprocessing.channels)
    if not isinstance(faces, np.ndarray):
        found = f"{type(faces).__name__}; np.stack(crops) makes an array of a list of crops"
        raise InputError(f"faces: expected uint8 (N, {', '.join(map(str, expected))}), received a {found}")
    if faces.ndim != 4 or faces.shape[1:] != expected or faces.dtype != np.uint8:
        raise InputError(
            f"faces: expected uint8 (N, {', '.join(map(str, expected))}), received {faces.dtype} {faces.shape}"
        )
    planes = np.ascontiguousarray(faces.transpose(0, 3, 1, 2)).astype(np.float32)
    inputs: NDArray[np.float32]
    if preprocessing.standardize:
        planes *= np.float32(1 / 255)
        means, stds = (f(planes, axis=(1, 2, 3), keepdims=True) for f in (np.mean, np.std))
        inputs = (planes - means) / (stds + np.float32(FLAT_STD))
        return inputs
    scale = np.float32(1 / (255 * preprocessing.std))
    offset = np.float32(preprocessing.mean / preprocessing.std)
    inputs = planes * scale - offset
    return inputs


def require_rgb(image: ImageArray) -> None:
    """Raise InputError unless an array is an RGB picture uint8 (H, W, 3) with pixels."""
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
        raise InputError(f"image: expected RGB uint8 (H, W, 3), received {image.dtype} {image.shape}")


def _require_image(image: ImageArray) -> None:
    if image.ndim != 3 or image.shape[2] not in (1, 3) or image.dtype != np.uint8:
        raise InputError(f"image: expected uint8 (H, W, 3) or (H, W, 1), received {image.dtype} {image.shape}")


def _with_channels(image: ImageArray, channels: int) -> ImageArray:
    if image.shape[2] == channels:
        return image
    return pixels_of(picture_of(image).convert("L" if channels == 1 else "RGB"))


def _cut_square(
    image: ImageArray, centre_x: float, centre_y: float, side: float, size_px: int, channels: int
) -> ImageArray:
    height, width = image.shape[:2]
    left, top = centre_x - side / 2, centre_y - side / 2
    # Only the part of the image that the square touches is padded, so that a large photograph costs little.
    x0, y0 = math.floor(left), math.floor(top)
    x1, y1 = math.ceil(left + side), math.ceil(top + side)
    step = max(1, math.ceil(side / LARGEST_WINDOW_PX))
    columns = np.clip(np.arange(x0, x1, step), 0, width - 1)
    rows = np.clip(np.arange(y0, y1, step), 0, height - 1)
    if step == 1:  # as below, five times as fast
        seen = image[rows, columns[0] : columns[-1] + 1].take(columns - columns[0], axis=1)
    else:
        seen = image[rows[:, None], columns]
    window = _with_channels(seen, channels)
    x, y = (left - x0) / step, (top - y0) / step
    return _resize(window, (x, y, x + side / step, y + side / step), size_px)


def _resize(image: ImageArray, box_xyxy: tuple[float, float, float, float], size_px: int) -> ImageArray:
    height, width = image.shape[:2]
    x0, y0, x1, y1 = box_xyxy  # floating-point sums may pass the edge by a hair, which Pillow refuses
    box = (max(x0, 0.0), max(y0, 0.0), min(x1, float(width)), min(y1, float(height)))
    return pixels_of(picture_of(image).resize((size_px, size_px), Image.Resampling.BILINEAR, box=box))


def picture_of(image: ImageArray) -> Image.Image:
    """A uint8 array (H, W, 3) or (H, W, 1) as a Pillow picture."""
    return Image.fromarray(image[:, :, 0] if image.shape[2] == 1 else image)


def pixels_of(image: Image.Image) -> ImageArray:
    """A Pillow picture, RGB or grey, as a new uint8 array (H, W, 3) or (H, W, 1)."""
    array = np.array(image, dtype=np.uint8)
    return array[:, :, None] if array.ndim == 2 else array

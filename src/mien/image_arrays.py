"""Pictures that are in memory as arrays, as RGB; what is no picture is refused with how to convert it."""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mien.errors import InputError
from mien.preprocessing import ImageArray

Color = Literal["rgb", "bgr"]
"""The order of an array's channels: OpenCV's is "bgr"."""
EXPECTED = "image: expected a path, bytes, a file object, a Pillow image, or an array uint8 (H, W, 3) or (H, W)"


def rgb_of_array(image: NDArray[Any], color: Color = "rgb") -> ImageArray:
    """An array uint8 (H, W, 3), or grey (H, W, 1) or (H, W), as RGB uint8 (H, W, 3); InputError for others."""
    hint = _kind_hint(image) or _shape_hint(image)
    if hint:
        raise InputError(f"{EXPECTED}, received {image.dtype} {image.shape}; {hint}")
    if image.ndim == 2 or image.shape[2] == 1:
        return np.repeat(image.reshape(*image.shape[:2], 1), 3, axis=2)
    return np.ascontiguousarray(image[:, :, ::-1] if color == "bgr" else image)


def no_picture(source: object) -> InputError:
    """What to say of something that is no picture of any kind."""
    told = f"{EXPECTED}, received {type(source).__name__}"
    if source is None:
        return InputError(f"{told}; cv2.imread gives None for a file that it cannot read")
    if hasattr(source, "detach"):
        return InputError(f"{told}; image.permute(1, 2, 0).cpu().numpy() converts a tensor (3, H, W) of uint8")
    return InputError(f"{told}; np.asarray(image, np.uint8) converts what is like an array")


def _kind_hint(image: NDArray[Any]) -> str:
    """How to convert numbers that are not uint8; empty for uint8."""
    if image.dtype == np.uint8:
        return ""
    if image.dtype == np.bool_:
        return "image.astype(np.uint8) * 255 converts it"
    if image.dtype == np.uint16:
        return "(image // 257).astype(np.uint8) converts 16 bits"
    if image.dtype.kind == "f" and image.size and np.nanmax(image) <= 1:
        return "(image * 255).round().astype(np.uint8) converts numbers from 0 to 1"
    return "image.clip(0, 255).astype(np.uint8) converts numbers from 0 to 255"


def _shape_hint(image: NDArray[Any]) -> str:
    """How to convert other shapes; empty for (H, W, 3), (H, W, 1) and (H, W)."""
    if not image.size:
        return "it has no pixels"
    if image.ndim == 2 or (image.ndim == 3 and image.shape[2] in (1, 3)):
        return ""
    if image.ndim == 3 and image.shape[2] == 4:
        return "image[:, :, :3] leaves the fourth channel out"
    if image.ndim == 3 and image.shape[0] in (1, 3):
        return "image.transpose(1, 2, 0) moves the channels to the end"
    return "Recognizer.recognize_many takes several images" if image.ndim == 4 else "it is no picture"

"""Pictures from files or bytes to RGB arrays, with everything a camera or a web page may put into them."""

import io
import threading
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from mien.errors import ImageError
from mien.preprocessing import ImageArray

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF")
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif")
MAX_PIXELS = 89_478_485
"""Pillow's own limit against decompression bombs: a quarter of a gibibyte as RGB."""

_PILLOW_LIMIT = threading.Lock()


def read_image(source: str | Path | bytes, *, max_pixels: int = MAX_PIXELS, name: str | None = None) -> ImageArray:
    """Read a picture as RGB uint8 (H, W, 3).

    source: a path, or the bytes of a JPEG, PNG, WebP, BMP, TIFF or GIF file (its first frame).
    max_pixels: larger pictures are refused before they are decoded.
    name: what errors call the picture; the path, or "<bytes>".

    The EXIF orientation is applied, 16 bits a channel become 8, transparent parts become white.
    Raises ImageError, one line that names the picture, what was expected and what was found.
    """
    if isinstance(source, bytes):
        return _decode(source, name or "<bytes>", max_pixels)
    path = Path(source)
    return _decode(_read_bytes(path), name or str(path), max_pixels)


def _read_bytes(path: Path) -> bytes:
    if path.is_dir():
        raise ImageError(f"{path}: expected an image file, found a folder")
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise ImageError(f"{path}: expected an image file, found no such file") from error
    except (OSError, ValueError) as error:
        raise ImageError(f"{path}: expected a readable image file: {error}") from error


def _decode(encoded: bytes, name: str, max_pixels: int) -> ImageArray:
    if not encoded:
        raise ImageError(f"{name}: expected an image, found an empty file")
    try:
        with _open_unlimited(encoded) as image:
            if image.width * image.height > max_pixels:
                raise ImageError(
                    f"{name}: expected at most {max_pixels} pixels, found {image.width} x {image.height}; "
                    "raise the limit (max_pixels, --max-pixels) if you trust this file"
                )
            return np.array(_as_rgb(image, name), dtype=np.uint8)
    except ImageError:
        raise
    except UnidentifiedImageError as error:
        raise ImageError(
            f"{name}: expected a JPEG, PNG, WebP, BMP, TIFF or GIF image, found something else or a "
            "file that breaks off in its header"
        ) from error
    except Exception as error:  # on damaged data, Pillow's decoders raise almost anything
        reason = (str(error).splitlines() or [""])[0] or type(error).__name__
        raise ImageError(f"{name}: expected a whole image, found a damaged one: {reason}") from error


def _open_unlimited(encoded: bytes) -> Image.Image:
    """Read the header only; the caller checks the size, which Pillow can do for one global limit only."""
    with _PILLOW_LIMIT:
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            return Image.open(io.BytesIO(encoded), formats=FORMATS)
        finally:
            Image.MAX_IMAGE_PIXELS = limit


def _as_rgb(image: Image.Image, name: str) -> Image.Image:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns of damaged EXIF data, which is then ignored
        image = ImageOps.exif_transpose(image)
    if image.mode == "F":
        raise ImageError(f"{name}: expected 8 or 16 bits a channel, found floating-point numbers")
    if image.mode.startswith("I"):  # 16 bits, or 32 that hold 16
        sixteen = np.asarray(image).astype(np.int64).clip(0, 65535)
        return Image.fromarray((sixteen // 257).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        opaque = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(opaque, image.convert("RGBA")).convert("RGB")
    return image.convert("RGB")

"""Pictures from files or bytes to RGB arrays, with everything a camera or a web page may put into them."""

import contextlib
import io
import os
import struct
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from mien.errors import ImageError, InputError, shortened
from mien.image_arrays import Color, no_picture, rgb_of_array
from mien.picture_files import readable_formats
from mien.preprocessing import ImageArray

MAX_PIXELS = 89_478_485
"""Pillow's own limit against decompression bombs: a quarter of a gibibyte as RGB."""
HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1")
"""Of the `ftyp` box at the start of a file (ISO/IEC 23008-12)."""

LONGEST_PATH = 1024
"""Longer texts are no names of files (chosen; 4,096 bytes are most systems' limit)."""
Picture = str | os.PathLike[str] | bytes | BinaryIO | Image.Image | ImageArray
"""What `read_image` reads."""

_WARNINGS = threading.Lock()
"""Warnings can only be silenced for all threads."""


def read_image(
    source: Picture, *, max_pixels: int = MAX_PIXELS, name: str | None = None, color: Color = "rgb"
) -> ImageArray:
    """Read a picture as RGB uint8 (H, W, 3).

    source: a path; the bytes of a JPEG, PNG, WebP, BMP, TIFF, GIF or AVIF file (its first frame), with the extra
        `heic` also of a HEIC file; such a file opened in binary mode; a Pillow image; an array uint8 (H, W, 3), or
        grey (H, W, 1) or (H, W).
    max_pixels: larger files are refused before they are decoded.
    name: what errors call the picture; the path, or "<bytes>".
    color: the order of an array's channels, "bgr" for OpenCV's; all else tells its own.

    The EXIF orientation is applied, 16 bits a channel become 8, transparent parts become white.
    Raises ImageError for a file that cannot be read, InputError for what is no picture: one line that names the
    picture, what was expected and what was found.
    """
    if color not in ("rgb", "bgr"):
        raise InputError(f"color: expected 'rgb' or 'bgr', received {color!r}")
    if isinstance(source, np.ndarray):
        return rgb_of_array(source, color)
    if color != "rgb":
        raise InputError(
            f"color: expected 'rgb' for all but arrays, whose channels alone are unknown, received {color!r}"
        )
    if isinstance(source, Image.Image):
        opened = contextlib.nullcontext(source)
        return _pixels(lambda: opened, name or "<image>", None)
    if isinstance(source, str | os.PathLike):
        path = os.fspath(source)
        return _decode(_read_bytes(path), name or shortened(path), max_pixels)
    if hasattr(source, "read"):
        source = source.read()
        if isinstance(source, str):
            raise InputError("image: expected a file opened in binary mode, open(path, 'rb'), received one of text")
    if not isinstance(source, bytes | bytearray | memoryview):
        raise no_picture(source)
    return _decode(bytes(source), name or "<bytes>", max_pixels)


def is_still_picture(path: Path) -> bool:
    """Whether a path is a file with a picture that does not move; pipes and devices are not opened."""
    if not path.is_file():
        return False
    try:
        with Image.open(path, formats=readable_formats()) as image:
            return image.format == "MPO" or getattr(image, "n_frames", 1) == 1
    except (OSError, ValueError, Image.DecompressionBombError):
        return False


def _read_bytes(path: str) -> bytes:
    shown = shortened(path)
    try:
        return Path(path).read_bytes()
    except FileNotFoundError as error:
        kind = " (a web address: download it first)" if "://" in path else ""
        raise ImageError(f"{shown}: expected an image file, found no such file{kind}") from error
    except IsADirectoryError as error:
        raise ImageError(f"{shown}: expected an image file, found a folder") from error
    except (OSError, ValueError) as error:
        if len(path) > LONGEST_PATH:
            told = (
                "the name of an image file, found far too long a text; base64.b64decode gives the bytes of encoded ones"
            )
            raise ImageError(f"{shown}: expected {told}") from error
        reason = getattr(error, "strerror", None) or error
        raise ImageError(f"{shown}: expected a readable image file: {reason}") from error


def _decode(encoded: bytes, name: str, max_pixels: int) -> ImageArray:
    if not encoded:
        raise ImageError(f"{name}: expected an image, found an empty file")
    return _pixels(lambda: _open(encoded), name, max_pixels)


def _pixels(
    opened: Callable[[], contextlib.AbstractContextManager[Image.Image]], name: str, max_pixels: int | None
) -> ImageArray:
    try:
        with opened() as image:
            if max_pixels is not None and image.width * image.height > max_pixels:
                raise ImageError(
                    f"{name}: expected at most {max_pixels} pixels, found {image.width} x {image.height}; "
                    "raise the limit (max_pixels, --max-pixels) if you trust this file"
                )
            return np.array(_as_rgb(image, name), dtype=np.uint8)
    except ImageError:
        raise
    except UnidentifiedImageError as error:
        raise ImageError(f"{name}: expected a {_kinds()} picture, found {error}") from error
    except Exception as error:  # on damaged data, Pillow's decoders raise almost anything
        reason = (str(error).splitlines() or [""])[0] or type(error).__name__
        raise ImageError(f"{name}: expected a whole image, found a damaged one: {reason}") from error


def _kinds() -> str:
    *first, last = readable_formats()
    return f"{', '.join(first)} or {last}"


def _other_kind(encoded: bytes) -> str:
    """What bytes are that no opener takes for a picture."""
    if encoded[4:8] == b"ftyp" and encoded[8:12] in HEIF_BRANDS and "HEIF" not in readable_formats():
        return "a HEIC file; to read these: pip install 'mien[heic]'"
    return "something else or a file that breaks off in its header"


def _open(encoded: bytes) -> Image.Image:
    """Read the header only; the caller checks the size.

    As `Image.open` does, but for its check: that has one limit for the whole process, which is not mien's to lift.
    """
    for form in readable_formats():
        opener, accepts = Image.OPEN[form]
        if accepts is not None and accepts(encoded[:16]) is not True:
            continue
        try:
            image: Image.Image = opener(io.BytesIO(encoded), "")
        except (SyntaxError, IndexError, TypeError, struct.error):  # it is of another format after all
            continue
        return image
    raise UnidentifiedImageError(_other_kind(encoded))


def _as_rgb(image: Image.Image, name: str) -> Image.Image:
    image.load()
    with _WARNINGS, warnings.catch_warnings():
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

"""The mark in the pictures that mien writes, by which it knows them again and replaces no others."""

from pathlib import Path

from PIL import Image

SOFTWARE = "mien"
SOFTWARE_TAG = 0x0131
"""EXIF's name of the program that wrote a picture."""


def signed() -> Image.Exif:
    """What to give Pillow as `exif` when a JPEG, PNG or WebP is saved."""
    exif = Image.Exif()
    exif[SOFTWARE_TAG] = SOFTWARE
    return exif


def is_signed(file: Path) -> bool:
    """Whether mien wrote a picture."""
    try:
        with Image.open(file, formats=("JPEG", "PNG", "WEBP")) as image:
            return bool(image.getexif().get(SOFTWARE_TAG) == SOFTWARE)
    except Exception:  # on damaged data, Pillow's decoders raise almost anything
        return False

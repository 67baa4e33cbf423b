"""Which files are pictures, by their suffix, and which files and folders nobody means."""

import contextlib
import functools
import importlib
import logging
import os
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

from PIL import Image

LOGGER = logging.getLogger("mien")
SUFFIXES_OF = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"),
    "PNG": (".png",),
    "WEBP": (".webp",),
    "BMP": (".bmp",),
    "TIFF": (".tif", ".tiff"),
    "GIF": (".gif",),
    "AVIF": (".avif",),
    "HEIF": (".heic", ".heif", ".hif"),
}
"""By Pillow's name of the format. AVIF needs Pillow 11.3; HEIF the extra `heic`, or an opener that was registered."""
RAW_SUFFIXES = (
    *(".3fr", ".arw", ".cr2", ".cr3", ".crw", ".dng", ".erf", ".iiq", ".kdc", ".mrw", ".nef", ".nrw", ".orf"),
    *(".pef", ".raf", ".raw", ".rw2", ".sr2", ".srf", ".srw", ".x3f"),
)
PICTURE_SUFFIXES = (
    *(suffix for suffixes in SUFFIXES_OF.values() for suffix in suffixes),
    *RAW_SUFFIXES,
    *(".apng", ".avifs", ".dib", ".eps", ".exr", ".hdr", ".ico", ".j2k", ".jp2", ".jpx", ".jxl", ".jxr", ".pbm"),
    *(".pgm", ".pnm", ".ppm", ".psd", ".qoi", ".svg", ".tga", ".wmf", ".xcf"),
)
"""All kinds of pictures; most cannot be read here."""
VIDEO_SUFFIXES = (
    *(".3gp", ".avi", ".flv", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".ogv", ".vob"),
    *(".webm", ".wmv"),
)
WRITABLE_VIDEO_SUFFIXES = (".mp4", ".m4v", ".mov", ".mkv")
HIDDEN = ("__MACOSX", "@eaDir", "@Recycle", "#recycle", "$RECYCLE.BIN")
"""Folders that archivers and network drives fill with copies, thumbnails and rubbish."""


def readable_formats() -> tuple[str, ...]:
    """Pillow's names of the formats that can be read here."""
    _register_openers()
    return tuple(name for name in SUFFIXES_OF if name in Image.OPEN)


def picture_suffixes() -> tuple[str, ...]:
    """Suffixes, in lower case, of the pictures that can be read here."""
    return tuple(suffix for name in readable_formats() for suffix in SUFFIXES_OF[name])


@functools.cache
def _register_openers() -> None:
    for name in ("Avif", "Bmp", "Gif", "Jpeg", "Png", "Tiff", "WebP"):
        with contextlib.suppress(ImportError):
            importlib.import_module(f"PIL.{name}ImagePlugin")  # registers itself
    with contextlib.suppress(ImportError):
        import pi_heif

        pi_heif.register_heif_opener()


def is_hidden(name: str) -> bool:
    """Whether a file or folder of this name is passed over: `.DS_Store`, `._photo.jpg`, `@eaDir` and the like."""
    return name.startswith(".") or name in HIDDEN


def visible(folder: Path) -> list[Path]:
    """The files and folders in a folder that are not hidden, by name."""
    return sorted(path for path in folder.iterdir() if not is_hidden(path.name))


def pictures_in(folder: Path) -> list[Path]:
    """The pictures in a folder itself, by name; pictures of kinds that cannot be read are counted in the log."""
    return _pictures_among(visible(folder), folder)


def pictures_below(
    folder: Path, without: Path | None = None, unread: Callable[[OSError], object] | None = None
) -> list[Path]:
    """The pictures in a folder and its subfolders, by path; those of kinds that cannot be read are counted in the log.

    without: a folder that is left out. unread: is told of folders that cannot be read; by itself, the first is raised.
    """

    def told(error: OSError) -> None:
        if unread is None:
            raise error
        unread(error)

    left_out = without.resolve() if without and without.resolve() != folder.resolve() else None
    files = []
    for place, folders, names in os.walk(folder, onerror=told):
        inner = [name for name in folders if not is_hidden(name)]
        folders[:] = [name for name in inner if left_out is None or Path(place, name).resolve() != left_out]
        files += [Path(place, name) for name in names if not is_hidden(name)]
    return _pictures_among(sorted(files), folder)


def _pictures_among(paths: Iterable[Path], folder: Path) -> list[Path]:
    readable = set(picture_suffixes())
    pictures, others = [], Counter[str]()
    for path in paths:
        suffix = path.suffix.lower()
        if suffix in readable:
            pictures.append(path)
        elif suffix in PICTURE_SUFFIXES:
            others[suffix] += 1
    if others:
        kinds = ", ".join(f"{count} {suffix}" for suffix, count in others.most_common())
        hint = "; pip install 'mien[heic]' for .heic" if set(others) & set(SUFFIXES_OF["HEIF"]) else ""
        LOGGER.warning("%s: left out pictures of other kinds: %s%s", folder, kinds, hint)
    return [path for path in pictures if path.is_file() or path.is_symlink()]

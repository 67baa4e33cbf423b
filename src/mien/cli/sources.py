"""What people name on the command line: files, folders, globs and stdin, as a list of pictures."""

import glob
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from mien.errors import ImageError, shortened
from mien.images import read_image
from mien.picture_files import VIDEO_SUFFIXES, is_hidden, picture_suffixes, pictures_below
from mien.preprocessing import ImageArray

STDIN = "-"


@dataclass(frozen=True)
class Source:
    """One picture to read, or the reason why there is none."""

    name: str
    """What results and errors call it: the path as given, or "-"."""
    relative: Path
    """Where its annotated copy goes below the output folder."""
    error: str | None = None
    """Set where a folder or glob held no picture."""
    encoded: bytes | None = None
    """The bytes of the file, of a picture from stdin."""

    def read(self, max_pixels: int) -> ImageArray:
        """The picture as RGB uint8 (H, W, 3); ImageError when it cannot be read."""
        if self.error is not None:
            raise ImageError(self.error)
        if self.encoded is not None:
            return read_image(self.encoded, max_pixels=max_pixels, name=self.name)
        if Path(self.name).suffix.lower() in VIDEO_SUFFIXES:
            raise ImageError(f"{self.name}: expected a picture, found a video; `mien video` reads these")
        return read_image(self.name, max_pixels=max_pixels)


def expand(names: Iterable[str], without: Path | None = None) -> list[Source]:
    """All pictures that names stand for, in order; folders are searched with their subfolders.

    without: a folder whose pictures are left out, such as the one that copies are written to.
    """
    return [source for name in names for source in _expand_one(name, without)]


def _expand_one(name: str, without: Path | None) -> list[Source]:
    if name == STDIN:
        return [Source(STDIN, Path("stdin"), encoded=sys.stdin.buffer.read())]
    if not name:
        return [Source(name, Path("none"), "expected the name of a file or folder, found an empty one")]
    path = Path(name)
    try:
        if path.is_dir():
            return _pictures_below(path, without)
        if not path.exists() and glob.has_magic(name):
            named = set(path.parts)
            found = sorted(glob.glob(name, recursive=True))
            matches = [match for match in found if not any(map(is_hidden, set(Path(match).parts) - named))]
            if not matches:
                return [Source(name, path, f"{name}: expected files that match, found none")]
            return [source for match in matches for source in _expand_one(match, without)]
    except OSError as error:
        return [Source(name, path, f"{shortened(name)}: expected a readable file or folder: {error.strerror}")]
    return [Source(name, Path(path.name))]


def _pictures_below(folder: Path, without: Path | None) -> list[Source]:
    unread: list[OSError] = []
    sources = [Source(str(file), file.relative_to(folder)) for file in pictures_below(folder, without, unread.append)]
    for error in unread:
        name = str(error.filename)
        sources.append(Source(name, Path(name), f"{name}: expected a readable folder: {error.strerror}"))
    if not sources:
        kinds = ", ".join(picture_suffixes())
        return [Source(str(folder), folder, f"{folder}: expected a folder with images ({kinds}), found none")]
    return sources

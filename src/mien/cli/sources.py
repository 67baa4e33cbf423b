"""What people name on the command line: files, folders, globs and stdin, as a list of pictures."""

import glob
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from mien.errors import ImageError, shortened
from mien.images import SUFFIXES, read_image
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

    def read(self, max_pixels: int) -> ImageArray:
        """The picture as RGB uint8 (H, W, 3); ImageError when it cannot be read."""
        if self.error is not None:
            raise ImageError(self.error)
        if self.name == STDIN:
            return read_image(sys.stdin.buffer.read(), max_pixels=max_pixels, name=STDIN)
        return read_image(self.name, max_pixels=max_pixels)


def expand(names: Iterable[str], without: Path | None = None) -> list[Source]:
    """All pictures that names stand for, in order; folders are searched with their subfolders.

    without: a folder whose pictures are left out, such as the one that copies are written to.
    """
    return [source for name in names for source in _expand_one(name, without)]


def _expand_one(name: str, without: Path | None) -> list[Source]:
    if name == STDIN:
        return [Source(STDIN, Path("stdin"))]
    if not name:
        return [Source(name, Path("none"), "expected the name of a file or folder, found an empty one")]
    path = Path(name)
    try:
        if path.is_dir():
            return _pictures_below(path, without)
        if not path.exists() and glob.has_magic(name):
            matches = sorted(glob.glob(name, recursive=True))
            if not matches:
                return [Source(name, path, f"{name}: expected files that match, found none")]
            return [source for match in matches for source in _expand_one(match, without)]
    except OSError as error:
        return [Source(name, path, f"{shortened(name)}: expected a readable file or folder: {error.strerror}")]
    return [Source(name, Path(path.name))]


def _pictures_below(folder: Path, without: Path | None) -> list[Source]:
    left_out = without.resolve() if without and without.resolve() != folder.resolve() else None
    found = sorted(
        file
        for file in folder.rglob("*")
        if file.suffix.lower() in SUFFIXES and file.is_file() and left_out not in file.resolve().parents
    )
    if not found:
        kinds = ", ".join(SUFFIXES)
        return [Source(str(folder), folder, f"{folder}: expected a folder with images ({kinds}), found none")]
    return [Source(str(file), file.relative_to(folder)) for file in found]

"""What people name on the command line: files, folders, globs and stdin, as a list of pictures."""

import glob
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from mien.errors import ImageError
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


def expand(names: Iterable[str]) -> list[Source]:
    """All pictures that names stand for, in order; folders are searched with their subfolders."""
    return [source for name in names for source in _expand_one(name)]


def _expand_one(name: str) -> list[Source]:
    path = Path(name)
    if name == STDIN:
        return [Source(STDIN, Path("stdin"))]
    if path.is_dir():
        found = sorted(each for each in path.rglob("*") if each.suffix.lower() in SUFFIXES and each.is_file())
        if not found:
            kinds = ", ".join(SUFFIXES)
            return [Source(name, path, f"{name}: expected a folder with images ({kinds}), found none")]
        return [Source(str(each), each.relative_to(path)) for each in found]
    if glob.has_magic(name) and not path.exists():
        matches = [Path(match) for match in sorted(glob.glob(name, recursive=True))]
        if not matches:
            return [Source(name, path, f"{name}: expected files that match, found none")]
        return [Source(str(match), Path(match.name)) for match in matches if not match.is_dir()]
    return [Source(name, Path(path.name))]

"""A folder of one's own pictures, one folder for each class; the classes may be other than mien's."""

from pathlib import Path

from mien.datasets.sample import Dataset, Sample
from mien.errors import DatasetError, MissingSplitError
from mien.expressions import BASIC_7, FERPLUS_8, canonical_expression
from mien.images import read_image
from mien.picture_files import picture_suffixes, pictures_in, visible


class Folder(Dataset):
    """`ROOT/SPLIT/CLASS/*.jpg`, or `ROOT/CLASS/*.jpg` for the split `all`; pictures are face crops."""

    name = "folder"
    split_is = "Split of the folder's owner"

    def __init__(self, split: str, expressions: tuple[str, ...], files: list[tuple[Path, int]]) -> None:
        self.split = split
        self.expressions = expressions
        self._files = files

    def __len__(self) -> int:
        return len(self._files)

    def sample(self, index: int) -> Sample:
        """The sample at a position from 0 to len - 1; ImageError when its file is damaged."""
        file, label = self._files[index]
        return Sample(read_image(file), label, str(file))


def read_folder(root: Path, split: str) -> Folder:
    """Open a folder of class folders.

    A split other than `all` is a folder below root. Class folders named like mien's expressions (`happy` for
    `happiness`) get mien's order; any other set of classes is sorted by name. All splits of one root share
    the classes of all of them.
    """
    if not root.is_dir():
        raise DatasetError(f"{root}: expected a folder with one folder for each class, found none")
    base = root if split == "all" else root / split
    if not base.is_dir():
        splits = ", ".join(path.name for path in visible(root) if path.is_dir()) or "no folders"
        raise MissingSplitError(f"{root}: expected a folder {split!r} for this split, found {splits}")
    bases = [base] if split == "all" else [path for path in visible(root) if path.is_dir()]
    found = {folder: pictures_in(folder) for each in {*bases, base} for folder in visible(each) if folder.is_dir()}
    expressions = _in_order({canonical_expression(folder.name) for folder, pictures in found.items() if pictures})
    files = [
        (file, expressions.index(canonical_expression(folder.name)))
        for folder in sorted(found)
        if folder.parent == base
        for file in found[folder]
    ]
    if not files:
        raise MissingSplitError(
            f"{base}: expected folders of pictures ({', '.join(picture_suffixes())}), one for each class, found none"
        )
    if len(expressions) < 2:
        raise DatasetError(f"{base}: expected at least two classes, found {', '.join(expressions)}")
    return Folder(split, expressions, files)


def _in_order(names: set[str]) -> tuple[str, ...]:
    for known in (BASIC_7, FERPLUS_8):
        if names <= set(known):
            return tuple(name for name in known if name in names)
    return tuple(sorted(names))

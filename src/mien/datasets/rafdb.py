"""RAF-DB, basic expressions: 15,339 photographs of faces, seven classes, aligned to 100x100 pixels.

Li, Deng, Du: "Reliable Crowdsourcing and Deep Locality-Preserving Learning for Expression Recognition in the
Wild", CVPR 2017, http://www.whdeld.com/RAF/model1.html. It is given out for research after an agreement.
"""

from pathlib import Path

from mien.datasets.sample import Dataset, Sample
from mien.datasets.splits import MADE_SPLITS
from mien.errors import DatasetError, MissingSplitError
from mien.expressions import BASIC_7, RAFDB_ORDER
from mien.images import read_image

LIST_FILE = Path("EmoLabel") / "list_patition_label.txt"
"""The distribution's own spelling."""
IMAGE_FOLDER = Path("Image") / "aligned"
PREFIXES = {"training": ("train_",), "test": ("test_",), "all": ("train_", "test_")}


class RafDb(Dataset):
    """RAF-DB's aligned faces with mien's order of the seven classes."""

    name = "rafdb"
    expressions = BASIC_7

    def __init__(self, split: str, files: list[tuple[Path, int]]) -> None:
        self.split = split
        self._files = files

    def __len__(self) -> int:
        return len(self._files)

    def sample(self, index: int) -> Sample:
        """The sample at a position from 0 to len - 1; ImageError when its file is damaged."""
        file, label = self._files[index]
        return Sample(read_image(file), label, file.name)


def read_rafdb(root: Path, split: str) -> RafDb:
    """Read one split (`training`, `test`, `all`) of the folder as it is distributed.

    root holds `EmoLabel/list_patition_label.txt` and `Image/aligned/*_aligned.jpg`. Raises DatasetError with the
    first path that is missing, or the first line that is damaged.
    """
    if split not in PREFIXES:
        raise MissingSplitError(f"unknown split {split!r} of rafdb; known: {', '.join(PREFIXES)}, {MADE_SPLITS}")
    listing = root / LIST_FILE
    if not listing.is_file():
        raise DatasetError(f"{listing}: expected RAF-DB's list of labels, found nothing")
    files = []
    for number, line in enumerate(listing.read_text(encoding="utf-8", errors="replace").splitlines(), start=1):
        if not line.strip():
            continue
        name, _, code = line.strip().partition(" ")
        if not (name.startswith(PREFIXES["all"]) and name.endswith(".jpg")) or code not in RAFDB_ORDER:
            raise DatasetError(
                f"{listing}: line {number}: expected a file name and a label from 1 to 7, found {line!r}"
            )
        if name.startswith(PREFIXES[split]):
            file = root / IMAGE_FOLDER / f"{name.removesuffix('.jpg')}_aligned.jpg"
            if not file.is_file():
                raise DatasetError(f"{file}: expected this face of RAF-DB, found nothing; is the copy complete?")
            files.append((file, BASIC_7.index(RAFDB_ORDER[code])))
    if not files:
        raise MissingSplitError(f"{listing}: expected images of the split {split!r}, found none")
    return RafDb(split, files)

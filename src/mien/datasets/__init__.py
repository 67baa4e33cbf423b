"""The data sets, by name. None needs torch; the packed parquet needs pyarrow (the `train` extra)."""

from collections.abc import Callable
from pathlib import Path

from mien.datasets.fer2013 import read_fer2013
from mien.datasets.ferplus import read_ferplus
from mien.datasets.folder import read_folder
from mien.datasets.sample import Dataset, Sample, as_faces, pixel_key
from mien.errors import DatasetError, MissingSplitError

__all__ = ["DATASETS", "Dataset", "Sample", "as_faces", "open_dataset", "pixel_key", "training_pixel_keys"]

DATASETS: dict[str, Callable[[Path, str], Dataset]] = {
    "fer2013": read_fer2013,
    "ferplus": read_ferplus,
    "folder": read_folder,
}


def open_dataset(name: str, root: Path, split: str) -> Dataset:
    """Open a split of a data set; an unknown name raises DatasetError."""
    if name not in DATASETS:
        raise DatasetError(f"unknown data set {name!r}; known: {', '.join(sorted(DATASETS))}")
    return DATASETS[name](root, split)


def training_pixel_keys(name: str, root: Path, split: str) -> set[str]:
    """Pixel keys of the training split, to find its images in another split of the same data set.

    Empty for the training split itself, for `all`, and where there is no training split.
    """
    if split in ("training", "all"):
        return set()
    # FERPlus leaves images out; FER2013 has every image that a network for either may have seen.
    reader = "fer2013" if name == "ferplus" else name
    try:
        training = open_dataset(reader, root, "training")
    except MissingSplitError:
        return set()
    return {pixel_key(sample.image) for sample in training}

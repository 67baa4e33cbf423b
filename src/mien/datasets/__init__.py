"""The data sets, by name. None needs torch; the packed parquet needs pyarrow (the `train` extra)."""

from collections.abc import Callable
from pathlib import Path

from mien.datasets.ckplus import read_ckplus, read_ckplus_neutral
from mien.datasets.fer2013 import read_fer2013
from mien.datasets.ferplus import FERPLUS
from mien.datasets.folder import read_folder
from mien.datasets.rafdb import read_rafdb
from mien.datasets.sample import Dataset, Sample, as_faces, pixel_key
from mien.datasets.splits import make_split, parse_split
from mien.datasets.unlabelled import read_faces, read_lfw
from mien.errors import DatasetError, MissingSplitError

__all__ = ["DATASETS", "Dataset", "Sample", "as_faces", "open_dataset", "pixel_key", "training_pixel_keys"]

DATASETS: dict[str, Callable[[Path, str], Dataset]] = {
    "ckplus": read_ckplus,
    "ckplus-neutral": read_ckplus_neutral,
    "faces": read_faces,
    "fer2013": read_fer2013,
    **FERPLUS,
    "folder": read_folder,
    "lfw": read_lfw,
    "rafdb": read_rafdb,
}


def open_dataset(name: str, root: Path, split: str) -> Dataset:
    """Open a split of a data set, official or made by mien (splits.py); an unknown name raises DatasetError."""
    if name not in DATASETS:
        raise DatasetError(f"unknown data set {name!r}; known: {', '.join(sorted(DATASETS))}")
    made = parse_split(split)
    return make_split(DATASETS[name](root, made.base), made) if made else DATASETS[name](root, split)


def training_pixel_keys(name: str, root: Path, split: str, learned_from: str = "") -> set[str]:
    """Pixel keys of what a network learned from, to find these images in a split of the same data set.

    learned_from: a network's data set and split, such as "fer2013 training"; where it is another data set, the
    training split that belongs to the measured split is taken (for a part that mien made, its rest). Empty where
    there is no training split.
    """
    # FERPlus leaves images out; FER2013 has every image that a network for either may have seen.
    reader = "fer2013" if name in FERPLUS else name
    other, _, training = learned_from.partition(",")[0].partition(" ")
    if other not in (name, reader):
        if split == "training" or split.endswith("-training"):
            return set()
        training = f"{split}-training" if parse_split(split) else "training"
    made = parse_split(training)
    if made and made.base == "training" and split != "training" and not parse_split(split):
        made, training = None, "training"  # the rest may have been seen too, without labels
    if made:
        reader = name  # the same images in the same parts
    try:
        return {pixel_key(sample.image) for sample in open_dataset(reader, root, training)}
    except MissingSplitError:
        return set()

"""The data sets, by name. None needs torch; the packed parquet needs pyarrow (the `train` extra)."""

import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path

from mien.datasets.ckplus import read_ckplus, read_ckplus_neutral
from mien.datasets.fer2013 import read_fer2013
from mien.datasets.ferplus import FERPLUS, NOT_MEASURED
from mien.datasets.folder import read_folder
from mien.datasets.rafdb import read_rafdb
from mien.datasets.sample import Dataset, Sample, as_faces, pixel_key
from mien.datasets.splits import make_split, parse_split, training_part
from mien.datasets.unlabelled import read_faces, read_lfw, read_people
from mien.errors import DatasetError, MissingSplitError, MissingVotesError
from mien.weights.learned_from import Split

__all__ = [
    "DATASETS",
    "Dataset",
    "Sample",
    "Split",
    "as_faces",
    "open_dataset",
    "pixel_key",
    "same_faces",
    "training_pixel_keys",
]

DATASETS: dict[str, Callable[[Path, str], Dataset]] = {
    "ckplus": read_ckplus,
    "ckplus-neutral": read_ckplus_neutral,
    "faces": read_faces,
    "fer2013": read_fer2013,
    **FERPLUS,
    "folder": read_folder,
    "lfw": read_lfw,
    "people": read_people,
    "rafdb": read_rafdb,
}


def open_dataset(name: str, root: Path, split: str) -> Dataset:
    """Open a split of a data set, official or made by mien (splits.py); an unknown name raises DatasetError."""
    if name not in DATASETS:
        raise DatasetError(f"unknown data set {name!r}; known: {', '.join(sorted(DATASETS))}")
    made = parse_split(split)
    if made and name in NOT_MEASURED and (made.base == "all" or not (made.training or made.by_class)):
        raise DatasetError(f"{name}: {split} would be measured by other labels than majority ones; take ferplus for it")
    return _open(name, root, split)


def _open(name: str, root: Path, split: str) -> Dataset:
    made = parse_split(split)
    if made is None:
        return DATASETS[name](root, split)
    is_tenth = made.base == "training" and not made.by_class
    drawn_from = read_fer2013(root, made.base) if is_tenth and name in FERPLUS else None
    return make_split(DATASETS[name](root, made.base), made, drawn_from)


def training_pixel_keys(name: str, root: Path, split: str, learned_from: Sequence[Split] = ()) -> set[str]:
    """Pixel keys of what a network learned from, to find these images in a split of the same data set.

    learned_from: what a network's card says. Where none of it is of this data set, the training split that belongs to
    the measured split is taken (for a part that mien made, its rest). Of a part that is labelled as if the rest were
    not, the rest may have been learned from too, and counts. For another official split all of `training` counts where
    a part of it was learned from, so that figures of networks that learned from different parts are of the same images.
    Empty where root does not hold the part, or there is no training split.
    """
    wanted = {each for each in learned_from if same_faces(each.dataset, name)}
    if not wanted:
        learned = training_part(split)
        if learned is None:
            return set()
        wanted = {Split(name, learned)}
    if parse_split(split) is None:
        wanted = {
            Split(each.dataset, made.base)
            if (made := parse_split(each.name)) and made.base not in ("all", split)
            else each
            for each in wanted
        }
    by_class = (each for each in wanted if (made := parse_split(each.name)) and made.leaves_unlabelled)
    rests = {Split(each.dataset, f"{each.name}-rest") for each in by_class if not each.name.endswith("-rest")}
    keys: set[str] = set()
    for each in wanted | {rest for rest in rests if rest.name != split}:
        with contextlib.suppress(MissingSplitError):
            keys |= {pixel_key(sample.image) for sample in _learned_part(each, root)}
    return keys


def _learned_part(split: Split, root: Path) -> Dataset:
    made = parse_split(split.name)
    # FERPlus leaves images out; FER2013 has every image that a network for either may have seen.
    reader = split.dataset if made or not same_faces(split.dataset, "fer2013") else "fer2013"
    try:
        return _open(reader, root, split.name)
    except MissingVotesError:  # which part it was cannot be told, so all of it counts
        return _open("fer2013", root, made.base if made else split.name)


def same_faces(first: str, second: str) -> bool:
    """Whether two data sets are made of the same pictures."""
    return first == second or {first, second} <= {"fer2013", *FERPLUS}

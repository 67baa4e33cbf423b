"""Splits that mien makes itself: folds, random parts, a tenth of the training split.

All keep a group on one side: images with identical pixels, or, where subjects are known, all images of a person.
A split's name gives the held-out part, and the same name with `-training` the rest:
- `fold-I-of-N`: the k-th group in ascending order goes into fold k mod N (for CK+ the usual subject-independent
  protocol, by the subject's number with step N);
- `random-80-20`, `random-80-20-seed-K`: a fifth of the images, drawn group by group with seed 0 or K;
- `random-80-20-by-class`, `random-80-20-by-class-seed-K`: a fifth of the images of each class;
- `random-80-20-shared-pixels...`: drawn image by image, so that identical images fall on both sides (a leak);
- `random-80-20-shared-subjects...`: images of one person on both sides, where subjects are known (a leak);
- `tenth-of-training`: a tenth of the official training split, for what must be fitted apart; that of FERPlus has the
  images of FER2013's, so that a network that learned from the rest of either has seen none of it;
- `labelled-P-of-training`, `labelled-P-of-training-seed-K`: P in a hundred of each class of the official training
  split, to learn from as if the others, the same name with `-rest`, had no labels.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mien.datasets.sample import Dataset, Sample, pixel_key
from mien.errors import DatasetError, MissingSplitError
from mien.preprocessing import ImageArray

MADE_SPLITS = (
    "fold-I-of-N, random-80-20, random-80-20-seed-K, random-80-20-by-class, tenth-of-training (each also with "
    "-training), "
    "labelled-P-of-training, labelled-P-of-training-seed-K (also with -rest)"
)
FOLD = re.compile(r"fold-(?P<index>\d+)-of-(?P<count>\d+)(?P<rest>-training)?")
RANDOM = re.compile(
    r"random-80-20(-(?P<how>shared-pixels|shared-subjects|by-class))?(-seed-(?P<seed>\d+))?(?P<rest>-training)?"
)
TENTH = re.compile(r"tenth-of-training(?P<rest>-training)?")
LABELLED = re.compile(r"labelled-(?P<percent>\d+)-of-training(-seed-(?P<seed>\d+))?(?P<rest>-rest)?")


def training_part(split: str) -> str | None:
    """Name of the split that belongs to a measured one as what was learned from; None where there is none.

    For the rest of `labelled-P-of-training` that is its labelled part.
    """
    made = parse_split(split)
    if made is None:
        return None if split == "training" else "training"
    if made.leaves_unlabelled:
        return made.name.removesuffix("-rest") if made.training else None
    return None if made.training else f"{split}-training"


@dataclass(frozen=True)
class MadeSplit:
    """What the name of a split that mien makes says."""

    name: str
    base: Literal["all", "training"]
    """The official split it is a part of."""
    training: bool
    """Whether it is the rest rather than the held-out part."""
    by_class: bool = False
    """Whether each class gives the same share."""
    fold: tuple[int, int] | None = None
    """Number of the fold, counted from 1, and of all folds."""
    share: float = 0.0
    """Share of the images that is drawn, for splits without folds."""
    seed: int = 0
    shared: str = ""
    """`shared-pixels` or `shared-subjects` where the split leaks."""

    @property
    def leaves_unlabelled(self) -> bool:
        """Whether the rest serves as if it had no labels."""
        return self.by_class and self.base == "training"


class Subset(Dataset):
    """Some samples of a data set, in its order."""

    split_is = "Split made by mien"

    def __init__(self, whole: Dataset, indices: Sequence[int], split: str) -> None:
        self.name, self.split, self.expressions = whole.name, split, whole.expressions
        self.group_is, self.labelled_by_votes = whole.group_is, whole.labelled_by_votes
        self._whole, self._indices = whole, indices

    def __len__(self) -> int:
        return len(self._indices)

    def sample(self, index: int) -> Sample:
        """The sample at a position from 0 to len - 1."""
        return self._whole.sample(self._indices[index])

    def group(self, index: int) -> str:
        """What the sample's group shares."""
        return self._whole.group(self._indices[index])

    def arrays(self) -> tuple[ImageArray, NDArray[np.int64]] | None:
        """All images and labels, where the whole data set holds them as arrays."""
        arrays, chosen = self._whole.arrays(), np.array(self._indices, np.int64)
        return None if arrays is None else (arrays[0][chosen], arrays[1][chosen])

    def votes(self) -> NDArray[np.int8] | None:
        """FERPlus votes (N, 10), where the data set has them."""
        votes = self._whole.votes()
        return None if votes is None else votes[np.array(self._indices, np.int64)]

    def targets(self) -> NDArray[np.float32] | None:
        """Distributions over the expressions (N, K), where the data set has them."""
        targets = self._whole.targets()
        return None if targets is None else targets[np.array(self._indices, np.int64)]


def parse_split(name: str) -> MadeSplit | None:
    """The split that a name asks mien to make; None for other names, DatasetError for an impossible fold."""
    if found := FOLD.fullmatch(name):
        index, count = int(found["index"]), int(found["count"])
        if not (count >= 2 and 1 <= index <= count):
            raise DatasetError(f"{name}: expected fold-I-of-N with N at least 2 and I from 1 to N")
        return MadeSplit(name, "all", bool(found["rest"]), fold=(index, count))
    if found := RANDOM.fullmatch(name):
        seed, how = int(found["seed"] or 0), found["how"] or ""
        if how == "by-class":
            return MadeSplit(name, "all", bool(found["rest"]), by_class=True, share=0.2, seed=seed)
        return MadeSplit(name, "all", bool(found["rest"]), share=0.2, seed=seed, shared=how)
    if found := TENTH.fullmatch(name):
        return MadeSplit(name, "training", bool(found["rest"]), share=0.1)
    if found := LABELLED.fullmatch(name):
        percent, seed = int(found["percent"]), int(found["seed"] or 0)
        if not 0 < percent < 100:
            raise DatasetError(f"{name}: expected labelled-P-of-training with P from 1 to 99")
        return MadeSplit(name, "training", bool(found["rest"]), by_class=True, share=percent / 100, seed=seed)
    return None


def make_split(whole: Dataset, split: MadeSplit, drawn_from: Dataset | None = None) -> Subset:
    """The part of a data set (opened as `split.base`) that a made split is.

    drawn_from: the data set whose groups are drawn, where that is a larger one of the same pictures; `whole` if None.
    Raises DatasetError for more folds than groups, and for random parts of a data set with known subjects
    unless the name says that it shares them.
    """
    _refuse_hidden_leaks(whole, split)
    own_keys = _group_keys(whole, split.shared)
    keys = own_keys if drawn_from is None else _group_keys(drawn_from, split.shared)
    groups = sorted(set(keys))
    if split.fold:
        index, count = split.fold
        if count > len(groups):
            expected = f"expected at most {len(groups)} folds (groups of images)"
            raise MissingSplitError(f"{whole.name}: {expected}, not {count}")
        held_out = set(groups[index - 1 :: count])
    elif split.by_class:
        class_of = {key: sample.label for key, sample in zip(reversed(keys), reversed(whole), strict=True)}
        held_out = set()
        for label in range(len(whole.expressions)):
            held_out |= _draw([key for key in groups if class_of[key] == label], keys, split)
    else:
        held_out = _draw(groups, keys, split)
    chosen = [index for index, key in enumerate(own_keys) if (key in held_out) != split.training]
    return Subset(whole, chosen, split.name)


def _refuse_hidden_leaks(whole: Dataset, split: MadeSplit) -> None:
    if split.fold or split.base == "training":
        return
    if whole.group_is == "subject" and split.shared != "shared-subjects":
        raise DatasetError(
            f"{whole.name} {split.name}: random parts put neighbouring frames of one person on both sides, so that "
            "the result says little about people who were not seen; expected fold-I-of-N, or "
            "random-80-20-shared-subjects by this full name"
        )
    if whole.group_is != "subject" and split.shared == "shared-subjects":
        raise DatasetError(f"{whole.name} {split.name}: this data set does not say who its subjects are")


def _group_keys(whole: Dataset, shared: str) -> list[str]:
    if shared == "shared-pixels":
        return [f"{index:09d}" for index in range(len(whole))]
    if shared == "shared-subjects":
        return [pixel_key(sample.image) for sample in whole]
    return [whole.group(index) for index in range(len(whole))]


def _draw(groups: list[str], keys: list[str], split: MadeSplit) -> set[str]:
    """Groups drawn until they hold the share of the images that the split asks for."""
    sizes = dict.fromkeys(groups, 0)
    for key in keys:
        if key in sizes:
            sizes[key] += 1
    drawn, images, wanted = set(), 0, round(split.share * sum(sizes.values()))
    for position in np.random.default_rng(split.seed).permutation(len(groups)):
        if images >= wanted:
            break
        drawn.add(groups[position])
        images += sizes[groups[position]]
    return drawn

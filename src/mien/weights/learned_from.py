"""What a network learned from: parts of data sets, as structure."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

OLDER_SENTENCE = re.compile(r"(?:^|, with faces of )([\w-]+) ([\w-]+)")


@dataclass(frozen=True)
class Split:
    """A part of a data set."""

    dataset: str
    """Name of the data set, such as "fer2013"."""
    name: str
    """Name of its part, such as "training"."""

    def __str__(self) -> str:
        return f"{self.dataset} {self.name}"


def splits_to_json(splits: Iterable[Split]) -> list[list[str]]:
    """Splits as they stand in manifests, ONNX files and checkpoints: pairs of data set and part."""
    return [[split.dataset, split.name] for split in splits]


def splits_from_json(pairs: Iterable[Iterable[str]]) -> tuple[Split, ...]:
    """The inverse of `splits_to_json`; TypeError or ValueError for anything else."""
    return tuple(Split(dataset, name) for dataset, name in pairs)


def splits_of_older_card(sentence: str) -> tuple[Split, ...]:
    """For files written before cards had `learned_from`: the splits that the sentence of such a card names.

    sentence: such as "fer2013 training, with FERPlus votes, with faces of lfw all labelled by rank-order".
    """
    return tuple(Split(*found.groups()) for found in OLDER_SENTENCE.finditer(sentence))

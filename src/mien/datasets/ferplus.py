"""FERPlus: the faces of FER2013 labelled again by ten people each, reduced by Microsoft's majority rule.

Barsoum et al., "Training Deep Networks for Facial Expression Recognition with Crowd-Sourced Label
Distribution", ICMI 2016, arXiv:1608.01041, and its reference code.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.datasets.fer2013 import UNSURE_ROWS, FerTable, read_table
from mien.datasets.sample import Dataset, Sample
from mien.errors import DatasetError
from mien.expressions import FERPLUS_8, FERPLUS_VOTES


class FerPlus(Dataset):
    """The images of FER2013 on which most voters agree, with the eight classes of FERPlus."""

    name = "ferplus"
    expressions = FERPLUS_8

    def __init__(self, table: FerTable, labels: NDArray[np.int64], split: str) -> None:
        self.split = split
        self._table, self._labels = table, labels

    def __len__(self) -> int:
        return len(self._labels)

    def sample(self, index: int) -> Sample:
        """The sample at a position from 0 to len - 1."""
        table = self._table
        return Sample(table.images[index], int(self._labels[index]), f"row {table.row[index]}")

    def votes(self) -> NDArray[np.int8] | None:
        """The votes (N, 10)."""
        return self._table.votes


def majority_labels(votes: NDArray[np.int8]) -> NDArray[np.int64]:
    """The majority label of each image by Microsoft's rule, -1 where there is none.

    votes: (N, 10) counts in the order of `FERPLUS_VOTES`. Single votes are taken for mistakes and set
    to 0; the winner must have more than half of what remains (votes for `unknown` and `nf` count) and
    be one of the eight expressions.
    Returns int64 (N,), indices into `FERPLUS_8`.
    """
    counted = np.where(votes == 1, 0, votes).astype(np.int64)
    winner = counted.argmax(axis=1)
    clear = 2 * counted.max(axis=1) > counted.sum(axis=1)
    index_of = np.array([FERPLUS_8.index(name) if name in FERPLUS_8 else -1 for name in FERPLUS_VOTES], np.int64)
    return np.where(clear, index_of[winner], -1)


def read_ferplus(root: Path, split: str) -> FerPlus:
    """Read one split (`training`, `public_test`, `private_test`, `all`) with majority labels.

    root: the Kaggle csv with `fer2013new.csv` beside it, the packed parquet, or a folder with either.
    Raises DatasetError when the votes are missing or a row is damaged.
    """
    table = read_table(root, split, with_votes=True)
    if table.votes is None:
        raise DatasetError(f"{root}: expected FERPlus votes, found none")
    labels = majority_labels(table.votes)
    kept = np.flatnonzero((labels >= 0) & ~np.isin(table.row, UNSURE_ROWS))
    kept_table = replace(
        table,
        row=table.row[kept],
        usage=tuple(table.usage[index] for index in kept),
        emotion=table.emotion[kept],
        images=table.images[kept],
        votes=table.votes[kept],
    )
    return FerPlus(kept_table, labels[kept], split)

"""FERPlus: the faces of FER2013 labelled again by ten people each, by the rules of the paper.

Barsoum et al., "Training Deep Networks for Facial Expression Recognition with Crowd-Sourced Label
Distribution", ICMI 2016, arXiv:1608.01041, and its reference code, whose rules these are. They are for learning;
what is measured has majority labels always, as in the paper.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.datasets.fer2013 import UNSURE_ROWS, FerTable, read_table
from mien.datasets.sample import Dataset, Sample
from mien.errors import DatasetError
from mien.expressions import BASIC_7, FERPLUS_8, FERPLUS_VOTES
from mien.preprocessing import ImageArray

Counts = NDArray[np.int64]
EXPRESSIONS = len(FERPLUS_8)
"""The first columns of FERPLUS_VOTES are expressions; `unknown` and `nf` follow."""
NOT_MEASURED = ("ferplus-distribution", "ferplus-multi-label")
"""Forms with several expressions a face, which are there to learn from."""


class FerPlus(Dataset):
    """The faces of FER2013 whose votes a rule keeps."""

    labelled_by_votes = True

    def __init__(
        self, table: FerTable, shares: NDArray[np.float32], expressions: tuple[str, ...], name: str, split: str
    ) -> None:
        self.name, self.split, self.expressions = name, split, expressions
        self._table, self._shares = table, shares

    def __len__(self) -> int:
        return len(self._shares)

    def sample(self, index: int) -> Sample:
        """The sample at a position from 0 to len - 1, labelled with the largest share."""
        table = self._table
        return Sample(table.images[index], int(self._shares[index].argmax()), f"row {table.row[index]}")

    def arrays(self) -> tuple[ImageArray, NDArray[np.int64]]:
        """All images (N, 48, 48, 1) and labels (N,)."""
        return self._table.images, self._shares.argmax(axis=1)

    def votes(self) -> NDArray[np.int8] | None:
        """The votes (N, 10)."""
        return self._table.votes

    def targets(self) -> NDArray[np.float32] | None:
        """The shares (N, K) of the votes that the rule keeps; None where that is one expression a face."""
        return self._shares if self.name in NOT_MEASURED else None


def vote_shares(votes: NDArray[np.integer]) -> NDArray[np.float32]:
    """Votes (N, 10) in the order of FERPLUS_VOTES as shares (N, 8) in that of FERPLUS_8.

    `unknown` and `nf` do not count; a face on which nobody chose an expression has a row of zeros.
    """
    counts = votes[:, [FERPLUS_VOTES.index(name) for name in FERPLUS_8]].astype(np.float32)
    shares: NDArray[np.float32] = counts / np.maximum(1, counts.sum(axis=1, keepdims=True))
    return shares


def majority(counts: Counts) -> Counts:
    """One expression: that with more than half of all votes."""
    winner = np.eye(counts.shape[1], dtype=np.int64)[counts.argmax(axis=1)] * counts
    return np.where(2 * winner > counts.sum(axis=1, keepdims=True), winner, 0)


def distribution(counts: Counts) -> Counts:
    """The most frequent ones until they have three quarters of all votes, and more than half; at most three."""
    return np.array([_most_frequent(each) for each in counts], np.int64).reshape(counts.shape)


def _most_frequent(counts: Counts) -> Counts:
    kept, nothing, last = np.zeros_like(counts), np.zeros_like(counts), 0
    for index in np.argsort(-counts, kind="stable"):
        enough = 4 * kept.sum() >= 3 * counts.sum() or np.count_nonzero(kept) >= 3
        if index >= EXPRESSIONS or (enough and counts[index] != last):  # equal counts stay together
            break
        kept[index] = last = counts[index]
    return kept if 2 * kept.sum() > counts.sum() and np.count_nonzero(kept) <= 3 else nothing


def multi_label(counts: Counts) -> Counts:
    """All with three tenths of all votes or more, if they have more than half together."""
    total = counts.sum(axis=1, keepdims=True)
    kept = np.where(10 * counts >= 3 * total, counts, 0)
    return np.where(2 * kept.sum(axis=1, keepdims=True) > total, kept, 0)


def targets_by_rule(votes: NDArray[np.int8], rule: Callable[[Counts], Counts]) -> NDArray[np.float32]:
    """The shares (N, 8), in the order of FERPLUS_8, of the votes (N, 10) that a rule keeps; zeros for faces left out.

    Single votes are taken for mistakes and do not count; votes for `unknown` and `nf` do. A face is left out where
    the rule keeps nothing, or more votes for one of these two than for any expression.
    """
    kept = rule(np.where(votes == 1, 0, votes).astype(np.int64))
    is_face = kept.argmax(axis=1) < EXPRESSIONS
    return vote_shares(kept * is_face[:, None])


def majority_labels(votes: NDArray[np.int8]) -> NDArray[np.int64]:
    """Labels (N,), indices into FERPLUS_8, of votes (N, 10) by majority; -1 where there is none."""
    shares = targets_by_rule(votes, majority)
    return np.where(shares.any(axis=1), shares.argmax(axis=1), -1)


def read_ferplus(
    root: Path,
    split: str,
    name: str = "ferplus",
    rule: Callable[[Counts], Counts] = majority,
    expressions: tuple[str, ...] = FERPLUS_8,
) -> FerPlus:
    """Read one split (`training`, `public_test`, `private_test`, `all`).

    root: the Kaggle csv with `fer2013new.csv` beside it, the packed parquet, or a folder with either.
    rule: which votes count in `training`; the other splits have majority labels.
    expressions: the first K of FERPLUS_8; faces labelled with others are left out.
    Raises DatasetError when the votes are missing or a row is damaged.
    """
    table = read_table(root, split, with_votes=True)
    if table.votes is None:
        raise DatasetError(f"{root}: expected FERPlus votes, found none")
    shares = targets_by_rule(table.votes, rule if split == "training" else majority)
    known = shares.any(axis=1) & (shares.argmax(axis=1) < len(expressions))
    kept = np.flatnonzero(known & ~np.isin(table.row, UNSURE_ROWS))
    kept_table = replace(
        table,
        row=table.row[kept],
        usage=tuple(table.usage[index] for index in kept),
        emotion=table.emotion[kept],
        images=table.images[kept],
        votes=table.votes[kept],
    )
    return FerPlus(kept_table, shares[kept, : len(expressions)], expressions, name, split)


FERPLUS: dict[str, Callable[[Path, str], FerPlus]] = {
    "ferplus": read_ferplus,
    "ferplus-7": partial(read_ferplus, name="ferplus-7", expressions=BASIC_7),
    "ferplus-distribution": partial(read_ferplus, name="ferplus-distribution", rule=distribution),
    "ferplus-multi-label": partial(read_ferplus, name="ferplus-multi-label", rule=multi_label),
}
"""The forms of FERPlus by name: majority with eight and with seven classes, and two rules for learning."""

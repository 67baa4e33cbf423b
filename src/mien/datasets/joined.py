"""A labelled data set with faces of another one that were given labels."""

import numpy as np
from numpy.typing import NDArray

from mien.datasets.sample import Dataset, Sample


class Joined(Dataset):
    """All samples of a labelled data set, once or more often, then chosen ones of another as what they were given."""

    split_is = "Joined by mien"

    def __init__(
        self,
        labelled: Dataset,
        other: Dataset,
        chosen: NDArray[np.int64],
        labels: NDArray[np.int64],
        weight: float,
        distributions: NDArray[np.float32] | None = None,
        repeats: int = 1,
    ) -> None:
        """chosen: (M,) indices into `other`. labels: (M,) indices into the classes of `labelled`.

        weight: of a chosen face, against 1. distributions: (M, K) over these classes, where more than the label is
        given. repeats: how often the labelled samples are there.
        """
        self.name, self.split, self.expressions = labelled.name, labelled.split, labelled.expressions
        self._labelled, self._other = labelled, other
        self._chosen, self._labels, self._weight = chosen, labels, weight
        self._distributions, self._repeats = distributions, repeats

    def __len__(self) -> int:
        return self._repeats * len(self._labelled) + len(self._chosen)

    def sample(self, index: int) -> Sample:
        """The sample at a position from 0 to len - 1."""
        place = index - self._repeats * len(self._labelled)
        if place < 0:
            return self._labelled.sample(index % len(self._labelled))
        found = self._other.sample(int(self._chosen[place]))
        return Sample(found.image, int(self._labels[place]), found.source)

    def votes(self) -> NDArray[np.int8] | None:
        """The votes (N, 10) on the labelled faces; 0 for the others, whatever is known of them."""
        votes = self._labelled.votes()
        if votes is None:
            return None
        return np.concatenate((*[votes] * self._repeats, np.zeros((len(self._chosen), 10), np.int8)))

    def targets(self) -> NDArray[np.float32] | None:
        """Distributions (N, K), those of a face with one label with this label alone; None where all have one label."""
        targets = self._labelled.targets()
        if targets is None and self._distributions is None:
            return None
        one_hot = np.eye(len(self.expressions), dtype=np.float32)
        own = one_hot[[sample.label for sample in self._labelled]] if targets is None else targets
        new = one_hot[self._labels] if self._distributions is None else self._distributions
        return np.concatenate((*[own] * self._repeats, new))

    def weights(self) -> NDArray[np.float32]:
        """1 for labelled faces, the given weight for the others (N,)."""
        counts = (self._repeats * len(self._labelled), len(self._chosen))
        return np.repeat(np.array([1, self._weight], np.float32), counts)

    def given(self) -> NDArray[np.bool_]:
        """False for labelled faces, True for the others (N,)."""
        return np.arange(len(self)) >= self._repeats * len(self._labelled)

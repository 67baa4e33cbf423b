"""A labelled data set with faces of another one that were given labels."""

import numpy as np
from numpy.typing import NDArray

from mien.datasets.sample import Dataset, Sample


class Joined(Dataset):
    """All samples of a labelled data set, then chosen ones of another with the labels they were given."""

    split_is = "Joined by mien"

    def __init__(
        self,
        labelled: Dataset,
        other: Dataset,
        chosen: NDArray[np.int64],
        labels: NDArray[np.int64],
        weight: float,
    ) -> None:
        """chosen: (M,) indices into `other`. labels: (M,) indices into the classes of `labelled`."""
        self.name, self.split, self.expressions = labelled.name, labelled.split, labelled.expressions
        self._labelled, self._other = labelled, other
        self._chosen, self._labels, self._weight = chosen, labels, weight

    def __len__(self) -> int:
        return len(self._labelled) + len(self._chosen)

    def sample(self, index: int) -> Sample:
        """The sample at a position from 0 to len - 1."""
        if index < len(self._labelled):
            return self._labelled.sample(index)
        place = index - len(self._labelled)
        found = self._other.sample(int(self._chosen[place]))
        return Sample(found.image, int(self._labels[place]), found.source)

    def votes(self) -> NDArray[np.int8] | None:
        """The votes (N, 10) on the labelled faces; 0 for the others, whatever is known of them."""
        votes = self._labelled.votes()
        return None if votes is None else np.concatenate((votes, np.zeros((len(self._chosen), 10), np.int8)))

    def targets(self) -> NDArray[np.float32] | None:
        """Distributions (N, K), those of the new faces with the label alone, where the labelled set has them."""
        targets = self._labelled.targets()
        if targets is None:
            return None
        return np.concatenate((targets, np.eye(len(self.expressions), dtype=np.float32)[self._labels]))

    def weights(self) -> NDArray[np.float32]:
        """1 for labelled faces, the given weight for the others (N,)."""
        return np.repeat(np.array([1, self._weight], np.float32), (len(self._labelled), len(self._chosen)))

"""A labelled data set with other faces, that were given labels or have none."""

import numpy as np
from numpy.typing import NDArray

from mien.datasets.sample import Dataset, Sample
from mien.datasets.unlabelled import NO_LABEL
from mien.preprocessing import ImageArray


class Joined(Dataset):
    """All samples of a labelled data set, once or more often, then other faces as what they were given."""

    split_is = "Joined by mien"

    def __init__(
        self,
        labelled: Dataset,
        faces: ImageArray,
        labels: NDArray[np.int64],
        weight: float,
        distributions: NDArray[np.float32] | None = None,
        repeats: int = 1,
    ) -> None:
        """faces: uint8 (M, H, W, C). labels: (M,) indices into the classes of `labelled`.

        weight: of one of these faces, against 1. distributions: (M, K) over these classes, where more than the label is
        given. repeats: how often the labelled samples are there.
        """
        self.name, self.split, self.expressions = labelled.name, labelled.split, labelled.expressions
        self._labelled, self._faces, self._labels, self._weight = labelled, faces, labels, weight
        self._distributions, self._repeats = distributions, repeats

    def __len__(self) -> int:
        return self._repeats * len(self._labelled) + len(self._faces)

    def sample(self, index: int) -> Sample:
        """The sample at a position from 0 to len - 1."""
        place = index - self._repeats * len(self._labelled)
        if place < 0:
            return self._labelled.sample(index % len(self._labelled))
        return Sample(self._faces[place], int(self._labels[place]), f"other face {place}")

    def votes(self) -> NDArray[np.int8] | None:
        """The votes (N, 10) on the labelled faces; 0 for the others, whatever is known of them."""
        votes = self._labelled.votes()
        if votes is None:
            return None
        return np.concatenate((*[votes] * self._repeats, np.zeros((len(self._faces), 10), np.int8)))

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
        counts = (self._repeats * len(self._labelled), len(self._faces))
        return np.repeat(np.array([1, self._weight], np.float32), counts)

    def given(self) -> NDArray[np.bool_]:
        """False for labelled faces, True for the others (N,)."""
        return np.arange(len(self)) >= self._repeats * len(self._labelled)


class WithUnlabelled(Dataset):
    """All samples of a labelled data set, then other faces without labels and votes."""

    split_is = "Joined by mien"

    def __init__(self, labelled: Dataset, faces: ImageArray) -> None:
        """faces: uint8 (M, H, W, C)."""
        self.name, self.split, self.expressions = labelled.name, labelled.split, labelled.expressions
        self._labelled, self._faces = labelled, faces

    def __len__(self) -> int:
        return len(self._labelled) + len(self._faces)

    def sample(self, index: int) -> Sample:
        """The sample at a position from 0 to len - 1."""
        place = index - len(self._labelled)
        if place < 0:
            return self._labelled.sample(index)
        return Sample(self._faces[place], NO_LABEL, f"other face {place}")

    def votes(self) -> NDArray[np.int8] | None:
        """The votes (N, 10) on the labelled faces; 0 for the others."""
        votes = self._labelled.votes()
        return None if votes is None else np.concatenate((votes, np.zeros((len(self._faces), votes.shape[1]), np.int8)))

"""What an evaluation feeds to a network: the faces of a data set, of the classes that both have."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mien.datasets import Dataset, as_faces, pixel_key
from mien.errors import DatasetError
from mien.expressions import shared_expressions
from mien.preprocessing import ImageArray
from mien.weights import ModelCard

CHUNK = 512
"""Samples that are held at once."""


@dataclass(frozen=True)
class FaceBatch:
    """Some of a data set's faces."""

    faces: ImageArray
    """uint8 (N, S, S, C), as the network takes them."""
    labels: NDArray[np.int64]
    """(N,) indices into the shared classes."""
    positions: NDArray[np.int64]
    """(N,) where they stand in the data set."""
    in_training: NDArray[np.bool_]
    """(N,) whether their pixels stand in the training split."""
    done: int
    """Samples of the data set that are read so far, with those of other classes."""

    def without_pixels(self) -> "FaceBatch":
        """What is known of the faces, to be kept when they have been scored."""
        return replace(self, faces=self.faces[:0].copy())


def shared_classes(dataset: Dataset, card: ModelCard) -> tuple[str, ...]:
    """The classes that data set and network both have; DatasetError where these are fewer than two."""
    shared = shared_expressions(dataset.expressions, card.expressions)
    if len(shared) < 2:
        raise DatasetError(
            f"{dataset.name} has the classes {', '.join(dataset.expressions) or '(none)'}, "
            f"{card.name} has {', '.join(card.expressions)}: expected at least two in common"
        )
    return shared


def face_batches(dataset: Dataset, card: ModelCard, training_keys: Collection[str] = ()) -> Iterator[FaceBatch]:
    """The faces of shared classes, in the data set's order; DatasetError where there is none."""
    shared, found_any = shared_classes(dataset, card), False
    index_of = {dataset.expressions.index(name): index for index, name in enumerate(shared)}
    for start in range(0, len(dataset), CHUNK):
        whole = enumerate(dataset[start : start + CHUNK], start)
        numbered = [(index, each) for index, each in whole if each.label in index_of]
        samples = [each for _, each in numbered]
        found_any |= bool(samples)
        faces, labels = as_faces(samples, card.preprocessing)
        yield FaceBatch(
            faces,
            np.array([index_of[label] for label in labels.tolist()], np.int64),
            np.array([index for index, _ in numbered], np.int64),
            np.array([pixel_key(each.image) in training_keys for each in samples], np.bool_),
            min(start + CHUNK, len(dataset)),
        )
    if not found_any:
        raise DatasetError(f"{dataset.name} {dataset.split}: expected images of {', '.join(shared)}, found none")


def join_batches(batches: Sequence[FaceBatch]) -> FaceBatch:
    """All batches of a data set as one."""
    return FaceBatch(
        np.concatenate([batch.faces for batch in batches]),
        np.concatenate([batch.labels for batch in batches]),
        np.concatenate([batch.positions for batch in batches]),
        np.concatenate([batch.in_training for batch in batches]),
        batches[-1].done,
    )


def shared_scores(scores: NDArray[np.float32], card: ModelCard, shared: tuple[str, ...]) -> NDArray[np.float32]:
    """Of a network's probabilities (N, K) those of the shared classes, so that rows sum to 1 again."""
    chosen = scores[:, [card.expressions.index(name) for name in shared]]
    renormalised: NDArray[np.float32] = chosen / chosen.sum(axis=1, keepdims=True)
    return renormalised

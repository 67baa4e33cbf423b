"""The faces that an export needs: labelled ones that the network has not learned from, and some that it has."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.datasets import as_faces, open_dataset, pixel_key, same_faces, training_pixel_keys
from mien.errors import DatasetError
from mien.preprocessing import ImageArray
from mien.training.checkpoint import Checkpoint
from mien.training.learned_from import learned_splits
from mien.weights import ModelCard

TENTH = "tenth-of-training"
FEWEST = 50
"""Faces that are needed at least (chosen): fewer tell nothing of a temperature or of half a point of accuracy."""
RANGE_FACES = 300
"""Training faces from which the ranges of activations are taken; more make them no better (chosen on PublicTest)."""


@dataclass(frozen=True)
class CalibrationSplit:
    """Where an export finds labelled faces, and what they serve for."""

    dataset: str
    """Name of the data set."""
    root: Path
    """The file or folder that holds it."""
    split: str = TENTH
    """Its part; of this, faces that the network has learned from are left out."""
    keep_temperature: bool = False
    """Whether logits stay as they were trained."""

    @property
    def name(self) -> str:
        """Data set and split, as cards and reports name them."""
        return f"{self.dataset} {self.split}"


@dataclass(frozen=True)
class HeldOut:
    """Labelled faces that a network has not learned from."""

    source: CalibrationSplit
    faces: ImageArray
    """uint8 (N, S, S, C)."""
    labels: NDArray[np.int64]
    """(N,), indices of the network's classes."""


def held_out_faces(source: CalibrationSplit, checkpoint: Checkpoint, card: ModelCard) -> HeldOut:
    """The faces of a split that a network has not learned from.

    Whether it has is told by pixels, over all splits that it, the networks it started from and its teachers learned
    from: names alone do not tell, since FER2013 repeats images. Raises DatasetError for other classes than the
    network's, and where fewer than `FEWEST` faces remain.
    """
    samples = open_dataset(source.dataset, source.root, source.split)
    if samples.expressions != card.expressions:
        raise DatasetError(
            f"{source.name}: expected the network's classes {', '.join(card.expressions)}, "
            f"found {', '.join(samples.expressions) or 'none'}"
        )
    learned_from = learned_splits(checkpoint.header)
    learned = training_pixel_keys(source.dataset, source.root, source.split, learned_from)
    kept = [sample for sample in samples if pixel_key(sample.image) not in learned]
    if len(kept) < FEWEST:
        raise DatasetError(
            f"{source.name}: expected at least {FEWEST} faces that the network has not learned from "
            f"({', '.join(map(str, learned_from))}), found {len(kept)} of {len(samples)}; name another split, or "
            f"train on {TENTH}-training"
        )
    return HeldOut(source, *as_faces(kept, card.preprocessing))


def range_faces(source: CalibrationSplit, checkpoint: Checkpoint, card: ModelCard) -> ImageArray:
    """`RANGE_FACES` faces uint8 (N, S, S, C), drawn from the training split of a checkpoint's experiment.

    Raises DatasetError where the calibration split is not of the same pictures, so that its root does not hold them.
    """
    data = checkpoint.header.experiment.data
    if not same_faces(source.dataset, data.dataset):
        raise DatasetError(
            f"{source.dataset}: expected the faces of {data.dataset}, from whose {data.training_split} the ranges of "
            "int8 are taken"
        )
    samples = open_dataset(data.dataset, source.root, data.training_split)
    drawn = np.random.default_rng(0).permutation(len(samples))[:RANGE_FACES]
    return as_faces([samples[int(index)] for index in drawn], card.preprocessing)[0]

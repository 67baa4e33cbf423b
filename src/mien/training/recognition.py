"""The task of telling expressions: labelled faces, a classifier, accuracy on the selection split."""

from pathlib import Path
from typing import Annotated, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from pydantic.dataclasses import dataclass

from mien.datasets import Dataset, as_faces, open_dataset
from mien.datasets.ferplus import majority_labels
from mien.evaluation.metrics import accuracy, confusion_matrix, mean_class_accuracy, negative_log_likelihood
from mien.models import Classifier, build_network
from mien.models.checked import STRICT
from mien.preprocessing import ImageArray
from mien.scorer import softmax
from mien.training.batches import BatchSource
from mien.training.task import Task
from mien.training.torch_scorer import TorchScorer
from mien.training.votes import make_vote_head


@dataclass(frozen=True, config=STRICT)
class LabelOptions:
    """What is learned of the labels, by several methods."""

    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Share of the target that is spread over all classes (Szegedy et al., 2016); not with `multi-label` targets."""
    targets: Literal["label", "drawn", "distribution", "multi-label"] = "label"
    """What is learned of FERPlus' distributions (Barsoum et al., 2016): the label alone, a label drawn from the
    distribution for each face and step, all of the distribution, or any of its expressions (losses.py)."""
    vote_weight: Annotated[float, Field(ge=0)] = 0.0
    """Weight of a second head that learns the FERPlus votes (votes.py); needs a data set that has them."""


class Faces(NamedTuple):
    """A selection split as it is measured."""

    faces: ImageArray
    """uint8 (N, S, S, C)."""
    labels: NDArray[np.int64]
    """(N,)."""
    majority: NDArray[np.int64] | None
    """FERPlus' majority labels (N,), -1 where there is none, if the votes are learned."""


class Recognition(Task[Classifier, Dataset]):
    """Faces with labels, and the votes on them where they are learned too."""

    options: LabelOptions

    @staticmethod
    def open(name: str, root: Path, split: str) -> Dataset:
        return open_dataset(name, root, split)

    def make_network(self, classes: int) -> Classifier:
        options = self.experiment.network
        network = build_network(options.name, classes, self.preprocessing.channels, options.options)
        if self.options.vote_weight:
            network.vote_head = make_vote_head(network)
        return network

    def make_source(self, training: Dataset, device: torch.device, weak: bool = False) -> BatchSource:
        faces, labels = as_faces(training, self.preprocessing)
        votes, targets = self.options.vote_weight > 0, self.options.targets != "label"
        return BatchSource(faces, labels, self.experiment, device, training, votes, targets, weak)

    def prepare(self, selection: Dataset) -> Faces:
        faces, labels = as_faces(selection, self.preprocessing)
        votes = selection.votes() if self.options.vote_weight else None
        return Faces(faces, labels, None if votes is None else majority_labels(votes))

    def measure(self, network: Classifier, prepared: Faces) -> dict[str, float]:
        logits, features = TorchScorer(network, self.preprocessing).logits_and_features(prepared.faces)
        probabilities = softmax(logits)
        matrix = confusion_matrix(prepared.labels, probabilities.argmax(axis=1), probabilities.shape[1])
        measured = {
            "loss": negative_log_likelihood(probabilities, prepared.labels),
            "accuracy": accuracy(matrix),
            "mean_class_accuracy": mean_class_accuracy(matrix),
        }
        if network.vote_head is not None and prepared.majority is not None:
            kept = prepared.majority >= 0
            with torch.inference_mode():
                there = torch.from_numpy(features[kept]).to(network.vote_head.weight.device)
                answers = network.vote_head(there).argmax(dim=1).cpu().numpy()
            measured["votes_accuracy"] = float((answers == prepared.majority[kept]).mean())
        return measured

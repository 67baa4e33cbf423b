"""The standard method: every face once an epoch, cross entropy with label smoothing, optionally votes beside it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, TypeAdapter
from pydantic.dataclasses import dataclass
from torch import Tensor
from torch.nn import functional

from mien.datasets import Dataset, as_faces, open_dataset
from mien.datasets.ferplus import majority_labels
from mien.errors import CheckpointError
from mien.evaluation.metrics import accuracy, confusion_matrix, mean_class_accuracy, negative_log_likelihood
from mien.expressions import FERPLUS_8
from mien.models import Classifier, build_network
from mien.preprocessing import ImageArray, Preprocessing
from mien.scorer import softmax
from mien.training.batches import Batch, BatchSource
from mien.training.config import Experiment, validated
from mien.training.losses import multi_label_losses
from mien.training.methods.method import Method
from mien.training.options import STRICT
from mien.training.torch_scorer import TorchScorer
from mien.training.votes import make_vote_head, vote_loss


class Faces(NamedTuple):
    """A selection split as it is measured."""

    faces: ImageArray
    """uint8 (N, S, S, C)."""
    labels: NDArray[np.int64]
    """(N,)."""
    majority: NDArray[np.int64] | None
    """FERPlus' majority labels (N,), -1 where there is none, if the votes are learned."""


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


@dataclass(frozen=True, config=STRICT)
class StandardOptions(LabelOptions):
    """Options of the standard method."""

    deployed: Literal["labels", "votes"] = "labels"
    """Which head ships: that of the data set's labels, or the one that learned the votes, with FERPlus' classes."""


class Standard(Method[Classifier, Batch, Dataset]):
    """Every face once an epoch in random order, cross entropy with label smoothing."""

    def __init__(self, source: BatchSource, network: Classifier, options: dict[str, Any]) -> None:
        self.source = source
        self.options: LabelOptions = self.read_options(options)
        if self.options.vote_weight:
            source.add_votes()
        if self.options.targets != "label":
            source.add_targets()

    @staticmethod
    def open(name: str, root: Path, split: str) -> Dataset:
        return open_dataset(name, root, split)

    @classmethod
    def make_network(cls, experiment: Experiment, classes: int) -> Classifier:
        options = experiment.network
        network = build_network(options.name, classes, experiment.data.channels, options.options)
        if cls.read_options(experiment.method.options).vote_weight:
            network.vote_head = make_vote_head(network)
        return network

    @staticmethod
    def make_source(
        training: Dataset, preprocessing: Preprocessing, experiment: Experiment, device: torch.device
    ) -> BatchSource:
        return BatchSource(*as_faces(training, preprocessing), experiment, device, training)

    @classmethod
    def prepare(cls, selection: Dataset, preprocessing: Preprocessing, options: dict[str, Any]) -> Faces:
        faces, labels = as_faces(selection, preprocessing)
        votes = selection.votes() if cls.read_options(options).vote_weight else None
        return Faces(faces, labels, None if votes is None else majority_labels(votes))

    @staticmethod
    def measure(network: Classifier, preprocessing: Preprocessing, prepared: Faces) -> dict[str, float]:
        logits, features = TorchScorer(network, preprocessing).logits_and_features(prepared.faces)
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

    @staticmethod
    def read_options(options: dict[str, Any]) -> LabelOptions:
        return validated(TypeAdapter(StandardOptions), options, "method standard")

    def steps_per_epoch(self) -> int:
        return self.source.experiment.schedule.steps_per_epoch or len(self.source) // self.source.batch_size

    def batches(self, epoch: int) -> Iterator[Batch]:
        source, size = self.source, self.source.batch_size
        order = source.order(self.steps_per_epoch() * size, epoch)
        for step in range(self.steps_per_epoch()):
            yield source.batch(order[step * size : (step + 1) * size], epoch, step)

    def loss(self, network: Classifier, batch: Batch, epoch: int) -> dict[str, Tensor]:
        features = network.forward_features(batch.images)
        logits = network.classify(features)
        return {
            "loss": self.total_loss(network, features, logits, batch),
            "accuracy": (logits.argmax(dim=1) == batch.labels).float().mean(),
        }

    def total_loss(self, network: Classifier, features: Tensor, logits: Tensor, batch: Batch) -> Tensor:
        """All losses of features (B, D) and logits (B, K), weighted."""
        loss = self.classification_loss(logits, batch)
        if network.vote_head is not None and batch.votes is not None:
            loss = loss + self.options.vote_weight * vote_loss(network.vote_head(features), batch.votes)
        return loss

    def classification_loss(self, logits: Tensor, batch: Batch) -> Tensor:
        """The loss of logits (B, K) against the targets that the options name."""
        kind, targets = self.options.targets, batch.labels if batch.targets is None else batch.targets
        if kind == "multi-label":
            losses = multi_label_losses(logits, targets)
        else:
            wanted = torch.multinomial(targets, 1).squeeze(1) if kind == "drawn" else targets
            smoothing = self.options.label_smoothing
            losses = functional.cross_entropy(logits, wanted, label_smoothing=smoothing, reduction="none")
        return losses.mean() if batch.weights is None else (losses * batch.weights).mean()

    @classmethod
    def selectable(cls, network: Classifier, options: dict[str, Any]) -> Classifier:
        return network.folded()

    @classmethod
    def deployable(cls, network: Classifier, options: dict[str, Any]) -> Classifier:
        network = network.folded()
        if options.get("deployed") == "votes":
            if network.vote_head is None:
                raise CheckpointError("deployed 'votes': expected a network with a head that learned the votes")
            network.classifier = network.vote_head
        network.vote_head = None
        return network

    @classmethod
    def deployed_expressions(cls, expressions: tuple[str, ...], options: dict[str, Any]) -> tuple[str, ...]:
        return FERPLUS_8 if options.get("deployed") == "votes" else expressions

"""The standard method: every face once an epoch, cross entropy with label smoothing, optionally votes beside it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, TypeAdapter
from pydantic.dataclasses import dataclass
from torch import Tensor, nn
from torch.nn import functional

from mien.datasets import Dataset, as_faces, open_dataset
from mien.metrics import accuracy, confusion_matrix, mean_class_accuracy, negative_log_likelihood
from mien.models import Classifier, build_network
from mien.preprocessing import ImageArray, Preprocessing
from mien.training.batches import Batch, BatchSource
from mien.training.config import Experiment, validated
from mien.training.losses import multi_label_losses
from mien.training.methods.method import Method
from mien.training.options import STRICT
from mien.training.torch_scorer import TorchScorer
from mien.training.votes import VoteHead

Faces = tuple[ImageArray, NDArray[np.int64]]
"""Faces uint8 (N, S, S, C) and their labels (N,)."""


@dataclass(frozen=True, config=STRICT)
class StandardOptions:
    """Options of the standard method."""

    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Share of the target that is spread over all classes (Szegedy et al., 2016); not with `multi-label` targets."""
    targets: Literal["label", "drawn", "distribution", "multi-label"] = "label"
    """What is learned of FERPlus' distributions (Barsoum et al., 2016): the label alone, a label drawn from the
    distribution for each face and step, all of the distribution, or any of its expressions (losses.py)."""
    vote_weight: Annotated[float, Field(ge=0)] = 0.0
    """Weight of a second head that learns the FERPlus votes (votes.py); needs a data set that has them."""


class Standard(Method[Classifier, Batch, Dataset]):
    """Every face once an epoch in random order, cross entropy with label smoothing."""

    def __init__(self, source: BatchSource, network: Classifier, options: dict[str, Any]) -> None:
        self.source = source
        self.options = self.read_options(options)
        self.vote_head: VoteHead | None = None
        if self.options.vote_weight:
            source.add_votes()
            self.vote_head = VoteHead(network.feature_count).to(source.labels.device)
        if self.options.targets != "label":
            source.add_targets()

    @staticmethod
    def open(name: str, root: Path, split: str) -> Dataset:
        return open_dataset(name, root, split)

    @staticmethod
    def make_network(experiment: Experiment, classes: int) -> Classifier:
        options = experiment.network
        return build_network(options.name, classes, experiment.data.channels, options.options)

    @staticmethod
    def make_source(
        training: Dataset, preprocessing: Preprocessing, experiment: Experiment, device: torch.device
    ) -> BatchSource:
        return BatchSource(*as_faces(training, preprocessing), experiment, device, training)

    @staticmethod
    def prepare(selection: Dataset, preprocessing: Preprocessing) -> Faces:
        return as_faces(selection, preprocessing)

    @staticmethod
    def measure(network: Classifier, preprocessing: Preprocessing, prepared: Faces) -> dict[str, float]:
        faces, labels = prepared
        probabilities = TorchScorer(network, preprocessing)(faces)
        matrix = confusion_matrix(labels, probabilities.argmax(axis=1), probabilities.shape[1])
        return {
            "loss": negative_log_likelihood(probabilities, labels),
            "accuracy": accuracy(matrix),
            "mean_class_accuracy": mean_class_accuracy(matrix),
        }

    @staticmethod
    def read_options(options: dict[str, Any]) -> StandardOptions:
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
            "loss": self.total_loss(features, logits, batch),
            "accuracy": (logits.argmax(dim=1) == batch.labels).float().mean(),
        }

    def total_loss(self, features: Tensor, logits: Tensor, batch: Batch) -> Tensor:
        """All losses of features (B, D) and logits (B, K), weighted."""
        loss = self.classification_loss(logits, batch)
        if self.vote_head and batch.votes is not None:
            loss = loss + self.options.vote_weight * self.vote_head(features, batch.votes)
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

    def parameters(self) -> list[nn.Parameter]:
        return list(self.vote_head.parameters()) if self.vote_head else []

    def state_dict(self) -> dict[str, Tensor]:
        return self.vote_head.state_dict() if self.vote_head else {}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        if self.vote_head:
            self.vote_head.load_state_dict(state)

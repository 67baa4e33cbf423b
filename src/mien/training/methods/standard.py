"""The standard method: every face once an epoch, cross entropy with label smoothing, optionally votes beside it."""

from collections.abc import Iterator
from typing import Any, ClassVar, Literal

import torch
from pydantic.dataclasses import dataclass
from torch import Tensor
from torch.nn import functional

from mien.errors import CheckpointError
from mien.expressions import FERPLUS_8
from mien.models import Classifier
from mien.models.checked import STRICT
from mien.training.batches import Batch, BatchSource
from mien.training.losses import multi_label_losses
from mien.training.methods.method import Method
from mien.training.recognition import LabelOptions, Recognition
from mien.training.votes import vote_loss


@dataclass(frozen=True, config=STRICT)
class StandardOptions(LabelOptions):
    """Options of the standard method."""

    deployed: Literal["labels", "votes"] = "labels"
    """Which head ships: that of the data set's labels, or the one that learned the votes, with FERPlus' classes."""


class Standard(Method[Classifier, Batch]):
    """Every face once an epoch in random order, cross entropy with label smoothing."""

    name = "standard"
    task = Recognition
    options_class: ClassVar[type[Any]] = StandardOptions
    options: LabelOptions

    def __init__(self, source: BatchSource, network: Classifier, options: dict[str, Any]) -> None:
        self.source = source
        self.options = self.read_options(options)

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

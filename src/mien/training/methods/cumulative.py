"""Cumulative learning: two branches, one fed by a uniform and one by a reversed sampler, mixed by a falling α.

Zhou et al., "BBN: Bilateral-Branch Network with Cumulative Learning for Long-Tailed Visual Recognition",
CVPR 2020, https://arxiv.org/abs/1912.02413, and its reference code; that RLR-CNet takes its formulas over
unchanged is inferred. What differs from BBN's code: each sampler gives half of a batch; both halves go through batch
norm together, as they do when the network is used; labels are smoothed like those of the standard method.
"""

from collections.abc import Iterator
from typing import Any, Literal

import torch
from pydantic.dataclasses import dataclass
from torch import Tensor
from torch.nn import functional

from mien.errors import ExperimentError
from mien.models import Classifier
from mien.models.checked import STRICT
from mien.models.rlr_cnet import RlrCnetDual
from mien.training.batches import Batch
from mien.training.config import Experiment
from mien.training.methods.standard import Standard
from mien.training.recognition import LabelOptions
from mien.training.samplers import reversed_order
from mien.training.votes import vote_loss


@dataclass(frozen=True, config=STRICT)
class CumulativeOptions(LabelOptions):
    """Options of cumulative learning."""

    targets: Literal["label"] = "label"
    """One label a face: the reversed sampler goes by it."""
    deployed: Literal["both", "feature-branch"] = "both"
    """What is selected and shipped: both branches with α = 0.5, or the feature-learning branch alone."""


def mixing_weight(epoch: int, epochs: int) -> float:
    """α = 1 - (T / T_max)², the share of the feature-learning branch in an epoch counted from 0.

    BBN's code has T_max = 100 for 90 epochs, so that α does not reach 0; here T_max is the number of epochs.
    """
    return 1 - (epoch / epochs) ** 2


def mixed_loss(logits: Tensor, regular: Tensor, rebalanced: Tensor, alpha: float, label_smoothing: float) -> Tensor:
    """α CE(z, y_c) + (1 - α) CE(z, y_r): logits (B, K), labels of both samplers (B,)."""
    first = functional.cross_entropy(logits, regular, label_smoothing=label_smoothing)
    second = functional.cross_entropy(logits, rebalanced, label_smoothing=label_smoothing)
    return alpha * first + (1 - alpha) * second


class Cumulative(Standard):
    """Half of each batch from the uniform sampler, half from the reversed one, logits and loss mixed by α.

    An epoch shows every face once through the uniform sampler and as many drawn by the reversed one.
    """

    name = "cumulative"
    options_class = CumulativeOptions
    options: CumulativeOptions

    def steps_per_epoch(self) -> int:
        half = self.source.batch_size // 2
        return self.source.experiment.schedule.steps_per_epoch or len(self.source) // half

    def batches(self, epoch: int) -> Iterator[Batch]:
        source, half = self.source, self.source.batch_size // 2
        steps = self.steps_per_epoch()
        uniform = source.order(steps * half, epoch)
        reversed_ = reversed_order(source.labels.cpu(), steps * half, source.draw("reversed order", epoch))
        for step in range(steps):
            part = slice(step * half, (step + 1) * half)
            yield source.batch(torch.cat((uniform[part], reversed_[part])), epoch, step)

    def loss(self, network: Classifier, batch: Batch, epoch: int) -> dict[str, Tensor]:
        assert isinstance(network, RlrCnetDual)  # see check
        alpha = mixing_weight(epoch, self.source.experiment.schedule.epochs)
        features = network.forward_branches(*batch.images.chunk(2))
        mixed = network.mix(*features, alpha)
        logits = network.classify(mixed)
        regular, rebalanced = batch.labels.chunk(2)
        answers = logits.argmax(dim=1)
        right = alpha * (answers == regular).sum() + (1 - alpha) * (answers == rebalanced).sum()
        loss = mixed_loss(logits, regular, rebalanced, alpha, self.options.label_smoothing)
        if network.vote_head is not None and batch.votes is not None:
            votes_logits = network.vote_head(mixed)
            first, second = (vote_loss(votes_logits, votes) for votes in batch.votes.chunk(2))
            loss = loss + self.options.vote_weight * (alpha * first + (1 - alpha) * second)
        return {"loss": loss, "accuracy": right / len(regular)}

    @classmethod
    def check(cls, network: Classifier, experiment: Experiment) -> None:
        if not isinstance(network, RlrCnetDual):
            raise ExperimentError("method cumulative: expected a network with two branches, rlr-cnet-dual")
        if experiment.joint:
            raise ExperimentError("method cumulative: expected an experiment without joint rounds")
        if (size := experiment.schedule.batch_size) % 2:
            raise ExperimentError(f"method cumulative: batch_size must be even, half for each sampler, not {size}")

    @classmethod
    def selectable(cls, network: Classifier, options: dict[str, Any]) -> Classifier:
        return cls.deployable(network, options)

    @classmethod
    def deployable(cls, network: Classifier, options: dict[str, Any]) -> Classifier:
        network.vote_head = None
        if cls.read_options(options).deployed == "both":
            return network
        assert isinstance(network, RlrCnetDual)
        return network.feature_branch()

"""What a training method offers to the one loop."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any

from torch import Tensor, nn

from mien.models import Classifier
from mien.training.batches import Batch, BatchSource
from mien.training.config import Experiment


class Method(ABC):
    """How a network is trained: which batches, which loss, which module ships in the end."""

    @abstractmethod
    def __init__(self, source: BatchSource, network: Classifier, options: dict[str, Any]) -> None:
        """source: the training faces. network: what is trained. options: those of the experiment file."""

    @staticmethod
    @abstractmethod
    def read_options(options: dict[str, Any]) -> object:
        """The options checked; ExperimentError for unknown or wrong ones."""

    def before_epoch(self, network: Classifier, epoch: int) -> None:  # noqa: B027
        """Called before the batches of an epoch; epochs count from 0."""

    @abstractmethod
    def steps_per_epoch(self) -> int:
        """How many batches each epoch has."""

    @abstractmethod
    def batches(self, epoch: int) -> Iterator[Batch]:
        """The batches of an epoch, in an order that depends on (seed, epoch) alone."""

    @abstractmethod
    def loss(self, network: Classifier, batch: Batch, epoch: int) -> dict[str, Tensor]:
        """Scalars by name; "loss" is the one to go down, "correct" counts right answers."""

    def parameters(self) -> list[nn.Parameter]:
        """Parameters of the method's own, trained with the network's."""
        return []

    def state_dict(self) -> dict[str, Tensor]:
        """Whatever must survive a kill."""
        return {}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:  # noqa: B027
        """The inverse of `state_dict`."""

    @classmethod  # noqa: B027
    def check(cls, network: Classifier, experiment: Experiment) -> None:
        """ExperimentError for a network or experiment that this method cannot train."""

    @classmethod
    def deployable(cls, network: Classifier, options: dict[str, Any]) -> Classifier:
        """The module that is evaluated and exported, for a network trained with these options."""
        return network

"""What a training method offers to the one loop."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from torch import Tensor, nn

from mien.models.checked import validated
from mien.training.config import Experiment
from mien.training.task import NetworkT, Task


class AnyBatch(Protocol):
    """One step's pictures, and whatever the method needs beside them."""

    @property
    def images(self) -> Tensor:
        """Network input (B, C, S, S)."""


BatchT = TypeVar("BatchT", bound=AnyBatch)


class Method(ABC, Generic[NetworkT, BatchT]):
    """How a network is trained: with which batches and loss, and which module ships in the end."""

    name: ClassVar[str]
    """Its name in experiment files."""
    task: ClassVar[type[Task[Any, Any]]]
    """What the network is trained for."""
    options_class: ClassVar[type[Any]]
    """What `method.options` of an experiment file may say."""

    @abstractmethod
    def __init__(self, source: Any, network: NetworkT, options: dict[str, Any]) -> None:
        """source: what the task's `make_source` gives. network: what is trained. options: of the experiment file."""

    @classmethod
    def read_options(cls, options: Mapping[str, Any]) -> Any:
        """The options as an instance of `options_class`; ExperimentError for unknown or wrong ones."""
        return validated(cls.options_class, options, f"method {cls.name}")

    @classmethod
    def taught_by(cls, options: dict[str, Any]) -> tuple[str, ...]:
        """Checkpoints, or names of packaged networks, whose answers are learned from, for these options."""
        return ()

    @abstractmethod
    def steps_per_epoch(self) -> int:
        """How many batches each epoch has."""

    @abstractmethod
    def batches(self, epoch: int) -> Iterator[BatchT]:
        """The batches of an epoch, in an order that depends on (seed, epoch) alone."""

    @abstractmethod
    def loss(self, network: NetworkT, batch: BatchT, epoch: int) -> dict[str, Tensor]:
        """Scalars by name; "loss" is the one to go down, the others are for the log."""

    def parameters(self) -> list[nn.Parameter]:
        """Parameters of the method's own, trained with the network's."""
        return []

    def state_dict(self) -> dict[str, Tensor]:
        """Whatever must survive a kill."""
        return {}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """The inverse of `state_dict`."""

    @classmethod
    def check(cls, network: NetworkT, experiment: Experiment) -> None:
        """ExperimentError for a network or experiment that this method cannot train."""

    @classmethod
    def selectable(cls, network: NetworkT, options: dict[str, Any]) -> NetworkT:
        """The module that the task measures, for a network trained with these options."""
        return cls.deployable(network, options)

    @classmethod
    def deployed_expressions(cls, expressions: tuple[str, ...], options: dict[str, Any]) -> tuple[str, ...]:
        """The classes that the deployed network answers, for those of the training split."""
        return expressions

    @classmethod
    def deployable(cls, network: NetworkT, options: dict[str, Any]) -> NetworkT:
        """The module that is evaluated and exported, for a network trained with these options."""
        return network

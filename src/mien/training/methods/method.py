"""What a training method offers to the one loop."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, TypeVar

import torch
from torch import Tensor, nn

from mien.preprocessing import Preprocessing
from mien.training.config import Experiment


class AnyBatch(Protocol):
    """One step's pictures, and whatever the method needs beside them."""

    @property
    def images(self) -> Tensor:
        """Network input (B, C, S, S)."""


class AnyData(Protocol):
    """One split of the data that a method learns from or selects on."""

    name: str
    split: str
    expressions: tuple[str, ...]

    def __len__(self) -> int: ...


NetworkT = TypeVar("NetworkT", bound=nn.Module)
BatchT = TypeVar("BatchT", bound=AnyBatch)
DataT = TypeVar("DataT", bound=AnyData)


class Method(ABC, Generic[NetworkT, BatchT, DataT]):
    """How a network is trained: on which data, with which batches and loss, and which module ships in the end."""

    selected_by: ClassVar[str] = "accuracy"
    """What `measure` gives that the best epoch is chosen by."""

    @abstractmethod
    def __init__(self, source: Any, network: NetworkT, options: dict[str, Any]) -> None:
        """source: what `make_source` gives. network: what is trained. options: those of the experiment file."""

    @staticmethod
    @abstractmethod
    def open(name: str, root: Path, split: str) -> DataT:
        """Open a split of the data set that an experiment names."""

    @staticmethod
    @abstractmethod
    def make_network(experiment: Experiment, classes: int) -> NetworkT:
        """The experiment's network, freshly initialised."""

    @staticmethod
    @abstractmethod
    def make_source(training: DataT, preprocessing: Preprocessing, experiment: Experiment, device: torch.device) -> Any:
        """Where batches come from."""

    @staticmethod
    @abstractmethod
    def prepare(selection: DataT, preprocessing: Preprocessing, options: dict[str, Any]) -> Any:
        """The selection split as `measure` takes it, once for all epochs; options: those of the experiment file."""

    @staticmethod
    @abstractmethod
    def measure(network: NetworkT, preprocessing: Preprocessing, prepared: Any) -> dict[str, float]:
        """What a deployable network does on the selection split: `selected_by`, and more by name."""

    @staticmethod
    @abstractmethod
    def read_options(options: dict[str, Any]) -> object:
        """The options checked; ExperimentError for unknown or wrong ones."""

    @classmethod
    def teachers(cls, options: dict[str, Any]) -> tuple[str, ...]:
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
        """The module that `measure` takes, for a network trained with these options."""
        return cls.deployable(network, options)

    @classmethod
    def deployed_expressions(cls, expressions: tuple[str, ...], options: dict[str, Any]) -> tuple[str, ...]:
        """The classes that the deployed network answers, for those of the training split."""
        return expressions

    @classmethod
    def deployable(cls, network: NetworkT, options: dict[str, Any]) -> NetworkT:
        """The module that is evaluated and exported, for a network trained with these options."""
        return network

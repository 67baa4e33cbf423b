"""What a network is trained for: on which data, which network, where batches come from, and how well it does."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, TypeVar

import torch
from torch import nn

from mien.training.config import Experiment


class AnyData(Protocol):
    """One split of the data that a network learns from or is selected on."""

    name: str
    split: str
    expressions: tuple[str, ...]

    def __len__(self) -> int: ...


NetworkT = TypeVar("NetworkT", bound=nn.Module)
DataT = TypeVar("DataT", bound=AnyData)


class Task(ABC, Generic[NetworkT, DataT]):
    """One experiment's data, network and measure, whatever the method that trains it."""

    selected_by: ClassVar[str] = "accuracy"
    """What `measure` gives that the best epoch is chosen by."""

    def __init__(self, experiment: Experiment, options: Any) -> None:
        """options: those of the experiment's method, as it has read them."""
        self.experiment, self.options = experiment, options
        self.preprocessing = experiment.data.preprocessing()

    @staticmethod
    @abstractmethod
    def open(name: str, root: Path, split: str) -> DataT:
        """Open a split of the data set that an experiment names."""

    @abstractmethod
    def make_network(self, classes: int) -> NetworkT:
        """The experiment's network, freshly initialised."""

    @abstractmethod
    def make_source(self, training: DataT, device: torch.device, weak: bool = False) -> Any:
        """Where batches come from; weak: whether they also have their faces hardly changed."""

    @abstractmethod
    def prepare(self, selection: DataT) -> Any:
        """The selection split as `measure` takes it, once for all epochs."""

    @abstractmethod
    def measure(self, network: NetworkT, prepared: Any) -> dict[str, float]:
        """What a deployable network does on the selection split: `selected_by`, and more by name."""

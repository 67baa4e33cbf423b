"""Checkpoints: one safetensors file with tensors and, in its header, JSON; never pickles. Writes are atomic."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors.torch import save
from torch import Tensor

from mien.atomic import replacing
from mien.errors import CheckpointError, ExperimentError
from mien.preprocessing import Preprocessing
from mien.training.config import Experiment, experiment_from_dict, experiment_to_dict
from mien.training.weights_file import FORMAT, opened_checkpoint
from mien.weights.learned_from import Split, splits_from_json, splits_to_json


@dataclass(frozen=True)
class Header:
    """What a checkpoint says of the training and of the network in it."""

    experiment: Experiment
    """The whole configuration, also the network's name and options."""
    expressions: tuple[str, ...]
    """The classes of the network's head."""
    preprocessing: Preprocessing
    learned_from: tuple[Split, ...] = ()
    """All splits that the network learned from; empty where that is not known, as in older checkpoints."""
    training_images: int = 0
    epoch: int = 0
    """How many epochs are done."""
    seconds: float = 0.0
    """How long they took."""
    history: tuple[dict[str, float], ...] = ()
    """One row an epoch, as in the log."""
    versions: Mapping[str, str] = field(default_factory=dict)
    """Of mien, torch and Python."""

    def to_dict(self) -> dict[str, Any]:
        """The header as plain values."""
        return {
            "network": self.experiment.network.name,
            "network_options": self.experiment.network.options,
            "expressions": list(self.expressions),
            "training_images": self.training_images,
            "learned_from": splits_to_json(self.learned_from),
            "preprocessing": self.preprocessing.to_dict(),
            "experiment": experiment_to_dict(self.experiment),
            "epoch": self.epoch,
            "seconds": self.seconds,
            "history": list(self.history),
            "versions": dict(self.versions),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], source: str) -> "Header":
        """The inverse of `to_dict`, also for older checkpoints; CheckpointError names what is missing or wrong."""
        try:
            return cls(
                experiment=experiment_from_dict(_renamed(values["experiment"]), source),
                expressions=tuple(values["expressions"]),
                preprocessing=Preprocessing.from_dict(values["preprocessing"]),
                learned_from=splits_from_json(values.get("learned_from", ())),
                training_images=values["training_images"],
                epoch=values["epoch"],
                seconds=values["seconds"],
                history=tuple(values["history"]),
                versions=values["versions"],
            )
        except ExperimentError as error:
            raise CheckpointError(str(error)) from error
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointError(f"{source}: expected a complete header, missing or wrong: {error}") from error


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint file holds."""

    tensors: dict[str, Tensor]
    """By name; the part before the first "/" tells whose they are: network, average, optimizer, method."""
    header: Header

    def part(self, owner: str) -> dict[str, Tensor]:
        """The tensors of one owner, without the prefix."""
        prefix = owner + "/"
        return {name.removeprefix(prefix): tensor for name, tensor in self.tensors.items() if name.startswith(prefix)}


def save_checkpoint(file: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint; a kill at any moment leaves the old file or the new one, never half of one."""
    header = {"format": FORMAT, "facts": json.dumps(checkpoint.header.to_dict())}
    tensors = {name: tensor.detach().contiguous() for name, tensor in checkpoint.tensors.items()}
    with replacing(file) as temporary:
        temporary.write_bytes(save(tensors, metadata=header))


def load_checkpoint(file: Path) -> Checkpoint:
    """Read a checkpoint; CheckpointError when it is missing, damaged, or not one of mien's."""
    with _opened(file) as (stream, header):
        return Checkpoint({name: stream.get_tensor(name) for name in stream.keys()}, header)  # noqa: SIM118


def read_header(file: Path) -> Header:
    """The header of a checkpoint without its tensors; errors as of `load_checkpoint`."""
    with _opened(file) as (_, header):
        return header


def _renamed(experiment: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration in an older header by the names of today."""
    data = {"std" if name == "deviation" else name: value for name, value in experiment["data"].items()}
    statistics = {"statistics": "precise"} if experiment.get("statistics") == "anew" else {}
    return {**experiment, "data": data, **statistics}


@contextmanager
def _opened(file: Path) -> Iterator[tuple[Any, Header]]:
    with opened_checkpoint(file) as (stream, facts):
        yield stream, Header.from_dict(facts, str(file))

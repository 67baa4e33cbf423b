"""Checkpoints: one safetensors file with tensors and, in its header, JSON; never pickles. Writes are atomic."""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from mien.errors import CheckpointError
from mien.training.config import Experiment, experiment_from_dict, experiment_to_dict
from mien.training.methods import method_class

FORMAT = "mien checkpoint 1"


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint file holds."""

    tensors: dict[str, Tensor]
    """By name; the part before the first "/" tells whose they are: network, average, optimizer, method."""
    facts: dict[str, Any]
    """Network's name and options, labels, pre-processing, configuration, progress, metrics, versions."""

    def part(self, owner: str) -> dict[str, Tensor]:
        """The tensors of one owner, without the prefix."""
        prefix = owner + "/"
        return {name.removeprefix(prefix): tensor for name, tensor in self.tensors.items() if name.startswith(prefix)}


def save_checkpoint(file: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint; a kill at any moment leaves the old file or the new one, never half of one."""
    header = {"format": FORMAT, "facts": json.dumps(checkpoint.facts)}
    tensors = {name: tensor.detach().contiguous() for name, tensor in checkpoint.tensors.items()}
    temporary = file.with_name(file.name + ".part")
    with temporary.open("wb") as stream:
        stream.write(save(tensors, metadata=header))
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(temporary, file)


def load_checkpoint(file: Path) -> Checkpoint:
    """Read a checkpoint; CheckpointError when it is missing, damaged, or not one of mien's."""
    if not file.is_file():
        raise CheckpointError(f"{file}: expected a checkpoint, found nothing")
    try:
        with safe_open(file, framework="pt") as stream:
            header = stream.metadata() or {}
            if header.get("format") != FORMAT:
                raise CheckpointError(f"{file}: expected a {FORMAT!r}, found {header.get('format', 'no format')!r}")
            tensors = {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118
            return Checkpoint(tensors, json.loads(header["facts"]))
    except (SafetensorError, OSError, ValueError, KeyError) as error:
        raise CheckpointError(f"{file}: expected a checkpoint of mien: {error}") from error


def require_same_experiment(facts: dict[str, Any], experiment: Experiment, source: str) -> None:
    """CheckpointError unless a checkpoint belongs to this experiment, naming what differs."""
    if facts["network"] != experiment.network.name:
        raise CheckpointError(
            f"{source}: expected a checkpoint of {experiment.network.name}, found one of {facts['network']}"
        )
    wanted, saved = (with_defaults(each) for each in (experiment, experiment_from_dict(facts["experiment"], source)))
    if different := sorted(key for key in wanted if saved[key] != wanted[key]):
        raise CheckpointError(
            f"{source}: expected a checkpoint of this experiment, but it was trained with another "
            + ", ".join(f"{key} ({saved[key]} instead of {wanted[key]})" for key in different)
        )


def with_defaults(experiment: Experiment) -> dict[str, Any]:
    """An experiment as a dictionary with all options of its method, also those that its file leaves out."""
    method = experiment.method
    options = method_class(method.name).read_options(method.options)
    return {**experiment_to_dict(experiment), "method": (method.name, options)}

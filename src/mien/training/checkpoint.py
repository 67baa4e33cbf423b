"""Checkpoints: one safetensors file with tensors and, in its header, JSON; never pickles. Writes are atomic."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from mien.atomic import replacing
from mien.errors import CheckpointError

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
    with replacing(file) as temporary:
        temporary.write_bytes(save(tensors, metadata=header))


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

"""Checkpoint files before they are read as a whole: where they are, and what their headers say in plain values."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from mien.errors import CheckpointError
from mien.preprocessing import Preprocessing
from mien.weights import FOLDER

FORMAT = "mien checkpoint 1"


def find_initial_weights(source: str) -> Path:
    """The checkpoint that a packaged network's name or a path stands for; CheckpointError where there is none."""
    for file in (Path(source), FOLDER / f"{source}.safetensors"):
        if file.is_file():
            return file
    packaged = ", ".join(sorted(each.stem for each in FOLDER.glob("*.safetensors"))) or "none"
    raise CheckpointError(f"{source}: expected a checkpoint or a packaged network ({packaged}), found neither")


@contextmanager
def opened_checkpoint(file: Path) -> Iterator[tuple[Any, dict[str, Any]]]:
    """The tensors of a checkpoint, to be read one by one, and its header as plain values.

    CheckpointError when it is missing, damaged, or not one of mien's, also while the block reads.
    """
    if not file.is_file():
        raise CheckpointError(f"{file}: expected a checkpoint, found nothing")
    try:
        with safe_open(file, framework="pt") as stream:
            found = stream.metadata() or {}
            if found.get("format") != FORMAT:
                raise CheckpointError(f"{file}: expected a {FORMAT!r}, found {found.get('format', 'no format')!r}")
            yield stream, json.loads(found["facts"])
    except (SafetensorError, OSError, ValueError, KeyError) as error:
        raise CheckpointError(f"{file}: expected a checkpoint of mien: {error}") from error


def fitted_to_weights(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values of an experiment file with what they leave out of the network that they start from.

    The network's name, its options and the pre-processing come with `network.weights`; what the file says itself stays.
    CheckpointError where the name is to come from weights that do not exist.
    """
    network, data = values.get("network"), values.get("data")
    if not (isinstance(network, dict) and isinstance(data, dict)) or not network.get("weights"):
        return dict(values)
    try:
        with opened_checkpoint(find_initial_weights(str(network["weights"]))) as (_, facts):
            found = dict(facts)
    except CheckpointError:
        if "name" in network:
            return dict(values)  # another run is to write them yet, or it is told when the training starts
        raise
    fitted, options = {"name": found["network"], **network}, network.get("options", {})
    if fitted["name"] == found["network"] and isinstance(options, dict):
        fitted["options"] = {**found["network_options"], **options}
    preprocessing = Preprocessing.from_dict(found["preprocessing"]).to_dict()
    return {**values, "network": fitted, "data": {**preprocessing, **data}}

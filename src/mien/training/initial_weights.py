"""Where a training starts from: the weights of another one, as small files that can be packaged."""

from dataclasses import replace
from pathlib import Path

import torch

from mien.errors import CheckpointError
from mien.models import Classifier
from mien.preprocessing import Preprocessing
from mien.training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from mien.training.weights_file import find_initial_weights

HEAD = ("classifier.weight", "classifier.bias")


def load_initial_weights(
    network: Classifier, source: str, expressions: tuple[str, ...], preprocessing: Preprocessing
) -> None:
    """Give a network the averaged weights of a packaged network, by name, or of a checkpoint, by path.

    expressions: the classes of the network's head; classes that the checkpoint also has take up its rows, others
    stay as they are. Raises CheckpointError for an unknown source, other channels, mean, deviation or margin, and
    weights that do not fit.
    """
    file = find_initial_weights(source)
    checkpoint = load_checkpoint(file)
    learned = checkpoint.header.preprocessing
    if learned != replace(preprocessing, size_px=learned.size_px):
        raise CheckpointError(f"{file}: expected weights learned with {preprocessing}, found {learned}")
    found = {name: tensor.float() for name, tensor in checkpoint.part("average").items()}
    known = checkpoint.header.expressions
    rows = [(index, known.index(name)) for index, name in enumerate(expressions) if name in known]
    wanted = {name: tensor for name, tensor in network.state_dict().items() if tensor.is_floating_point()}
    for name in HEAD:
        if name in found and name in wanted and found[name].shape[1:] == wanted[name].shape[1:]:
            head = wanted[name].clone()
            for own, other in rows:
                head[own] = found[name][other]
            found[name] = head
    for name in [each for each in wanted.keys() ^ found.keys() if each.startswith("vote_head.")]:
        found.pop(name, None)  # learned in one of the two alone
        wanted.pop(name, None)
    different = sorted(
        name
        for name in wanted.keys() | found.keys()
        if name not in wanted or name not in found or wanted[name].shape != found[name].shape
    )
    if different:
        raise CheckpointError(
            f"{file}: expected the weights of a network like this one, but {len(different)} differ, "
            f"such as {different[0]}"
        )
    network.load_state_dict(found, strict=False)  # all but the counters of batch norm


def write_initial_weights(checkpoint: Checkpoint, file: Path) -> None:
    """Write the averaged weights of a checkpoint alone, in half precision: an eighth of its size."""
    tensors = {f"average/{name}": tensor.to(torch.float16) for name, tensor in checkpoint.part("average").items()}
    save_checkpoint(file, Checkpoint(tensors, checkpoint.header))

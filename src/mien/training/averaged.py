"""From a checkpoint to its averaged network."""

from torch import nn

from mien.errors import CheckpointError
from mien.models import Classifier, build_network
from mien.training.checkpoint import Checkpoint
from mien.training.votes import make_vote_head


def averaged_network(checkpoint: Checkpoint) -> Classifier:
    """The averaged network of a checkpoint with all its heads; CheckpointError where weights do not fit."""
    header = checkpoint.header
    options = header.experiment.network
    network = build_network(options.name, len(header.expressions), header.preprocessing.channels, options.options)
    if "average/vote_head.weight" in checkpoint.tensors:
        network.vote_head = make_vote_head(network)
    load_average(network, checkpoint)
    return network


def load_average(network: nn.Module, checkpoint: Checkpoint) -> None:
    """Give a network the averaged weights of a checkpoint; CheckpointError where they do not fit."""
    name = checkpoint.header.experiment.network.name
    try:
        found = network.load_state_dict(checkpoint.part("average"), strict=False)
    except RuntimeError as error:  # shapes differ
        raise CheckpointError(f"weights do not fit {name}: {str(error).splitlines()[-1]}") from error
    missing = [each for each in found.missing_keys if not each.endswith("num_batches_tracked")]
    if missing or found.unexpected_keys:
        raise CheckpointError(
            f"weights do not fit {name}: {len(missing)} missing, {len(found.unexpected_keys)} unknown"
        )

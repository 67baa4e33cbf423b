"""From a checkpoint to the network that ships."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from mien.models import Classifier
from mien.training.averaged import averaged_network
from mien.training.checkpoint import Checkpoint
from mien.training.methods import method_class


def deployable_network(checkpoint: Checkpoint, method_options: Mapping[str, Any] = MappingProxyType({})) -> Classifier:
    """The averaged network of a checkpoint as it ships, in evaluation mode; CheckpointError where weights do not fit.

    method_options: take the place of those it was trained with, such as `deployed`.
    """
    method = checkpoint.facts["experiment"]["method"]
    network = averaged_network(checkpoint)
    deployable = method_class(method["name"]).deployable(network, {**method["options"], **method_options})
    assert isinstance(deployable, Classifier)
    return deployable.eval()

"""Whether a training may go on from a checkpoint."""

from typing import Any

from mien.errors import CheckpointError
from mien.training.checkpoint import Header
from mien.training.config import Experiment, experiment_to_dict
from mien.training.methods import method_class


def require_same_experiment(header: Header, experiment: Experiment, source: str) -> None:
    """CheckpointError unless a checkpoint belongs to this experiment, naming what differs."""
    if (found := header.experiment.network.name) != experiment.network.name:
        raise CheckpointError(f"{source}: expected a checkpoint of {experiment.network.name}, found one of {found}")
    wanted, saved = (with_defaults(each) for each in (experiment, header.experiment))
    if different := sorted(key for key in wanted if saved[key] != wanted[key]):
        raise CheckpointError(
            f"{source}: expected a checkpoint of this experiment, but it was trained with another "
            + ", ".join(f"{key} ({saved[key]} instead of {wanted[key]})" for key in different)
        )


def require_same_data(header: Header, expressions: tuple[str, ...], training_images: int, source: str) -> None:
    """CheckpointError unless a checkpoint was trained on these classes and so many images."""
    for fact, saved, found in (
        ("expressions", header.expressions, expressions),
        ("training_images", header.training_images, training_images),
    ):
        if saved != found:
            raise CheckpointError(f"{source}: expected the data it was trained on, with {fact} {saved}, found {found}")


def with_defaults(experiment: Experiment) -> dict[str, Any]:
    """An experiment as a dictionary with all options of its method, also those that its file leaves out."""
    method = experiment.method
    options = method_class(method.name).read_options(method.options)
    return {**experiment_to_dict(experiment), "method": (method.name, options)}

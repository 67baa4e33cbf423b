"""The splits that a training learns from: its own, and those behind the networks that it starts from or asks."""

import logging
from collections.abc import Iterator
from pathlib import Path

from mien.datasets import Split
from mien.errors import CheckpointError
from mien.training.checkpoint import Header, read_header
from mien.training.config import Experiment
from mien.training.methods import method_class
from mien.training.weights_file import find_initial_weights

LOGGER = logging.getLogger("mien")


def own_splits(experiment: Experiment) -> tuple[Split, ...]:
    """What an experiment itself opens to learn from, with and without labels."""
    data, joint = experiment.data, experiment.joint
    found = [Split(data.dataset, data.training_split)]
    if joint:
        found.append(Split(joint.unlabelled, joint.unlabelled_split))
    return (*found, *(Split(other, "all") for other in data.unlabelled))


def splits_of_training(experiment: Experiment, initial: str = "") -> tuple[Split, ...]:
    """An experiment's own splits, and those of its initial weights and its method's teachers.

    initial: weights to start from instead of the experiment's. Empty, with a warning, where one of these is an older
    checkpoint that does not tell, and what that started from is gone.
    """
    weights = initial or experiment.network.weights
    teachers = method_class(experiment.method.name).taught_by(experiment.method.options)
    found = list(own_splits(experiment))
    try:
        for source in (*([weights] if weights else []), *teachers):
            found += learned_splits(read_header(find_initial_weights(source)))
    except CheckpointError as error:
        LOGGER.warning("what this training learns from is not known to the end: %s", error)
        return ()
    return tuple(dict.fromkeys(found))


def learned_splits(header: Header) -> tuple[Split, ...]:
    """All splits that the network of a checkpoint learned from; CheckpointError where that cannot be told."""
    return header.learned_from or tuple(dict.fromkeys(_splits_of_older_checkpoint(header)))


def _splits_of_older_checkpoint(header: Header) -> Iterator[Split]:
    """For checkpoints that do not say it: own splits, then those of the files that they started from."""
    seen = set[Path]()
    while not header.learned_from:
        yield from own_splits(header.experiment)
        weights = header.experiment.network.weights
        file = find_initial_weights(weights) if weights else None
        if file is None or file in seen:
            return
        seen.add(file)
        header = read_header(file)
    yield from header.learned_from

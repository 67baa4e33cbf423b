"""The splits that a training learns from: its own, and those behind the networks that it starts from or asks."""

import logging
from collections.abc import Iterator
from pathlib import Path

from mien.datasets import Split
from mien.errors import CheckpointError
from mien.training.checkpoint import Checkpoint, load_checkpoint
from mien.training.config import Experiment, experiment_from_dict
from mien.training.initial_weights import find_initial_weights
from mien.training.methods import method_class
from mien.weights.learned_from import splits_from_json

LOGGER = logging.getLogger("mien")


def own_splits(experiment: Experiment) -> tuple[Split, ...]:
    """What an experiment itself opens to learn from, with and without labels."""
    data, joint = experiment.data, experiment.joint
    found = [Split(data.dataset, data.training_split)]
    if joint:
        found.append(Split(joint.unlabelled, joint.unlabelled_split))
    return (*found, *(Split(other, "all") for other in data.unlabelled))


def splits_of_training(experiment: Experiment, initial: str = "") -> tuple[Split, ...] | None:
    """An experiment's own splits, and those of its initial weights and its method's teachers.

    initial: weights to start from instead of the experiment's. None, with a warning, where one of these is an older
    checkpoint that does not tell, and what that started from is gone.
    """
    weights = initial or experiment.network.weights
    teachers = method_class(experiment.method.name).teachers(experiment.method.options)
    found = list(own_splits(experiment))
    try:
        for source in (*([weights] if weights else []), *teachers):
            found += learned_splits(load_checkpoint(find_initial_weights(source)))
    except CheckpointError as error:
        LOGGER.warning("what this training learns from is not known to the end: %s", error)
        return None
    return tuple(dict.fromkeys(found))


def learned_splits(checkpoint: Checkpoint) -> tuple[Split, ...]:
    """All splits that the network of a checkpoint learned from; CheckpointError where that cannot be told."""
    if known := recorded_splits(checkpoint):
        return known
    return tuple(dict.fromkeys(_splits_of_older_checkpoint(checkpoint)))


def recorded_splits(checkpoint: Checkpoint) -> tuple[Split, ...]:
    """The splits that a checkpoint says its network learned from; empty for older checkpoints, which do not."""
    return splits_from_json(checkpoint.facts.get("learned_from") or ())


def _splits_of_older_checkpoint(checkpoint: Checkpoint) -> Iterator[Split]:
    """For checkpoints without `learned_from`: own splits, then those of the files that they started from."""
    seen = set[Path]()
    while True:
        experiment = experiment_from_dict(checkpoint.facts["experiment"], "checkpoint")
        yield from own_splits(experiment)
        if not experiment.network.weights:
            return
        file = find_initial_weights(experiment.network.weights)
        if file in seen:
            return
        seen.add(file)
        checkpoint = load_checkpoint(file)
        if known := recorded_splits(checkpoint):
            yield from known
            return

"""Expression-guided deep joint learning: train, label unlabelled faces, train on with them, and again.

A reconstruction (models/ac_net.py says of which paper, guidance.py how faces get labels). Each round is a training by
the one loop in a folder of its own, so that it resumes inside rounds and between them.
"""

from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from mien.datasets import Dataset
from mien.datasets.joined import Joined
from mien.labelling.clustering import require_neighbours
from mien.training.batches import at_full_size
from mien.training.config import Experiment
from mien.training.joint.label_check import CHECK, check_labels
from mien.training.joint.pseudo_labels import PseudoLabels, label_unlabelled
from mien.training.joint.teachers import OwnAnswers
from mien.training.loop import LAST, TrainingResult, train
from mien.training.options import JointOptions
from mien.training.randomness import derive_seed
from mien.training.unlabelled import Unlabelled, read_unlabelled_beside


def train_rounds(
    experiment: Experiment,
    labelled: Dataset,
    unlabelled: Dataset,
    selection: Dataset | None,
    out: Path,
    resume: bool = False,
    device: str | None = None,
) -> TrainingResult:
    """Train an experiment with `joint` rounds; the result of the last round, whether or not it is better than others.

    `out` gets a folder for each round, `round-0` for the training on labelled faces alone, and for each further
    network of a round. `round-1` and later ones also hold the labels that faces got (labels.csv, and labels.npz for
    resuming), a summary (round.json), with `joint.check` how far they can be trusted (check.json), and a picture of
    each class's new faces. Unlabelled faces with the pixels of labelled ones or of the selection split are left out.
    """
    joint = experiment.joint
    assert joint is not None
    found = read_unlabelled_beside(labelled, unlabelled, selection, experiment.data.preprocessing())
    if joint.labelling == "rank-order":
        require_neighbours(len(labelled) + len(found.indices), joint.neighbours)
    member, training = replace(experiment, joint=None), labelled
    before: list[Path] = []
    for number in range(joint.rounds + 1):
        folder = out / f"round-{number}"
        relabel = None
        if number:
            given = label_unlabelled(experiment, labelled, found, before, folder, resume, device)
            if joint.check and selection is not None and not (resume and (folder / CHECK).exists()):
                check_labels(experiment, labelled, found, given.labels, selection, before, folder, device)
            training = _enlarged(joint, labelled, found, given)
            member = _tuning(experiment, joint, number)
            if joint.own_share and number == joint.rounds:
                shares = _class_shares(labelled) if joint.aligned else None
                member = at_full_size(member)
                relabel = OwnAnswers(joint.own_share, joint.labelled_own_share, shares)
        done = []
        for network in range(joint.networks if number < joint.rounds else 1):
            folder = out / (f"round-{number}-network-{network + 1}" if network else f"round-{number}")
            seeded = replace(member, seed=derive_seed(member.seed, "network", network)) if network else member
            initial = str(before[network]) if before else ""
            resumed = resume and (folder / LAST).exists()
            result = train(seeded, training, selection, folder, resumed, device, initial, relabel)
            done.append(result.best)
        before = done
    return result


def _class_shares(labelled: Dataset) -> Tensor:
    """The share of each class (K,) of the labelled faces."""
    labels = torch.tensor([sample.label for sample in labelled])
    return torch.bincount(labels, minlength=len(labelled.expressions)) / len(labels)


def _enlarged(joint: JointOptions, labelled: Dataset, found: Unlabelled, given: PseudoLabels) -> Joined:
    """The labelled faces and those of the others that were given labels."""
    new = given.labels >= 0
    distributions = None if given.distributions is None else given.distributions[new]
    faces = found.faces[new]
    return Joined(labelled, faces, given.labels[new], joint.weight, distributions, joint.labelled_repeats)


def _tuning(experiment: Experiment, joint: JointOptions, number: int) -> Experiment:
    """How a network is trained in a round from 1 on."""
    schedule = replace(
        experiment.schedule,
        epochs=joint.epochs,
        learning_rate=joint.learning_rate,
        batch_size=joint.batch_size or experiment.schedule.batch_size,
        warmup_epochs=min(experiment.schedule.warmup_epochs, joint.epochs / 4),
        progressive_epochs=experiment.schedule.progressive_epochs * joint.epochs / experiment.schedule.epochs,
    )
    method = experiment.method
    if joint.soft:
        method = replace(method, options={"targets": "distribution", "label_smoothing": 0.0, **method.options})
    seed = derive_seed(experiment.seed, "round", number)
    augmentation = joint.augmentation or experiment.augmentation
    return replace(experiment, schedule=schedule, method=method, augmentation=augmentation, seed=seed)

"""Expression-guided deep joint learning: train, label unlabelled faces, train on with them or anew, and again.

A reconstruction (models/ac_net.py says of which paper, guidance.py how faces get labels). Each round is a training by
the one loop in a folder of its own, so that it resumes inside rounds and between them.
"""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from mien.clustering import require_neighbours
from mien.datasets import Dataset, pixel_key
from mien.datasets.joined import Joined
from mien.preprocessing import Preprocessing
from mien.training.config import Experiment
from mien.training.loop import BEST, LAST, TrainingResult, train
from mien.training.pseudo_labels import label_unlabelled, read_unlabelled
from mien.training.randomness import derive_seed


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

    `out` gets a folder for each round, `round-0` for the training on labelled faces alone, and one for each further
    network of it. Later ones also hold the labels that faces got (labels.npz), a summary (round.json) and a picture
    of each class's new faces. Unlabelled faces with the pixels of labelled ones or of the selection split are left out.
    """
    joint = experiment.joint
    assert joint is not None
    data = experiment.data
    preprocessing = Preprocessing(data.size_px, data.channels, data.margin, data.mean, data.deviation)
    known = {pixel_key(sample.image) for split in (labelled, selection or ()) for sample in split}
    found = read_unlabelled(unlabelled, preprocessing, known)
    for line in found.skipped:
        print(f"mien: skipped {line}", file=sys.stderr)
    if found.known:
        print(f"mien: {found.known} unlabelled faces are labelled or selected on elsewhere, left out", file=sys.stderr)
    print(f"{len(labelled)} labelled faces, {len(found.indices)} unlabelled", file=sys.stderr, flush=True)
    if joint.labelling == "rank-order":
        require_neighbours(len(labelled) + len(found.indices), joint.neighbours)
    alone = replace(experiment, joint=None)
    before = []
    for number in range(joint.networks):
        folder = out / (f"round-0-network-{number + 1}" if number else "round-0")
        member = replace(alone, seed=derive_seed(experiment.seed, "network", number)) if number else alone
        result = train(member, labelled, selection, folder, resume and (folder / LAST).exists(), device)
        before.append(folder / BEST)
    for number in range(1, joint.rounds + 1):
        folder = out / f"round-{number}"
        given = label_unlabelled(experiment, labelled, found, before, folder, resume, device)
        new = np.flatnonzero(given.labels >= 0)
        joined = Joined(
            labelled,
            unlabelled,
            found.indices[new],
            given.labels[new],
            joint.weight,
            None if given.distributions is None else given.distributions[new],
            joint.labelled_repeats,
        )
        schedule = replace(
            experiment.schedule,
            epochs=joint.epochs,
            learning_rate=joint.learning_rate,
            warmup_epochs=min(experiment.schedule.warmup_epochs, joint.epochs / 4),
            progressive_epochs=experiment.schedule.progressive_epochs * joint.epochs / experiment.schedule.epochs,
        )
        method = experiment.method
        if joint.soft:
            method = replace(method, options={"targets": "distribution", "label_smoothing": 0.0, **method.options})
        tuning = replace(
            experiment, schedule=schedule, method=method, seed=derive_seed(experiment.seed, "round", number)
        )
        initial = str(before[0]) if joint.start == "before" else ""
        resumed = resume and (folder / LAST).exists()
        result = train(tuning, joined, selection, folder, resumed, device, initial)
        before = [folder / BEST]
    return result

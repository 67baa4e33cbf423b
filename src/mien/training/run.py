"""A whole training from an experiment and the files that hold its data."""

from pathlib import Path
from typing import Any

from mien.datasets import open_dataset, same_faces
from mien.datasets.joined import WithUnlabelled
from mien.errors import ExperimentError
from mien.training.config import Experiment
from mien.training.folds import train_folds
from mien.training.joint.rounds import train_rounds
from mien.training.loop import TrainingResult, train
from mien.training.methods import method_class
from mien.training.unlabelled import read_unlabelled_beside


def run_folds(
    experiment: Experiment, root: Path, out: Path, resume: bool = False, device: str | None = None
) -> dict[str, Any]:
    """Train a network for each fold of an experiment's data set; the summary of `train_folds`.

    root: the file or folder that holds the data set.
    """
    return train_folds(experiment, open_dataset(experiment.data.dataset, root, "all"), out, resume, device)


def run_training(
    experiment: Experiment,
    root: Path,
    out: Path,
    unlabelled: Path | None = None,
    resume: bool = False,
    device: str | None = None,
) -> TrainingResult:
    """Train an experiment without folds: by `train`, or by `train_rounds` where it has joint rounds.

    root, unlabelled: the files or folders that hold the data set and the unlabelled faces. Raises ExperimentError where
    these and the experiment do not go together.
    """
    check_unlabelled(experiment, root, unlabelled)
    data, task = experiment.data, method_class(experiment.method.name).task
    training = task.open(data.dataset, root, data.training_split)
    selected = data.selection_split != "none"
    selection = task.open(data.dataset, root, data.selection_split) if selected else None
    for name in data.unlabelled:
        faces = open_dataset(name, unlabelled or root, "all")
        found = read_unlabelled_beside(training, faces, selection, data.preprocessing())
        training = WithUnlabelled(training, found.faces)
    if experiment.joint is None:
        return train(experiment, training, selection, out, resume, device)
    faces = open_dataset(experiment.joint.unlabelled, unlabelled or root, experiment.joint.unlabelled_split)
    return train_rounds(experiment, training, faces, selection, out, resume, device)


def check_unlabelled(experiment: Experiment, root: Path, unlabelled: Path | None) -> None:
    """ExperimentError where an experiment needs unlabelled faces that are not given, or does nothing with them."""
    data, joint, name = experiment.data, experiment.joint, experiment.name
    if unlabelled and not (joint or data.unlabelled):
        raise ExperimentError(f"{name}: expected a [joint] table or data.unlabelled for --unlabelled, found none")
    if data.unlabelled and not unlabelled:
        raise ExperimentError(
            f"{name}: expected --unlabelled, the file or folder where {', '.join(data.unlabelled)} are"
        )
    if joint and not (unlabelled or same_faces(joint.unlabelled, data.dataset)):
        raise ExperimentError(f"{name}: expected --unlabelled, where the {joint.unlabelled} are")
    if unlabelled and data.dataset == "folder" and root.resolve() in unlabelled.resolve().parents:
        raise ExperimentError(f"{unlabelled}: expected a folder outside of {root}, whose subfolders are all classes")

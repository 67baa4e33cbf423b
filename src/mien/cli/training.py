"""The command that trains networks."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mien.cli.laboratory import run_export, train_extra
from mien.cli.options import FILE
from mien.errors import ExperimentError

if TYPE_CHECKING:
    from mien.training.config import Experiment


@click.command(no_args_is_help=True)
@click.argument("experiment", type=FILE)
@click.option("--root", type=FILE, required=True, help="The file or folder that holds the data set.")
@click.option("--out", type=FILE, help="Folder of the run; runs/NAME if not given.")
@click.option(
    "--unlabelled",
    type=FILE,
    help="The unlabelled faces: of data.unlabelled, or of joint rounds if not in the same data set.",
)
@click.option("--export", "export_to", type=FILE, help="Also export the result: the ONNX file.")
@click.option("--resume", is_flag=True, help="Go on from the last checkpoint in --out.")
@click.option("--seed", type=click.IntRange(0), help="Instead of the experiment's seed.")
@click.option("--device", help="cpu or cuda; by itself: cuda if any.")
@click.option("--set", "settings", multiple=True, help="KEY=VALUE instead of the experiment's, as schedule.epochs=2.")
def train(
    experiment: Path,
    root: Path,
    out: Path | None,
    unlabelled: Path | None,
    export_to: Path | None,
    resume: bool,
    seed: int | None,
    device: str | None,
    settings: tuple[str, ...],
) -> None:
    """Train a network as an experiment file says.

    EXPERIMENT: a TOML file, such as those in experiments/. One with folds trains a network for each.
    """
    with train_extra():
        from mien.training.config import read_experiment
        from mien.training.loop import check_experiment
        from mien.training.machine import find_device, keep_freed_memory

    wanted = read_experiment(experiment, settings)
    if seed is not None:
        wanted = replace(wanted, seed=seed)
    check_experiment(wanted)
    _check_options(wanted, experiment, root, unlabelled, export_to)
    find_device(device)
    keep_freed_memory()
    folder = out or Path("runs") / wanted.name
    folder.mkdir(parents=True, exist_ok=True)
    try:
        if wanted.data.folds:
            _run_folds(wanted, root, folder, resume, device)
            return
        best = _run(wanted, root, unlabelled, folder, resume, device)
    except KeyboardInterrupt:
        print(f"\nmien: interrupted; whole epochs are kept in {folder}, go on with --resume", file=sys.stderr)
        raise click.exceptions.Exit(130) from None
    print(best)
    if export_to:
        run_export(best, export_to, None)


def _check_options(
    wanted: "Experiment", experiment: Path, root: Path, unlabelled: Path | None, export_to: Path | None
) -> None:
    from mien.datasets import same_faces

    data = wanted.data
    if export_to and data.folds:
        raise ExperimentError(f"{experiment}: expected one network for --export, found {data.folds} folds")
    if unlabelled and not (wanted.joint or data.unlabelled):
        raise ExperimentError(f"{experiment}: expected a [joint] table or data.unlabelled for --unlabelled, found none")
    if data.unlabelled and not unlabelled:
        raise ExperimentError(
            f"{experiment}: expected --unlabelled, the file or folder where {', '.join(data.unlabelled)} are"
        )
    if wanted.joint and not (unlabelled or same_faces(wanted.joint.unlabelled, data.dataset)):
        raise ExperimentError(f"{experiment}: expected --unlabelled, where the {wanted.joint.unlabelled} are")
    if unlabelled and data.dataset == "folder" and root.resolve() in unlabelled.resolve().parents:
        raise ExperimentError(f"{unlabelled}: expected a folder outside of {root}, whose subfolders are all classes")


def _run_folds(wanted: "Experiment", root: Path, folder: Path, resume: bool, device: str | None) -> None:
    from mien.datasets import open_dataset
    from mien.training.folds import train_folds

    summary = train_folds(wanted, open_dataset(wanted.data.dataset, root, "all"), folder, resume, device)
    mean, deviation = summary["accuracy_mean"], summary["accuracy_deviation"]
    print(f"accuracy over {wanted.data.folds} folds: mean {mean:.4f}, deviation {deviation:.4f}", file=sys.stderr)
    print(folder / "folds.json")


def _run(
    wanted: "Experiment", root: Path, unlabelled: Path | None, folder: Path, resume: bool, device: str | None
) -> Path:
    """The best checkpoint of a training, whose measure is told on stderr."""
    from mien.datasets import open_dataset
    from mien.datasets.joined import WithUnlabelled
    from mien.training.joint.rounds import train_rounds
    from mien.training.loop import train as run
    from mien.training.methods import method_class
    from mien.training.unlabelled import read_unlabelled_beside

    data, task = wanted.data, method_class(wanted.method.name).task
    training = task.open(data.dataset, root, data.training_split)
    selected = data.selection_split != "none"
    selection = task.open(data.dataset, root, data.selection_split) if selected else None
    for name in data.unlabelled:
        faces = open_dataset(name, unlabelled or root, "all")
        found = read_unlabelled_beside(training, faces, selection, data.preprocessing())
        training = WithUnlabelled(training, found.faces)
    if wanted.joint:
        faces = open_dataset(wanted.joint.unlabelled, unlabelled or root, wanted.joint.unlabelled_split)
        result = train_rounds(wanted, training, faces, selection, folder, resume, device)
    else:
        result = run(wanted, training, selection, folder, resume, device)
    if selection is not None:
        column = f"selection_{task.selected_by}"
        best = max((row for row in reversed(result.history) if column in row), key=lambda row: row[column])
        reached = f"{task.selected_by.replace('_', ' ')} {best[column]:.4f}"
        print(f"best epoch {best['epoch']:.0f}: {reached}", file=sys.stderr)
    return result.best

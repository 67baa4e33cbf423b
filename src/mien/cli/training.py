"""The command that trains networks."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mien.cli.laboratory import check_export, run_export, train_extra
from mien.cli.options import FILE
from mien.cli.targets import FOLDER, check_targets
from mien.errors import ExperimentError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


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
@click.option("--threads", type=click.IntRange(0), default=0, help="Threads of the processor; 0 leaves it to torch.")
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
    threads: int,
) -> None:
    """Train a network as an experiment file says.

    EXPERIMENT: a TOML file, such as those in experiments/. One with folds trains a network for each.
    """
    with train_extra():
        from mien.training.config import read_experiment
        from mien.training.loop import check_experiment
        from mien.training.machine import find_device, keep_freed_memory, use_threads
        from mien.training.methods import method_class
        from mien.training.run import check_unlabelled, run_folds, run_training

    check_targets({"--out": (out, FOLDER)}, [experiment, root, unlabelled])
    if export_to:
        check_export(export_to, [experiment, root, unlabelled])

    wanted = read_experiment(experiment, settings)
    if seed is not None:
        wanted = replace(wanted, seed=seed)
    check_experiment(wanted)
    if export_to and wanted.data.folds:
        raise ExperimentError(f"{experiment}: expected one network for --export, found {wanted.data.folds} folds")
    check_unlabelled(wanted, root, unlabelled)
    find_device(device)
    use_threads(threads)
    keep_freed_memory()
    folder = out or Path("runs") / wanted.name
    folder.mkdir(parents=True, exist_ok=True)
    try:
        if wanted.data.folds:
            summary = run_folds(wanted, root, folder, resume, device)
            mean, deviation = (f"{summary[f'accuracy_{what}']:.4f}" for what in ("mean", "deviation"))
            print(f"accuracy over {wanted.data.folds} folds: mean {mean}, deviation {deviation}", file=sys.stderr)
            print(folder / "folds.json")
            return
        result = run_training(wanted, root, folder, unlabelled, resume, device)
    except KeyboardInterrupt:
        print(f"\nmien: interrupted; whole epochs are kept in {folder}, go on with --resume", file=sys.stderr)
        raise click.exceptions.Exit(130) from None
    _tell_best(result.history, method_class(wanted.method.name).task.selected_by)
    print(result.best)
    if export_to:
        run_export(result.best, export_to, None)


def _tell_best(history: "Sequence[Mapping[str, float]]", selected_by: str) -> None:
    column = f"selection_{selected_by}"
    measured = [row for row in history if column in row]
    if measured:
        best = max(reversed(measured), key=lambda row: row[column])  # of equal ones the last, as is saved
        print(f"best epoch {best['epoch']:.0f}: {selected_by.replace('_', ' ')} {best[column]:.4f}", file=sys.stderr)

"""Commands that train and export networks."""

import contextlib
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from mien.cli.options import FILE
from mien.errors import ExperimentError, MissingExtraError

LICENCE = "not stated"


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
def train(
    experiment: Path,
    root: Path,
    out: Path | None,
    unlabelled: Path | None,
    export_to: Path | None,
    resume: bool,
    seed: int | None,
    device: str | None,
) -> None:
    """Train a network as an experiment file says.

    EXPERIMENT: a TOML file, such as those in experiments/. One with folds trains a network for each.
    """
    with _train_extra():
        from mien.training.config import read_experiment
        from mien.training.folds import train_folds
        from mien.training.joint.rounds import train_rounds
        from mien.training.loop import check_experiment
        from mien.training.loop import train as run
        from mien.training.machine import find_device
        from mien.training.methods import method_class
        from mien.training.unlabelled import read_unlabelled_beside
    from mien.datasets import open_dataset, same_faces
    from mien.datasets.joined import WithUnlabelled

    wanted = read_experiment(experiment)
    if seed is not None:
        wanted = replace(wanted, seed=seed)
    check_experiment(wanted)
    if export_to and wanted.data.folds:
        raise ExperimentError(f"{experiment}: expected one network for --export, found {wanted.data.folds} folds")
    if unlabelled and not (wanted.joint or wanted.data.unlabelled):
        raise ExperimentError(f"{experiment}: expected a [joint] table or data.unlabelled for --unlabelled, found none")
    if wanted.data.unlabelled and not unlabelled:
        raise ExperimentError(
            f"{experiment}: expected --unlabelled, the file or folder where {', '.join(wanted.data.unlabelled)} are"
        )
    if unlabelled and wanted.data.dataset == "folder" and root.resolve() in unlabelled.resolve().parents:
        raise ExperimentError(f"{unlabelled}: expected a folder outside of {root}, whose subfolders are all classes")
    find_device(device)
    data, method = wanted.data, method_class(wanted.method.name)
    folder = out or Path("runs") / wanted.name
    folder.mkdir(parents=True, exist_ok=True)
    try:
        if data.folds:
            summary = train_folds(wanted, open_dataset(data.dataset, root, "all"), folder, resume, device)
            print(
                f"accuracy over {data.folds} folds: mean {summary['accuracy_mean']:.4f}, "
                f"deviation {summary['accuracy_deviation']:.4f}",
                file=sys.stderr,
            )
            print(folder / "folds.json")
            return
        training = method.open(data.dataset, root, data.training_split)
        selected = data.selection_split != "none"
        selection = method.open(data.dataset, root, data.selection_split) if selected else None
        for name in data.unlabelled:
            assert unlabelled is not None  # see above
            faces = open_dataset(name, unlabelled, "all")
            found = read_unlabelled_beside(training, faces, selection, data.preprocessing())
            training = WithUnlabelled(training, found.faces)
        if wanted.joint:
            if not (unlabelled or same_faces(wanted.joint.unlabelled, data.dataset)):
                raise ExperimentError(f"{experiment}: expected --unlabelled, where the {wanted.joint.unlabelled} are")
            faces = open_dataset(wanted.joint.unlabelled, unlabelled or root, wanted.joint.unlabelled_split)
            result = train_rounds(wanted, training, faces, selection, folder, resume, device)
        else:
            result = run(wanted, training, selection, folder, resume, device)
    except KeyboardInterrupt:
        print(
            f"\nmien: interrupted; whole epochs are kept in {folder}, go on with --resume",
            file=sys.stderr,
        )
        raise click.exceptions.Exit(130) from None
    if selection is not None:
        quantity = method.selected_by
        measured = [row for row in reversed(result.history) if f"selection_{quantity}" in row]
        best = max(measured, key=lambda row: row[f"selection_{quantity}"])
        reached = f"{quantity.replace('_', ' ')} {best[f'selection_{quantity}']:.4f}"
        print(f"best epoch {best['epoch']:.0f}: {reached}", file=sys.stderr)
    print(result.best)
    if export_to:
        _export(result.best, export_to, None)


@click.command(no_args_is_help=True)
@click.argument("checkpoint", type=FILE)
@click.option("--out", type=FILE, required=True, help="The ONNX file to write.")
@click.option("--name", help="The network's name; the experiment's if not given.")
@click.option("--licence", default=LICENCE, help="Licence of the weights, for the manifest.")
@click.option("--deployed", help="For networks with two branches: both or feature-branch.")
@click.option(
    "--initial-weights", is_flag=True, help="Also write a small checkpoint beside it, to start trainings from."
)
@click.option("--fp16", is_flag=True, help="Store weights in half precision: half the size.")
@click.option(
    "--int8",
    is_flag=True,
    help="Compute in 8-bit integers: a third of the size. Needs --calibrate-on: ranges are taken from faces of the "
    "training split, and what it costs is measured on faces of --calibration-split; too much is an error.",
)
@click.option(
    "--margin",
    type=click.FloatRange(-0.4, 2),
    help="Added on every side of found faces, as a share of the box's longer side, so that they are framed as in "
    "training; the experiment's if not given.",
)
@click.option(
    "--int8-weights", is_flag=True, help="Store weights in 8-bit integers: a third of the size, same speed and answers."
)
@click.option(
    "--calibrate-on",
    help="A data set: fit a temperature on its faces, so that scores are as sure as they are right, and choose the "
    "confidence below which a face is marked as unsure. Faces that the network has learned from are left out.",
)
@click.option("--root", type=FILE, help="The file or folder that holds this data set.")
@click.option(
    "--calibration-split",
    help="Its part, tenth-of-training if not given: for networks trained on tenth-of-training-training. For others, "
    "name another with labels, such as public_test.",
)
@click.option(
    "--keep-temperature",
    is_flag=True,
    help="Fit no temperature: the split serves for the rest alone. For networks that learned distributions of votes, "
    "which majority labels make too sure, and where results on the split are to be reported.",
)
def export(
    checkpoint: Path,
    out: Path,
    name: str | None,
    licence: str,
    deployed: str | None,
    initial_weights: bool,
    fp16: bool,
    int8: bool,
    int8_weights: bool,
    margin: float | None,
    calibrate_on: str | None,
    root: Path | None,
    calibration_split: str | None,
    keep_temperature: bool,
) -> None:
    """Write a trained network as an ONNX file.

    It is checked against torch and entered into manifest.json beside it. CHECKPOINT: a file from mien train.
    """
    choices = (("fp16", fp16), ("int8", int8), ("int8-weights", int8_weights))
    precisions = [each for each, wanted in choices if wanted]
    if len(precisions) > 1:
        raise click.BadParameter(f"expected one of --fp16, --int8 and --int8-weights, found {len(precisions)}")
    more: dict[str, Any] = {}
    if deployed:
        more["method_options"] = {"deployed": deployed}
    if initial_weights:
        more["initial_weights"] = True
    if precisions:
        more["precision"] = precisions[0]
    if margin is not None:
        more["margin"] = margin
    if bool(calibrate_on) != bool(root) or ((calibration_split or keep_temperature) and not root):
        raise click.BadParameter(
            "expected --calibrate-on and --root together, --calibration-split and --keep-temperature only with them"
        )
    if calibrate_on and root:
        with _train_extra():
            from mien.export.calibration_faces import TENTH, CalibrationSplit
        more["calibration"] = CalibrationSplit(calibrate_on, root, calibration_split or TENTH, keep_temperature)
    _export(checkpoint, out, name, licence, **more)


def _export(checkpoint: Path, out: Path, name: str | None, licence: str = LICENCE, **more: Any) -> None:
    with _train_extra():
        from mien.export.pipeline import export_checkpoint
    from mien.scorer import OnnxScorer

    difference = export_checkpoint(checkpoint, out, name, licence, **more)
    print(f"largest difference to torch: {difference:.1e}", file=sys.stderr)
    if "calibration" in more:
        card = OnnxScorer(str(out)).card
        found = f"temperature {card.temperature:.3f}, unsure below {card.unsure_below:.3f}"
        print(f"{found}, by {card.calibration}", file=sys.stderr)
    print(out)


@click.command(no_args_is_help=True)
@click.option("--root", type=FILE, required=True, help="fer2013.csv with fer2013new.csv beside it, or their folder.")
@click.option("--out", type=FILE, required=True, help="The parquet file to write.")
def pack(root: Path, out: Path) -> None:
    """Pack FER2013 and the FERPlus votes into one parquet file."""
    from mien.datasets.packing import pack_fer2013

    out.parent.mkdir(parents=True, exist_ok=True)
    print(f"{pack_fer2013(root, out)} rows", file=sys.stderr)
    print(out)


@contextlib.contextmanager
def _train_extra() -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"this command needs {error.name}; install it with: pip install 'mien[train]'"
        ) from error

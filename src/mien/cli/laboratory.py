"""Commands that train, measure and export networks."""

import contextlib
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

import typer

from mien.cli.options import Model, Threads
from mien.cli.progress_bar import progress_bar
from mien.errors import ExperimentError, MissingExtraError
from mien.face_finder import LARGEST_PX, LONGEST_PX, MULTIPLE_PX


def evaluate(
    dataset: Annotated[str, typer.Option(help="A name such as fer2013, ferplus, rafdb, ckplus or folder.")],
    root: Annotated[Path, typer.Option(help="The file or folder that holds the data set.")],
    split: Annotated[str, typer.Option(help="The part to measure on, such as public_test.")],
    model: Model = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the report as JSON.")] = None,
    picture: Annotated[
        Path | None, typer.Option(help="Write the confusion matrix as a PNG (needs mien[train]).")
    ] = None,
    threads: Threads = 0,
) -> None:
    """Measure a network on a labelled data set."""
    from mien.datasets import open_dataset, training_pixel_keys
    from mien.evaluation import evaluate as evaluate_scorer
    from mien.scorer import OnnxScorer
    from mien.weights import default_model

    for target in (json_file, picture):
        if target:
            target.parent.mkdir(parents=True, exist_ok=True)
    scorer = OnnxScorer(model or default_model(), threads)
    samples = open_dataset(dataset, root, split)
    training_keys = training_pixel_keys(dataset, root, split, scorer.card.dataset)
    with progress_bar(len(samples), "evaluate") as (_, advance):
        report = evaluate_scorer(scorer, samples, scorer.card, training_keys, lambda done, total: advance(done))
    if json_file:
        report.write(json_file)
    if picture:
        report.draw(picture)
    print(report.to_markdown())


def compare(
    first: Annotated[Path, typer.Argument(help="A report of mien evaluate --json.")],
    second: Annotated[Path, typer.Argument(help="Another one, on the same images.")],
) -> None:
    """Tell how much better the second of two reports is, with paired 95 % bootstrap intervals."""
    from mien.comparison import compare as compare_reports
    from mien.comparison import read_report

    found = compare_reports([read_report(first)], [read_report(second)])
    print("| measure | second minus first | 95 % interval |\n|---|---|---|")
    for name, (difference, low, high) in found.items():
        print(f"| {name} | {difference:+.4f} | [{low:+.4f}, {high:+.4f}] |")


def train(
    experiment: Annotated[Path, typer.Argument(help="The experiment file (TOML).")],
    root: Annotated[Path, typer.Option(help="The file or folder that holds the data set.")],
    out: Annotated[Path | None, typer.Option(help="Folder of the run; runs/NAME if not given.")] = None,
    unlabelled: Annotated[
        Path | None,
        typer.Option(help="The unlabelled faces of an experiment with joint rounds, if not in the same data set."),
    ] = None,
    export_to: Annotated[Path | None, typer.Option("--export", help="Also export the result: the ONNX file.")] = None,
    resume: Annotated[bool, typer.Option(help="Go on from the last checkpoint in --out.")] = False,
    seed: Annotated[int | None, typer.Option(min=0, help="Instead of the experiment's seed.")] = None,
    device: Annotated[str | None, typer.Option(help="cpu or cuda; by itself: cuda if any.")] = None,
) -> None:
    """Train a network as an experiment file says; one with folds, once for each."""
    with _train_extra():
        from mien.training.config import read_experiment
        from mien.training.folds import train_folds
        from mien.training.loop import check_experiment
        from mien.training.loop import train as run
        from mien.training.machine import find_device
        from mien.training.methods import method_class
        from mien.training.rounds import train_rounds
    from mien.datasets import open_dataset, same_faces

    wanted = read_experiment(experiment)
    if seed is not None:
        wanted = replace(wanted, seed=seed)
    check_experiment(wanted)
    if export_to and wanted.data.folds:
        raise ExperimentError(f"{experiment}: expected one network for --export, found {wanted.data.folds} folds")
    if unlabelled and not wanted.joint:
        raise ExperimentError(f"{experiment}: expected a [joint] table for --unlabelled, found none")
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
        raise typer.Exit(130) from None
    if selection is not None:
        quantity = method.selected_by
        best = max(reversed(result.history), key=lambda row: row[f"selection_{quantity}"])
        reached = f"{quantity.replace('_', ' ')} {best[f'selection_{quantity}']:.4f}"
        print(f"best epoch {best['epoch']:.0f}: {reached}", file=sys.stderr)
    print(result.best)
    if export_to:
        export(result.best, export_to)


def export(
    checkpoint: Annotated[Path, typer.Argument(help="A checkpoint from mien train.")],
    out: Annotated[Path, typer.Option(help="The ONNX file to write.")],
    name: Annotated[str | None, typer.Option(help="The network's name; the experiment's if not given.")] = None,
    licence: Annotated[str, typer.Option(help="Licence of the weights, for the manifest.")] = "not stated",
    deployed: Annotated[
        str | None, typer.Option(help="For networks with two branches: both or feature-branch.")
    ] = None,
    initial_weights: Annotated[
        bool, typer.Option(help="Also write a small checkpoint beside it, to start trainings from.")
    ] = False,
    fp16: Annotated[bool, typer.Option("--fp16", help="Store weights in half precision: half the size.")] = False,
    int8: Annotated[bool, typer.Option("--int8", help="Compute in 8-bit integers: a third of the size.")] = False,
    margin: Annotated[
        float | None,
        typer.Option(
            min=-0.4,
            max=2,
            show_default=False,
            help="Added on every side of found faces, as a share of the box's longer side, so that they are framed "
            "as in training; the experiment's if not given.",
        ),
    ] = None,
) -> None:
    """Write a trained network as ONNX, check it against torch, and enter it into manifest.json beside it."""
    with _train_extra():
        from mien.export import export_checkpoint
        from mien.export_detector import export_detector, is_detector
    if fp16 and int8:
        raise typer.BadParameter("expected one of --fp16 and --int8, found both")
    if is_detector(checkpoint):
        if deployed or initial_weights or fp16 or int8 or margin is not None:
            raise typer.BadParameter("expected --name and --licence alone for a detector")
        print(f"largest difference to torch: {export_detector(checkpoint, out, name, licence):.1e}", file=sys.stderr)
        print(out)
        return
    method_options = {"deployed": deployed} if deployed else {}
    precision: Literal["fp32", "fp16", "int8"] = "fp16" if fp16 else "int8" if int8 else "fp32"
    difference = export_checkpoint(checkpoint, out, name, licence, method_options, initial_weights, precision, margin)
    print(f"largest difference to torch: {difference:.1e}", file=sys.stderr)
    print(out)


def pack(
    root: Annotated[Path, typer.Option(help="fer2013.csv with fer2013new.csv beside it, or their folder.")],
    out: Annotated[Path, typer.Option(help="The parquet file to write.")],
) -> None:
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


def evaluate_detector(
    root: Annotated[Path, typer.Option(help="The folder with faces-dev.parquet, no-people.parquet and lfw.parquet.")],
    detector: Annotated[
        list[str] | None, typer.Option(help="face-finder, haar, or the file of a face detector; can be repeated.")
    ] = None,
    longest_px: Annotated[
        list[int] | None,
        typer.Option(
            min=MULTIPLE_PX,
            max=LARGEST_PX,
            help=f"Longer side at which face-finders look, {LONGEST_PX} if not given; can be repeated.",
        ),
    ] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the report as JSON.")] = None,
) -> None:
    """Measure face detectors side by side."""
    from mien.datasets.photographs import read_photographs
    from mien.detection import DEFAULT_DETECTOR, OTHERS, FaceDetector, FaceFinder, make_detector
    from mien.detector_evaluation import SMALLEST_SCORE, evaluate_detectors

    detectors: dict[str, tuple[FaceDetector, FaceDetector]] = {}
    for name in detector or [DEFAULT_DETECTOR]:
        if name in OTHERS:
            detectors[name] = (make_detector(name), make_detector(name))
            continue
        for side_px in longest_px or [LONGEST_PX]:
            usual = make_detector(name, side_px)
            detectors[f"{name}, {side_px} px"] = (usual, FaceFinder(name, side_px, SMALLEST_SCORE))
    if "haar" in detectors:
        from mien.haar import use_one_thread

        use_one_thread()
    people, empty, portraits = (
        read_photographs(root, split) for split in ("faces-dev", "no-people-held-out", "lfw-held-out")
    )
    if json_file:
        json_file.parent.mkdir(parents=True, exist_ok=True)
    with progress_bar((len(people) + len(empty) + len(portraits)) * len(detectors), "evaluate-detector") as (
        _,
        advance,
    ):
        report = evaluate_detectors(detectors, people, empty, portraits, advance)
    if json_file:
        report.write(json_file)
    print(report.to_markdown())

"""Commands that train, measure and export networks."""

import contextlib
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from mien.cli.options import FILE, FRAME_SIDE
from mien.cli.progress_bar import progress_bar
from mien.errors import ExperimentError, MissingExtraError
from mien.face_finder import LONGEST_PX

LICENCE = "not stated"


@click.command(no_args_is_help=True)
@click.option("--dataset", required=True, help="A name such as fer2013, ferplus, rafdb, ckplus or folder.")
@click.option("--root", type=FILE, required=True, help="The file or folder that holds the data set.")
@click.option("--split", required=True, help="The part to measure on, such as public_test.")
@click.option("--model", help="A packaged network, or an ONNX file.")
@click.option("--json", "json_file", type=FILE, help="Write the report as JSON.")
@click.option("--picture", type=FILE, help="Write the confusion matrix as a PNG (needs mien[train]).")
@click.option("--corruptions", is_flag=True, help="Measure on noisy, blurred, dark, badly cut ... faces as well.")
@click.option("--corruption", multiple=True, help="Only this one, such as darkness; can be repeated.")
@click.option("--threads", type=click.IntRange(0), default=0, help="Threads of the network; 0 leaves it open.")
def evaluate(
    dataset: str,
    root: Path,
    split: str,
    model: str | None,
    json_file: Path | None,
    picture: Path | None,
    corruptions: bool,
    corruption: tuple[str, ...],
    threads: int,
) -> None:
    """Measure a network on a labelled data set."""
    from mien.corruptions import CORRUPTIONS, SEVERITIES
    from mien.datasets import open_dataset, training_pixel_keys
    from mien.evaluation import evaluate as evaluate_scorer
    from mien.robustness import measure_robustness
    from mien.scorer import OnnxScorer
    from mien.weights import default_model

    names = tuple(dict.fromkeys(corruption)) or (tuple(CORRUPTIONS) if corruptions else ())
    if picture and names:
        raise click.BadParameter("expected one of --picture and --corruptions, found both")
    for target in (json_file, picture):
        if target:
            target.parent.mkdir(parents=True, exist_ok=True)
    scorer = OnnxScorer(model or default_model(), threads)
    samples = open_dataset(dataset, root, split)
    training_keys = training_pixel_keys(dataset, root, split, scorer.card.dataset)
    if names:
        with progress_bar(len(samples) * (1 + len(SEVERITIES) * len(names)), "evaluate") as (_, advance):
            robustness = measure_robustness(
                scorer, samples, scorer.card, names, training_keys, lambda done, total: advance(done)
            )
        if json_file:
            robustness.write(json_file)
        print(robustness.to_markdown())
        return
    with progress_bar(len(samples), "evaluate") as (_, advance):
        report = evaluate_scorer(scorer, samples, scorer.card, training_keys, lambda done, total: advance(done))
    if json_file:
        report.write(json_file)
    if picture:
        report.draw(picture)
    print(report.to_markdown())


@click.command(no_args_is_help=True)
@click.argument("first", type=FILE)
@click.argument("second", type=FILE)
def compare(first: Path, second: Path) -> None:
    """Tell how much better the second report is.

    FIRST, SECOND: files of mien evaluate --json, on the same images. Intervals are 95 % by paired bootstrap.
    """
    from mien.comparison import compare as compare_reports
    from mien.comparison import read_report

    found = compare_reports([read_report(first)], [read_report(second)])
    print("| measure | second minus first | 95 % interval |\n|---|---|---|")
    for name, (difference, low, high) in found.items():
        print(f"| {name} | {difference:+.4f} | [{low:+.4f}, {high:+.4f}] |")


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
        from mien.training.loop import check_experiment
        from mien.training.loop import train as run
        from mien.training.machine import find_device
        from mien.training.methods import method_class
        from mien.training.rounds import train_rounds
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
@click.option("--int8", is_flag=True, help="Compute in 8-bit integers: a third of the size.")
@click.option(
    "--margin",
    type=click.FloatRange(-0.4, 2),
    help="Added on every side of found faces, as a share of the box's longer side, so that they are framed as in "
    "training; the experiment's if not given.",
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
    margin: float | None,
) -> None:
    """Write a trained network as an ONNX file.

    It is checked against torch and entered into manifest.json beside it. CHECKPOINT: a file from mien train.
    """
    if fp16 and int8:
        raise click.BadParameter("expected one of --fp16 and --int8, found both")
    more: dict[str, Any] = {}
    if deployed:
        more["method_options"] = {"deployed": deployed}
    if initial_weights:
        more["initial_weights"] = True
    if fp16 or int8:
        more["precision"] = "fp16" if fp16 else "int8"
    if margin is not None:
        more["margin"] = margin
    _export(checkpoint, out, name, licence, **more)


def _export(checkpoint: Path, out: Path, name: str | None, licence: str = LICENCE, **more: Any) -> None:
    with _train_extra():
        from mien.export import export_checkpoint
        from mien.export_detector import export_detector, is_detector
    if is_detector(checkpoint):
        if more:
            raise click.BadParameter("expected --name and --licence alone for a detector")
        difference = export_detector(checkpoint, out, name, licence)
    else:
        difference = export_checkpoint(checkpoint, out, name, licence, **more)
    print(f"largest difference to torch: {difference:.1e}", file=sys.stderr)
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


@click.command(no_args_is_help=True)
@click.option(
    "--root", type=FILE, required=True, help="The folder with faces-dev.parquet, no-people.parquet and lfw.parquet."
)
@click.option("--detector", multiple=True, help="face-finder, haar, or the file of a face detector; can be repeated.")
@click.option(
    "--longest-px",
    type=FRAME_SIDE,
    multiple=True,
    help=f"Longer side at which face-finders look, {LONGEST_PX} if not given; can be repeated.",
)
@click.option("--json", "json_file", type=FILE, help="Write the report as JSON.")
def evaluate_detector(
    root: Path, detector: tuple[str, ...], longest_px: tuple[int, ...], json_file: Path | None
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

"""The command line: thin. Results go to stdout, everything for eyes to stderr."""

import contextlib
import io
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

import mien
from mien.errors import ImageError, MienError, MissingExtraError
from mien.images import MAX_PIXELS

app = typer.Typer(
    name="mien",
    help="Lightweight facial expression recognition.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
data_app = typer.Typer(help="Prepare data sets.", no_args_is_help=True)
app.add_typer(data_app, name="data")

Model = Annotated[str | None, typer.Option(help="A packaged network, or an ONNX file.")]
Threads = Annotated[int, typer.Option(min=0, help="Threads of the network; 0 leaves it open.")]


def main() -> None:
    """Run the command line; an expected error is one line on stderr and exit status 2."""
    for stream in (sys.stdout, sys.stderr):  # file names need not be text in the terminal's encoding
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        app()
    except MienError as error:
        print(f"mien: {error}", file=sys.stderr)
        sys.exit(2)
    except OSError as error:
        print(f"mien: {error.filename or 'a file'}: {error.strerror or error}", file=sys.stderr)
        sys.exit(2)


def _version(wanted: bool) -> None:
    if wanted:
        print(mien.__version__)
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    pass


@app.command()
def predict(
    paths: Annotated[list[str], typer.Argument(help="Images, folders, globs, or - for stdin.")],
    model: Model = None,
    detector: Annotated[str, typer.Option(help="haar, or whole-image where each image is a face crop.")] = "haar",
    json_lines: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
    csv_file: Annotated[Path | None, typer.Option("--csv", help="Also write a csv file.")] = None,
    out: Annotated[Path | None, typer.Option(help="Also write annotated copies to a folder.")] = None,
    max_pixels: Annotated[int, typer.Option(min=1, help="Larger images are refused.")] = MAX_PIXELS,
    threads: Threads = 0,
) -> None:
    """Find the faces in pictures and say what each expresses."""
    from mien.outputs import AnnotatedCopies, CsvFile, to_json, to_record, to_text
    from mien.sources import expand

    recognizer = mien.Recognizer(model, detector, threads)
    sources = expand(paths, without=out)
    failed = False
    with contextlib.ExitStack() as stack:
        table = CsvFile(csv_file, recognizer.expressions) if csv_file else None
        if table:
            stack.callback(table.close)
        copies = AnnotatedCopies(out) if out else None
        show, advance = stack.enter_context(_progress_bar(len(sources), "predict"))
        for source in sources:
            try:
                image = source.read(max_pixels)
                faces = recognizer.recognize(image)
                record = to_record(source.name, image, faces)
                if copies:
                    copies.write(source, image, faces)
            except ImageError as error:
                failed = True
                record = {"source": source.name, "error": str(error)}
                print(f"mien: {error}", file=sys.stderr)
            if table:
                table.write(record)
            if json_lines:
                show(to_json(record))
            elif "error" not in record:
                show(to_text(record))
            advance()
    if failed:
        raise typer.Exit(1)


@app.command()
def models() -> None:
    """List the packaged networks."""
    for card in mien.list_models():
        print(
            f"{card.name}  {card.parameters:,} parameters, {card.model_bytes / 1e6:.1f} MB, "
            f"{card.preprocessing.size_px} px, learned from {card.dataset}"
        )
        print(f"  {', '.join(card.expressions)}")
        for name, score in card.scores.items():
            print(f"  {name}: {score:.4f}")


@app.command()
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
    with _progress_bar(len(samples), "evaluate") as (_, advance):
        report = evaluate_scorer(scorer, samples, scorer.card, training_keys, lambda done, total: advance(done))
    if json_file:
        report.write(json_file)
    if picture:
        report.draw(picture)
    print(report.to_markdown())


@app.command()
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


@app.command()
def train(
    experiment: Annotated[Path, typer.Argument(help="The experiment file (TOML).")],
    root: Annotated[Path, typer.Option(help="The file or folder that holds the data set.")],
    out: Annotated[Path | None, typer.Option(help="Folder of the run; runs/NAME if not given.")] = None,
    unlabelled: Annotated[
        Path | None, typer.Option(help="The unlabelled faces of an experiment with joint rounds; --root if not given.")
    ] = None,
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
        from mien.training.rounds import train_rounds
    from mien.datasets import open_dataset

    wanted = read_experiment(experiment)
    if seed is not None:
        wanted = replace(wanted, seed=seed)
    check_experiment(wanted)
    find_device(device)
    data = wanted.data
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
        training = open_dataset(data.dataset, root, data.training_split)
        selected = data.selection_split != "none"
        selection = open_dataset(data.dataset, root, data.selection_split) if selected else None
        if wanted.joint:
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
        best = max(result.history, key=lambda row: row["selection_accuracy"])
        print(f"best epoch {best['epoch']:.0f}: accuracy {best['selection_accuracy']:.4f}", file=sys.stderr)
    print(result.best)


@app.command()
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
    int8: Annotated[bool, typer.Option("--int8", help="Compute in 8-bit integers: a quarter of the size.")] = False,
) -> None:
    """Write a trained network as ONNX, check it against torch, and enter it into manifest.json beside it."""
    with _train_extra():
        from mien.export import export_checkpoint
    if fp16 and int8:
        raise typer.BadParameter("expected one of --fp16 and --int8, found both")
    method_options = {"deployed": deployed} if deployed else {}
    precision: Literal["fp32", "fp16", "int8"] = "fp16" if fp16 else "int8" if int8 else "fp32"
    difference = export_checkpoint(checkpoint, out, name, licence, method_options, initial_weights, precision)
    print(f"largest difference to torch: {difference:.1e}", file=sys.stderr)
    print(out)


@data_app.command()
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


@contextlib.contextmanager
def _progress_bar(total: int, title: str) -> Iterator[tuple[Callable[[str], Any], Callable[..., None]]]:
    """A bar on stderr where that is a terminal; gives a function to print results and one to advance."""
    if total < 2 or not sys.stderr.isatty():
        yield lambda text: print(text, flush=True), lambda done=None: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn(title), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, redirect_stdout=False, redirect_stderr=True) as bar:
        task = bar.add_task(title, total=total)

        def show(text: str) -> None:
            if sys.stdout.isatty():  # the same terminal: the line must go above the bar
                console.print(text, markup=False, highlight=False, soft_wrap=True)
            else:
                print(text, flush=True)

        def advance(done: int | None = None) -> None:
            if done is None:
                bar.advance(task)
            else:
                bar.update(task, completed=done)

        yield show, advance

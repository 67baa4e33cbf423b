"""Commands that list the packaged networks and label faces; they need no torch."""

import sys
from pathlib import Path

import click

import mien
from mien.cli.options import FILE, recognizer_options
from mien.cli.targets import CSV, PNG, check_targets
from mien.detection.face_finder import AUTO
from mien.errors import ImageError
from mien.picture_files import pictures_below
from mien.progress_bar import ProgressBar
from mien.weights import list_detectors


@click.command()
def models() -> None:
    """List the packaged networks and the face detector."""
    for card in mien.list_models():
        print(
            f"{card.name}  {card.parameters:,} parameters, {card.model_bytes / 1e6:.1f} MB, "
            f"{card.preprocessing.size_px} px, learned from {card.dataset}"
        )
        print(f"  {', '.join(card.expressions)}")
        if card.never_answered:
            print(f"  gave no face of {card.calibration} the answer {' or '.join(card.never_answered)}")
        for name, score in card.scores.items():
            print(f"  {name}: {score:.4f}")
    for found in list_detectors():
        print(
            f"{found.name}  finds faces; {found.parameters:,} parameters, {found.model_bytes / 1e6:.1f} MB, "
            f"learned from {found.dataset}"
        )
        for name, score in found.scores.items():
            print(f"  {name}: {score:.4f}")


@click.command(no_args_is_help=True)
@click.argument("folder", type=FILE)
@click.option(
    "--out",
    type=FILE,
    required=True,
    help="The csv file to write; pictures OUT-EXPRESSION.png are written or removed beside it.",
)
@recognizer_options(AUTO)
@click.option(
    "--confidence",
    type=click.FloatRange(0, 1),
    default=0.8,
    help="From this probability on, the network decides alone.",
)
def label(
    folder: Path,
    out: Path,
    recognizer: mien.Recognizer,
    confidence: float,
) -> None:
    """Sort the faces of a folder into expressions.

    The network decides where it is sure, similar faces where it is not. FOLDER: pictures of unlabelled faces;
    subfolders are searched too.
    """
    from mien.cli.outputs import write_labels
    from mien.labelling.clustering import EXACT_LIMIT, require_index
    from mien.labelling.contact_sheet import sheet_file, write_sheets
    from mien.labelling.pictures import label_pictures

    if folder.resolve() in out.resolve().parents:
        raise click.BadParameter(f"expected --out outside of {folder}, whose pictures are all taken for faces")
    base, expressions = out.with_suffix(""), recognizer.expressions
    sheets = {f"{name}'s sheet": (sheet_file(base, name), PNG) for name in expressions}
    check_targets({"--out": (out, CSV), **sheets}, [folder])
    out.parent.mkdir(parents=True, exist_ok=True)
    files = pictures_below(folder) if folder.is_dir() else [folder]
    if len(files) > EXACT_LIMIT:
        require_index()
    with ProgressBar(len(files), "label") as bar:

        def tell(error: ImageError | None) -> None:
            if error:
                bar.tell(f"mien: {error}")
            bar.advance()

        try:
            found = label_pictures(recognizer, files, confidence, tell)
        except ImageError as error:
            raise ImageError(f"{folder}: {error}") from error
    labels = found.labels
    write_labels(out, found.places, labels, expressions)
    counts = write_sheets(base, found.faces, labels.labels, labels.confidence, expressions)
    for name, count in counts.items():
        print(f"{count} {name}", file=sys.stderr)
    print(f"{int((labels.labels < 0).sum())} without a label", file=sys.stderr)
    for count, what in ((found.empty, "show no face that was found"), (found.unread, "could not be read")):
        if count:
            print(f"{count} of {len(files)} pictures {what}", file=sys.stderr)
    print(out)
    if found.unread:
        raise click.exceptions.Exit(1)

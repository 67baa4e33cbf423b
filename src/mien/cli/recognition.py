"""Commands that recognise expressions; they need no torch."""

import contextlib
import sys
from pathlib import Path

import click
import numpy as np

import mien
from mien.cli.options import FILE, recognizer_options
from mien.detection.face_finder import AUTO, FaceFinder
from mien.errors import ImageError
from mien.images import MAX_PIXELS
from mien.progress_bar import ProgressBar
from mien.weights import list_detectors


@click.command(no_args_is_help=True)
@click.argument("paths", nargs=-1, required=True)
@recognizer_options(AUTO)
@click.option("--json", "json_lines", is_flag=True, help="One JSON object a line.")
@click.option("--csv", "csv_file", type=FILE, help="Also write a csv file.")
@click.option("--out", type=FILE, help="Also write annotated copies to a folder.")
@click.option("--max-pixels", type=click.IntRange(1), default=MAX_PIXELS, help="Larger images are refused.")
def predict(
    paths: tuple[str, ...],
    recognizer: mien.Recognizer,
    json_lines: bool,
    csv_file: Path | None,
    out: Path | None,
    max_pixels: int,
) -> None:
    """Find the faces in pictures and say what each expresses.

    PATHS: images, folders, globs, or - for stdin.
    """
    from mien.cli.outputs import AnnotatedCopies, CsvFile, to_json, to_record, to_text
    from mien.cli.sources import expand

    finder = recognizer.detector if isinstance(recognizer.detector, FaceFinder) else None
    sources = expand(list(paths), without=out)
    failed = False
    with contextlib.ExitStack() as stack:
        table = CsvFile(csv_file, recognizer.expressions) if csv_file else None
        if table:
            stack.callback(table.close)
        copies = AnnotatedCopies(out) if out else None
        bar = stack.enter_context(ProgressBar(len(sources), "predict"))
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
                bar.tell(f"mien: {error}")
            if table:
                table.write(record)
            if json_lines:
                bar.show(to_json(record))
            elif "error" not in record:
                height, width = image.shape[:2]
                bar.show(to_text(record, finder.looked_px(width, height) if finder else None))
            bar.advance()
    if failed:
        raise click.exceptions.Exit(1)


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
    from mien.cli.sources import expand
    from mien.labelling.clustering import EXACT_LIMIT, require_index
    from mien.labelling.contact_sheet import write_sheets
    from mien.labelling.faces import label_faces

    if folder.resolve() in out.resolve().parents:
        raise click.BadParameter(f"expected --out outside of {folder}, whose pictures are all taken for faces")
    if out.is_dir():
        raise click.BadParameter(f"expected a file to write for --out, found the folder {out}")
    out.parent.mkdir(parents=True, exist_ok=True)
    sources = expand([str(folder)])
    if len(sources) > EXACT_LIMIT:
        require_index()
    places, crops, unread, empty = [], [], 0, 0
    with ProgressBar(len(sources), "label") as bar:
        for source in sources:
            try:
                detections, found = recognizer.find_faces(source.read(MAX_PIXELS))
                places += [(source.name, detection.box_xyxy) for detection in detections]
                crops += list(found)
                empty += not detections
            except ImageError as error:
                unread += 1
                bar.tell(f"mien: {error}")
            bar.advance()
    if not crops:
        found_none = f"{folder}: expected pictures of faces, found no face in {len(sources) - unread}"
        raise ImageError(found_none + (f"; {unread} could not be read" if unread else ""))
    faces = np.stack(crops)
    labels = label_faces(recognizer.scorer, faces, confidence)
    write_labels(out, places, labels, recognizer.expressions)
    sheets = write_sheets(out.with_suffix(""), faces, labels.labels, labels.confidence, recognizer.expressions)
    for name, count in sheets.items():
        print(f"{count} {name}", file=sys.stderr)
    print(f"{int((labels.labels < 0).sum())} without a label", file=sys.stderr)
    if empty:
        print(f"{empty} of {len(sources)} pictures show no face that was found", file=sys.stderr)
    if unread:
        print(f"{unread} of {len(sources)} pictures could not be read", file=sys.stderr)
    print(out)
    if unread:
        raise click.exceptions.Exit(1)

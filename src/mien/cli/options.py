"""Options that several commands share."""

from typing import Annotated

import typer

import mien
from mien.detection import make_detector
from mien.face_finder import LARGEST_PX, LONGEST_PX, MULTIPLE_PX

Model = Annotated[str | None, typer.Option(help="A packaged network, or an ONNX file.")]
Detector = Annotated[
    str,
    typer.Option(
        help="face-finder, haar, whole-image where each picture is a face crop, or the ONNX file of a face detector."
    ),
]
LongestPx = Annotated[
    int | None,
    typer.Option(
        min=MULTIPLE_PX,
        max=LARGEST_PX,
        show_default=False,
        help=f"Longer side at which face-finder looks at pictures, {LONGEST_PX} if not given; "
        "more finds smaller faces, more slowly.",
    ),
]
Threads = Annotated[int, typer.Option(min=0, help="Threads of the network; 0 leaves it open.")]


def make_recognizer(model: str | None, detector: str, longest_px: int | None, threads: int) -> "mien.Recognizer":
    """The recogniser that these options ask for."""
    return mien.Recognizer(model, make_detector(detector, longest_px), threads)

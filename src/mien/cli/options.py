"""Options that several commands share."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

import mien
from mien.detection.detection import DEFAULT_DETECTOR, make_detector
from mien.detection.face_finder import LARGEST_PX, LONGEST_PX, MULTIPLE_PX

FILE = click.Path(path_type=Path)
FRAME_SIDE = click.IntRange(MULTIPLE_PX, LARGEST_PX)


class Seconds(click.FloatRange):
    """A number of seconds, not negative."""

    name = "seconds"

    def __init__(self) -> None:
        super().__init__(min=0)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Also refuses what is not finite."""
        found: float = super().convert(value, param, ctx)
        if not math.isfinite(found):
            self.fail(f"expected a number of seconds, found {value}", param, ctx)
        return found


def recognizer_options(command: Callable[..., None]) -> Callable[..., None]:
    """What `make_recognizer` takes."""
    for option in (
        click.option("--threads", type=click.IntRange(0), default=0, help="Threads of the network; 0 leaves it open."),
        click.option(
            "--longest-px",
            type=FRAME_SIDE,
            help=f"Longer side at which face-finder looks at pictures, {LONGEST_PX} if not given; "
            "more finds smaller faces, more slowly.",
        ),
        click.option(
            "--detector",
            default=DEFAULT_DETECTOR,
            help="face-finder, haar, whole-image where each picture is a face crop, "
            "or the ONNX file of a face detector.",
        ),
        click.option("--model", help="A packaged network, or an ONNX file."),
    ):
        command = option(command)
    return command


def make_recognizer(model: str | None, detector: str, longest_px: int | None, threads: int) -> "mien.Recognizer":
    """The recogniser that these options ask for."""
    return mien.Recognizer(model, make_detector(detector, longest_px), threads)

"""Options that several commands share."""

import functools
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

import mien
from mien.detection.decoding import (
    MULTIPLE_PX,
)
from mien.detection.detectors import DEFAULT_DETECTOR, OTHERS, make_detector
from mien.detection.face_finder import AUTO, LongestPx
from mien.detection.options import LOOKS
from mien.video.tracking import TrackingOptions

FILE = click.Path(path_type=Path)
THREADS_HELP = "Threads of network and detector; 0: as many as this process may use."
FRAME_SIDE = click.IntRange(MULTIPLE_PX, LOOKS.largest_px)


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


class LongestSide(click.IntRange):
    """A number of pixels for a look at a picture, or "auto"."""

    name = "auto|pixels"

    def __init__(self) -> None:
        super().__init__(MULTIPLE_PX, LOOKS.largest_px)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Also takes "auto"."""
        return AUTO if value == AUTO else super().convert(value, param, ctx)


csv_option = click.option("--csv", "csv_file", type=FILE, help="Write a row for each face of each frame.")
every_option = click.option(
    "--every", type=click.IntRange(1), default=1, help="Look for faces in every so manieth frame."
)
half_life_option = click.option(
    "--half-life",
    type=Seconds(),
    default=TrackingOptions.half_life_s,
    help="Seconds after which a score counts half; 0: no smoothing.",
)

confirm_option = click.option(
    "--confirm-seconds",
    type=Seconds(),
    default=TrackingOptions.confirmed_s,
    help="How long a face must be found before it counts, at most a quarter of the video; 0: at once.",
)
all_frames_option = click.option("--all-frames", is_flag=True, help="Write a row for each frame without faces too.")


def recognizer_options(usual_px: LongestPx) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """What a `Recognizer` takes, as options; the command is given `recognizer`.

    usual_px: at which size `FaceFinder` looks unless asked for another.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(command)
        def with_recognizer(
            *,
            model: str | None,
            detector: str,
            longest_px: LongestPx | None,
            score_threshold: float | None,
            any_way_up: bool,
            threads: int,
            **others: Any,
        ) -> None:
            if longest_px is None and detector not in OTHERS:
                longest_px = usual_px
            # Frames of videos in which nobody is found would be looked at four times.
            turns = any_way_up or (False if detector not in OTHERS and usual_px != AUTO else None)
            finder = make_detector(detector, longest_px, score_threshold, turns, threads)
            command(recognizer=mien.Recognizer(model, finder, threads), **others)

        for option in reversed(_options(usual_px)):
            option(with_recognizer)
        return with_recognizer

    return decorate


def _options(usual_px: LongestPx) -> list[Callable[[Callable[..., None]], Callable[..., None]]]:
    return [
        click.option("--model", help="A packaged network, or an ONNX file."),
        click.option(
            "--detector",
            default=DEFAULT_DETECTOR,
            help="face-finder, haar, whole-image where each picture is a face crop, "
            "or the ONNX file of a face detector.",
        ),
        click.option(
            "--longest-px",
            type=LongestSide(),
            help="Longer side at which face-finder looks at pictures; auto: as finely as their pixels allow, within "
            f"half a second or so. {usual_px} if not given.",
        ),
        click.option(
            "--score-threshold",
            type=click.FloatRange(0, 1, min_open=True, max_open=True),
            help=f"Faces that face-finder is less sure of are left out; {LOOKS.score_threshold} if not given.",
        ),
        click.option(
            "--any-way-up",
            is_flag=True,
            help="Also find faces that lie on their side or stand on their head, in four times the time; by itself "
            "that is tried for photographs without an upright face alone, and quickly.",
        ),
        click.option("--threads", type=click.IntRange(0), default=1, help=THREADS_HELP),
    ]

"""Commands that follow faces over time; they need PyAV (extra `video`)."""

import contextlib
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

import mien
from mien.cli.options import (
    FILE,
    Seconds,
    all_frames_option,
    confirm_option,
    csv_option,
    every_option,
    half_life_option,
    recognizer_options,
)
from mien.cli.stopping import stop_signals
from mien.cli.targets import CSV, PNG, VIDEO, check_targets, make_folders
from mien.cli.video_outputs import VideoOutputs
from mien.detection.options import LOOKS
from mien.errors import VideoError, VideoWriteError
from mien.images import is_still_picture
from mien.progress_bar import SECONDS, SECONDS_DONE, ProgressBar, standard_output
from mien.video.tracking import TrackingOptions

if TYPE_CHECKING:
    from mien.video.frames import Video
    from mien.video.timeline import PersonSummary, Timeline


@click.command(no_args_is_help=True)
@click.argument("source")
@click.option("--out", type=FILE, help="Write an annotated copy, with sound.")
@csv_option
@click.option("--timeline", type=FILE, help="Write a picture of expressions over time (PNG).")
@click.option("--json", "json_lines", is_flag=True, help="One JSON object a frame, and one for the summary.")
@every_option
@half_life_option
@confirm_option
@all_frames_option
@click.option("--start", type=Seconds(), default=0.0, help="Seconds of the video to skip.")
@click.option("--stream", is_flag=True, help="SOURCE is the address of a live stream, such as rtsp://...")
@recognizer_options(LOOKS.longest_px)
def video(
    source: str,
    out: Path | None,
    csv_file: Path | None,
    timeline: Path | None,
    json_lines: bool,
    every: int,
    half_life: float,
    confirm_seconds: float,
    all_frames: bool,
    start: float,
    stream: bool,
    recognizer: mien.Recognizer,
) -> None:
    """Follow the faces of a video and what they express.

    SOURCE: the video.
    """
    from mien.cli.outputs import frame_record

    targets = {"--out": (out, VIDEO), "--csv": (csv_file, CSV), "--timeline": (timeline, PNG)}
    check_targets(targets, [source])
    if is_still_picture(Path(source)):
        raise VideoError(f"{source}: expected a video, found a picture; `mien predict` reads these")
    stopped: list[int] = []
    tracking = TrackingOptions(half_life_s=half_life, confirmed_s=confirm_seconds)
    moving = _opened(source, recognizer, every, tracking, start, stream, stopped)
    make_folders(targets)
    outputs = VideoOutputs(moving, csv_file, out, timeline, all_frames)
    failure = ""
    with contextlib.ExitStack() as stack:
        left_s = max(0.0, moving.duration_s - start) if moving.duration_s else 0.0
        bar = stack.enter_context(ProgressBar(left_s or None, "video", SECONDS if left_s else SECONDS_DONE))
        stack.enter_context(stop_signals(stopped))
        try:
            for frame in moving:
                outputs.write(frame)
                if json_lines:
                    bar.show(json.dumps(frame_record(frame.number, frame.time_s, frame.faces)))
                bar.advance(frame.time_s - start)
            if stopped:
                failure = f"interrupted{outputs.going_on}"
        except VideoWriteError as error:
            failure = f"{error}{outputs.going_on}"
        except VideoError as error:
            failure = f"{error}{outputs.going_on and '; what came before is kept'}"
        except OSError as error:
            failure = f"{_reason(error)}{outputs.going_on}"
    failure = outputs.finish(failure)
    failure = _tell(outputs.summary, json_lines, failure)
    if outputs.copy and outputs.copy.damaged_sound:
        print(f"mien: {source}: {outputs.copy.damaged_sound} parts of the sound could not be read", file=sys.stderr)
    if failure:
        print(f"mien: {failure}", file=sys.stderr)
        raise click.exceptions.Exit(128 + stopped[0] if stopped else 1)


@click.command()
@click.option("--device", default="0", help="Number of the camera, or its name.")
@csv_option
@click.option("--seconds", type=Seconds(), help="Stop after so many seconds.")
@every_option
@half_life_option
@confirm_option
@all_frames_option
@recognizer_options(LOOKS.longest_px)
def camera(
    device: str,
    csv_file: Path | None,
    seconds: float | None,
    every: int,
    half_life: float,
    confirm_seconds: float,
    all_frames: bool,
    recognizer: mien.Recognizer,
) -> None:
    """Follow the faces before a camera.

    Their expressions are bars in the terminal; Ctrl-C ends it.
    """
    from mien.cli.live import live_bars
    from mien.video.camera import Camera
    from mien.video.live import unless_stopped

    check_targets({"--csv": (csv_file, CSV)})
    failure, started_s, stopped = "", time.monotonic(), list[int]()
    with contextlib.ExitStack() as stack:
        stack.enter_context(stop_signals(stopped))

        def stop() -> bool:
            return bool(stopped) or (seconds is not None and time.monotonic() - started_s >= seconds)

        def opened() -> Camera:
            tracking = TrackingOptions(half_life_s=half_life, confirmed_s=confirm_seconds)
            return Camera(device, recognizer, every, tracking, stop)

        try:
            moving = unless_stopped(opened, stop)
        except VideoError as error:
            raise VideoError(f"{error}; see --device") from error
        if moving is None:
            return
        outputs = VideoOutputs(moving, csv_file, all_frames=all_frames)
        show = stack.enter_context(live_bars())
        started_s = time.monotonic()
        try:
            for frame in moving:
                outputs.write(frame)
                show(frame.faces)
        except VideoError as error:
            failure = str(error)
        except OSError as error:
            failure = _reason(error)
    failure = outputs.finish(failure)
    failure = _tell(outputs.summary, False, failure)
    if failure:
        print(f"mien: camera {device}: {failure}", file=sys.stderr)
        raise click.exceptions.Exit(1)


def _opened(
    source: str,
    recognizer: mien.Recognizer,
    every: int,
    tracking: TrackingOptions,
    start: float,
    stream: bool,
    stopped: list[int],
) -> "Video":
    """A video or live stream, whose opening may hang and be interrupted."""
    from mien.video.frames import Video
    from mien.video.live import unless_stopped

    if stream and start:
        raise click.UsageError("expected --start or --stream, found both; a live stream begins now")

    def stop() -> bool:
        return bool(stopped)

    with stop_signals(stopped):
        moving = unless_stopped(lambda: Video(source, recognizer, every, tracking, start, None, stop, stream), stop)
    if moving is None:
        raise click.exceptions.Exit(128 + stopped[0])
    return moving


def _reason(error: OSError) -> str:
    """What could not be written, and why."""
    return f"{error.filename or 'a file'}: {error.strerror or error}"


def _tell(summary: "Timeline", json_lines: bool, failure: str) -> str:
    """Print what people expressed; the failure so far, or why that cannot be printed."""
    people = list(summary.people.values())
    lines = [line for person in people for line in _described(person)] or ["no faces"]
    if json_lines:
        lines = [json.dumps({"people": [person.to_dict() for person in people]})]
    try:
        with standard_output():
            print("\n".join(lines), flush=True)
    except OSError as error:
        return failure or _reason(error)
    return failure


def _described(person: "PersonSummary") -> list[str]:
    seconds = ", ".join(f"{name} {value:.1f} s" for name, value in person.longest())
    lines = [f"person {person.number}: {person.first_s:.1f} to {person.last_s:.1f} s: {seconds}"]
    if changes := ", ".join(f"{old} to {new} {count}" for (old, new), count in person.transitions.most_common(3)):
        lines.append(f"  changes: {changes}")
    return lines

"""Commands that follow faces over time; they need PyAV (extra `video`)."""

import contextlib
import json
import math
import os
import sys
import time
from dataclasses import replace
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
from mien.detection.options import LOOKS
from mien.drawing import draw_faces
from mien.errors import VideoError, VideoWriteError
from mien.preprocessing import ImageArray
from mien.progress_bar import SECONDS, SECONDS_DONE, ProgressBar
from mien.video.tracking import TrackingOptions

if TYPE_CHECKING:
    from mien.video.frames import Frame, Video
    from mien.video.timeline import PersonSummary, Timeline
    from mien.video.writing import VideoFile


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
    from mien.video.frames import Video
    from mien.video.live import unless_stopped

    if stream and start:
        raise click.UsageError("expected --start or --stream, found both; a live stream begins now")
    stopped: list[int] = []
    tracking = TrackingOptions(half_life_s=half_life, confirmed_s=confirm_seconds)

    def opened() -> Video:
        return Video(source, recognizer, every, tracking, start, stop=lambda: bool(stopped), live=stream)

    with stop_signals(stopped):
        moving = unless_stopped(opened, lambda: bool(stopped))
    if moving is None:
        raise click.exceptions.Exit(128 + stopped[0])
    _check_targets(Path(source), [target for target in (out, csv_file, timeline) if target])
    outputs = _Outputs(moving, csv_file, out, timeline, all_frames)
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
            failure = f"{_name(error)}: {error.strerror}{outputs.going_on}"
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
        outputs = _Outputs(moving, csv_file, all_frames=all_frames)
        show = stack.enter_context(live_bars())
        started_s = time.monotonic()
        try:
            for frame in moving:
                outputs.write(frame)
                show(frame.faces)
        except VideoError as error:
            failure = str(error)
        except OSError as error:
            failure = f"{_name(error)}: {error.strerror}"
    failure = outputs.finish(failure)
    failure = _tell(outputs.summary, False, failure)
    if failure:
        print(f"mien: camera {device}: {failure}", file=sys.stderr)
        raise click.exceptions.Exit(1)


class _Outputs:
    """What is written of a video or camera while it is read: rows, an annotated copy, a timeline."""

    def __init__(
        self,
        moving: "Video",
        csv_file: Path | None,
        out: Path | None = None,
        timeline: Path | None = None,
        all_frames: bool = False,
    ) -> None:
        from mien.cli.outputs import PersonRows
        from mien.video.timeline import Timeline

        expressions = moving.recognizer.expressions
        self.summary = Timeline(expressions, moving.start_s)
        self.copy = _copy(out, moving) if out else None
        self._rows = PersonRows(csv_file, expressions, all_frames) if csv_file else None
        self._timeline = timeline
        if timeline:
            timeline.open("ab").close()  # so that a wrong name is told now
        self._live = moving.live
        self._period_s, self._end_s = float(1 / moving.rate), moving.start_s
        self.going_on = ""
        """How to go on from the last frame, once there is one."""

    def write(self, frame: "Frame") -> None:
        """Take up the next frame."""
        from_s = math.floor(frame.time_s * 1000) / 1000
        more = "" if self._live else f", go on with --start {from_s:.3f} and other files"
        self.going_on = f"; what came before is kept{more}"
        if self._rows:
            self._rows.write(frame.number, frame.time_s, frame.faces)
        if self.copy:
            self.copy.write(frame.time_s, annotated(frame))
        self.summary.add(frame.time_s, frame.faces)
        self._end_s = frame.time_s + self._period_s

    def finish(self, failure: str) -> str:
        """Finish all, each even where another cannot be; the failure so far, or why one cannot be."""
        self.summary.finish(self._end_s)
        whole = not failure
        try:
            if self._rows:
                self._rows.close()
        except OSError as error:
            failure = failure or f"{error.filename}: {error.strerror}"
        try:
            if self.copy:
                self.copy.close(whole)
        except VideoError as error:
            failure = failure or f"{error}; what came before is kept"
        try:
            if self._timeline:
                self.summary.save(self._timeline)
        except OSError as error:
            failure = failure or f"{self._timeline}: {error.strerror or error}"
        return failure


def _check_targets(source: Path, targets: list[Path]) -> None:
    if len({target.resolve() for target in targets}) < len(targets):
        raise VideoError(f"{targets[-1]}: expected another file for each output")
    for target in targets:
        if target.exists() and target.samefile(source):
            raise VideoError(f"{source}: {target} would replace it; choose another file")
        target.parent.mkdir(parents=True, exist_ok=True)


def _name(error: OSError) -> str:
    """What could not be written. Where that is standard output, as after `| head`, nothing more is written there."""
    if error.filename:
        return str(error.filename)
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return "standard output"


def _copy(out: Path, moving: "Video") -> "VideoFile":
    from mien.video.writing import VideoFile

    return VideoFile(out, moving.rate, None if moving.live else moving.source, moving.start_s)


def annotated(frame: "Frame") -> ImageArray:
    """A frame with boxes, numbers of persons and charts of smoothed scores."""
    faces = [replace(each.face, scores=each.scores) for each in frame.faces]
    return draw_faces(frame.image, faces, [f"person {each.person}" for each in frame.faces])


def _tell(summary: "Timeline", json_lines: bool, failure: str) -> str:
    """Print what people expressed; the failure so far, or why that cannot be printed."""
    people = list(summary.people.values())
    lines = [line for person in people for line in _described(person)] or ["no faces"]
    if json_lines:
        lines = [json.dumps({"people": [person.to_dict() for person in people]})]
    try:
        print("\n".join(lines), flush=True)
    except OSError as error:
        return failure or f"{_name(error)}: {error.strerror}"
    return failure


def _described(person: "PersonSummary") -> list[str]:
    seconds = ", ".join(f"{name} {value:.1f} s" for name, value in person.longest())
    lines = [f"person {person.number}: {person.first_s:.1f} to {person.last_s:.1f} s: {seconds}"]
    if changes := ", ".join(f"{old} to {new} {count}" for (old, new), count in person.transitions.most_common(3)):
        lines.append(f"  changes: {changes}")
    return lines

"""Commands that follow faces over time; they need PyAV (extra `video`)."""

import contextlib
import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from PIL import Image

import mien
from mien.cli.options import Model, Threads
from mien.cli.progress_bar import progress_bar
from mien.errors import VideoError
from mien.tracking import TrackingOptions

if TYPE_CHECKING:
    from mien.timeline import Timeline
    from mien.video import Frame, Video

Detector = Annotated[str, typer.Option(help="haar, or whole-image where each frame is a face crop.")]
Every = Annotated[int, typer.Option(min=1, help="Look for faces in every so manieth frame.")]
HalfLife = Annotated[float, typer.Option(min=0, help="Seconds after which a score counts half; 0: no smoothing.")]
CsvFile = Annotated[Path | None, typer.Option("--csv", help="Write a row for each face of each frame.")]


def video(
    source: Annotated[Path, typer.Argument(help="The video.")],
    out: Annotated[Path | None, typer.Option(help="Write an annotated copy, with sound.")] = None,
    csv_file: CsvFile = None,
    timeline: Annotated[Path | None, typer.Option(help="Write a picture of expressions over time (PNG).")] = None,
    json_lines: Annotated[
        bool, typer.Option("--json", help="One JSON object a frame, and one for the summary.")
    ] = False,
    every: Every = 1,
    half_life: HalfLife = TrackingOptions.half_life_s,
    start: Annotated[float, typer.Option(min=0, help="Seconds of the video to skip.")] = 0.0,
    model: Model = None,
    detector: Detector = "haar",
    threads: Threads = 0,
) -> None:
    """Follow the faces of a video and say what each expresses over time."""
    from mien.outputs import PersonRows, frame_record
    from mien.timeline import Timeline
    from mien.video import Video

    recognizer = mien.Recognizer(model, detector, threads)
    moving = Video(source, recognizer, every, TrackingOptions(half_life_s=half_life), start)
    for target in (out, csv_file, timeline):
        if target and target.exists() and target.samefile(source):
            raise VideoError(f"{source}: {target} would replace it; choose another file")
        if target:
            target.parent.mkdir(parents=True, exist_ok=True)
    summary = Timeline(recognizer.expressions)
    with contextlib.ExitStack() as stack:
        rows = PersonRows(csv_file, recognizer.expressions) if csv_file else None
        if rows:
            stack.callback(rows.close)
        annotate = stack.enter_context(_annotated(out, moving)) if out else None
        total = int(max(0.0, (moving.duration_s or 0) - start))
        show, advance = stack.enter_context(progress_bar(total, "video, seconds"))
        failure = None
        frame_s = start
        try:
            for frame in moving:
                frame_s = frame.time_s
                summary.add(frame.time_s, frame.faces)
                if rows:
                    rows.write(frame.number, frame.time_s, frame.faces)
                if json_lines:
                    show(json.dumps(frame_record(frame.number, frame.time_s, frame.faces)))
                if annotate:
                    annotate(frame)
                advance(int(frame.time_s - start))
        except KeyboardInterrupt:
            failure = f"interrupted; what came before is kept, go on with --start {frame_s:.2f} and other files"
        except VideoError as error:
            failure = f"{error}; what came before is kept"
    summary.finish(frame_s + float(1 / moving.rate))
    if timeline:
        _write_picture(summary, timeline)
    _tell(summary, json_lines)
    if failure:
        print(f"mien: {failure}", file=sys.stderr)
        raise typer.Exit(130 if failure.startswith("interrupted") else 1)


def camera(
    device: Annotated[str, typer.Option(help="Number of the camera, or its name.")] = "0",
    csv_file: CsvFile = None,
    seconds: Annotated[float | None, typer.Option(min=0, help="Stop after so many seconds.")] = None,
    every: Every = 1,
    half_life: HalfLife = TrackingOptions.half_life_s,
    model: Model = None,
    detector: Detector = "haar",
    threads: Threads = 0,
) -> None:
    """Follow the faces before a camera, as bars in the terminal; Ctrl-C ends it."""
    from mien.cli.live import live_bars
    from mien.outputs import PersonRows
    from mien.timeline import Timeline
    from mien.video import Video

    source, form = camera_source(device, sys.platform)
    recognizer = mien.Recognizer(model, detector, threads)
    try:
        moving = Video(source, recognizer, every, TrackingOptions(half_life_s=half_life), form=form)
    except VideoError as error:
        raise VideoError(f"camera {device}: expected a camera, found none ({error}); see --device") from error
    summary = Timeline(recognizer.expressions)
    last_s, started = 0.0, time.monotonic()
    with contextlib.ExitStack() as stack:
        rows = PersonRows(csv_file, recognizer.expressions) if csv_file else None
        if rows:
            stack.callback(rows.close)
        show = stack.enter_context(live_bars())
        with contextlib.suppress(KeyboardInterrupt):
            for frame in moving:
                last_s = frame.time_s
                summary.add(frame.time_s, frame.faces)
                if rows:
                    rows.write(frame.number, frame.time_s, frame.faces)
                show(frame.faces)
                if seconds is not None and time.monotonic() - started >= seconds:
                    break
    summary.finish(last_s + float(1 / moving.rate))
    _tell(summary, json_lines=False)


def camera_source(device: str, platform: str) -> tuple[str, str]:
    """What FFmpeg calls a camera on a platform, and the format it is read with."""
    if platform == "darwin":
        return device, "avfoundation"
    if platform == "win32":
        return f"video={device}", "dshow"
    return (f"/dev/video{device}" if device.isdigit() else device), "v4l2"


@contextlib.contextmanager
def _annotated(out: Path, moving: "Video") -> "Iterator[Callable[[Frame], None]]":
    """A function that writes frames with boxes and charts to a video file, with the source's sound."""
    from mien.drawing import draw_faces
    from mien.results import Face
    from mien.video_file import VideoFile

    file = VideoFile(out, moving.rate, moving.source, moving.start_s)

    def annotate(frame: "Frame") -> None:
        faces = [Face(each.face.box_xyxy, each.face.detection_score, each.scores) for each in frame.faces]
        titles = [f"person {each.person}" for each in frame.faces]
        file.write(frame.time_s, draw_faces(frame.image, faces, titles))

    try:
        yield annotate
    finally:
        file.close()


def _write_picture(summary: "Timeline", file: Path) -> None:
    try:
        Image.fromarray(summary.draw()).save(file)
    except (OSError, ValueError) as error:
        raise VideoError(f"{file}: expected the name of a picture that can be written: {error}") from error


def _tell(summary: "Timeline", json_lines: bool) -> None:
    people = list(summary.people.values())
    if json_lines:
        print(json.dumps({"people": [person.to_dict() for person in people]}))
        return
    for person in people:
        seconds = ", ".join(f"{name} {value:.1f} s" for name, value in person.longest())
        print(f"person {person.number}: {person.first_s:.1f} to {person.last_s:.1f} s: {seconds}")
        changes = ", ".join(f"{old} to {new} {count}" for (old, new), count in person.transitions.most_common(3))
        if changes:
            print(f"  changes: {changes}")
    if not people:
        print("no faces")

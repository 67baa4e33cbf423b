"""Faces in moving pictures: a file or a camera, frame by frame, in constant memory. Needs PyAV (extra `video`)."""

import contextlib
import math
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mien.errors import MissingExtraError, VideoError
from mien.images import MAX_PIXELS
from mien.preprocessing import ImageArray
from mien.recognizer import Recognizer
from mien.tracking import People, TrackedFace, TrackingOptions, between, follow

if TYPE_CHECKING:
    import av
    from av.container import InputContainer

NEEDS_PYAV = "videos and cameras need PyAV; install it with: pip install 'mien[video]'"
USUAL_RATE = Fraction(25)
"""Frames a second where a file does not say."""
LONGEST_JUMP_S = 60.0
"""Times further than this beyond the last and beyond the stated length are taken for wrong (chosen)."""
SHORTER_S = 1.0
"""A video that ends so much before its stated length is cut off (chosen)."""
LATEST_S = 0.25
"""A camera's frames that are older than this are left out (chosen): bars show what is, on slow machines too."""


@dataclass(frozen=True)
class Frame:
    """One frame and the people in it."""

    number: int
    """Counted from 0 at the start of the video, or where reading began."""
    time_s: float
    """Seconds from the start of the video."""
    image: ImageArray
    """RGB uint8 (H, W, 3), upright as players show it."""
    faces: tuple[TrackedFace, ...]
    """The faces, each with the number of its person."""


class Video:
    """The frames of a video with the people in them: `for frame in Video(path): ...`.

    source: the path of a video; or of a camera, with its format.
    recognizer: what finds and reads faces; the default one if None.
    every: faces are looked for in every so manieth frame; between, they move on as they did.
    tracking: how people are told apart and scores smoothed.
    start_s: seconds of the video that are skipped.
    form: FFmpeg's name of the format, such as "v4l2" for cameras; found out if None.

    Raises VideoError when the source cannot be read, or holds no frames from start_s on. Damage further on raises it
    too, after all frames before, and so does an end before the time that the file states; damage that the decoder
    conceals is not noticed. Each iteration reads the source anew.
    """

    def __init__(
        self,
        source: str | Path,
        recognizer: Recognizer | None = None,
        every: int = 1,
        tracking: TrackingOptions | None = None,
        start_s: float = 0.0,
        form: str | None = None,
    ) -> None:
        if every < 1:
            raise ValueError(f"every must be at least 1, not {every}")
        if not 0 <= start_s < math.inf:
            raise ValueError(f"start_s must be a time from 0 on, not {start_s}")
        self.source, self.every, self.start_s, self.form = str(source), every, start_s, form
        self.tracking = tracking or TrackingOptions()
        with open_container(self.source, form) as container:
            stream = video_stream(container, self.source)
            self.rate = stream.average_rate or stream.guessed_rate or USUAL_RATE
            """Frames a second, on average."""
            seconds = None if container.duration is None else container.duration / 1_000_000
            self.duration_s = seconds if seconds and seconds > 0 else None
            """Seconds of the video; None where the file does not say."""
            self._stated_s = stream_seconds(stream)
        self.recognizer = recognizer or Recognizer()

    def __iter__(self) -> Iterator[Frame]:
        people = People()
        images = self.images() if self.form is None else fresh(self.images())
        for number, (time_s, image) in enumerate(images):
            if number % self.every:
                faces = between(people, time_s)
            else:
                people, faces = follow(people, self.recognizer.recognize(image), time_s, self.tracking)
            yield Frame(number, time_s, image, tuple(faces))

    def images(self) -> Iterator[tuple[float, ImageArray]]:
        """Times in seconds, always rising, and frames RGB uint8 (H, W, 3), all as large as the first."""
        import av

        clock = Clock(self.start_s, float(1 / self.rate), self.duration_s)
        try:
            for frame, said_s, upright in self._decoded():
                if frame.width * frame.height > MAX_PIXELS:
                    found = f"{frame.width}x{frame.height}"
                    raise VideoError(f"{self.source}: expected frames of {MAX_PIXELS} pixels at most, found {found}")
                time_s = clock.following(said_s, frame_seconds(frame))
                yield time_s, upright.pixels(frame)
        except (av.FFmpegError, MemoryError, ValueError) as error:
            before = "" if clock.time_s is None else f" after {clock.time_s:.2f} s"
            raise VideoError(f"{self.source}: damaged{before}: {reason(error)}") from error
        if clock.time_s is None:
            since = f" from {self.start_s:.2f} s on" if self.start_s else ""
            raise VideoError(f"{self.source}: expected frames{since}, found none")
        missing_s = 0.0 if self._stated_s is None else self._stated_s - clock.end_s
        if missing_s >= max(SHORTER_S, 2 * clock.longest_s):
            raise VideoError(f"{self.source}: ends after {clock.end_s:.2f} s; {missing_s:.2f} s are missing")

    def _decoded(self) -> "Iterator[tuple[av.VideoFrame, float | None, Upright]]":
        """Frames from `start_s` on, with the time that the file says, from its beginning."""
        import av

        for seek_s in (self.start_s, self.start_s - 10, None) if self.start_s else (None,):
            with open_container(self.source, self.form) as container:
                stream = video_stream(container, self.source)
                stream.thread_type = "AUTO"
                begin_s = start_seconds(container)
                if seek_s is not None:
                    try:
                        container.seek(int((begin_s + max(0.0, seek_s)) * 1_000_000))
                    except av.FFmpegError:  # raw streams have no index; they are read from their beginning
                        continue
                upright, late = Upright(stream), seek_s is not None
                for frame in decode(container, stream, patient=self.form is not None):
                    said_s = None if frame.time is None else frame.time - begin_s
                    if late and (said_s is None or said_s > self.start_s + 2 * float(1 / self.rate)):
                        break  # it went too far; from further back, then
                    late = False
                    if said_s is None or said_s >= self.start_s - 1e-6:
                        yield frame, said_s, upright
                if not late:
                    return


class Clock:
    """Times of frames, always rising, from what a file says, which may be missing, repeated or wrong."""

    def __init__(self, start_s: float, period_s: float, stated_s: float | None) -> None:
        self.time_s: float | None = None
        """Of the last frame."""
        self.end_s = start_s
        """When the last frame ends."""
        self.longest_s = 0.0
        """The longest time between two frames."""
        self._start_s, self._period_s, self._stated_s = start_s, period_s, stated_s or 0.0
        self._offset_s = 0.0

    def following(self, said_s: float | None, seconds: float = 0.0) -> float:
        """The time of the next frame, for which the file says `said_s`, and that it lasts so many seconds (0: unknown).

        Times that go back by little are set right after the last; after larger jumps, the clock goes on from there.
        """
        usual_s = self._start_s if self.time_s is None else self.time_s + self._period_s
        time_s = usual_s if said_s is None else said_s + self._offset_s
        last_s = time_s if self.time_s is None else self.time_s
        latest_s = max(last_s if self.time_s is not None else self._start_s, self._stated_s) + LONGEST_JUMP_S
        if time_s < last_s - 1 or not time_s < latest_s:
            self._offset_s += usual_s - time_s
            time_s = usual_s
        if self.time_s is not None:
            time_s = max(time_s, self.time_s + 0.001)
            self.longest_s = max(self.longest_s, time_s - self.time_s)
        self.time_s, self.end_s = time_s, time_s + (seconds or self._period_s)
        return time_s


class Upright:
    """Decoded frames as pixels: turned as their metadata say, with square pixels, all as large as the first."""

    def __init__(self, stream: "av.VideoStream") -> None:
        from av.video.reformatter import VideoReformatter

        self._reformatter = VideoReformatter()
        self._aspect = float(stream.sample_aspect_ratio or 1)
        self._size: tuple[int, int] | None = None

    def pixels(self, frame: "av.VideoFrame") -> ImageArray:
        """RGB uint8 (H, W, 3)."""
        swapped, across, down = orientation(frame)
        if self._size is None:
            size = (frame.height, max(1, round(frame.width * self._aspect)))
            self._size = size[::-1] if swapped else size
        height, width = self._size[::-1] if swapped else self._size
        image: ImageArray = (
            self._reformatter.reformat(frame, width, height, "rgb24").to_ndarray().astype(np.uint8, copy=False)
        )
        if swapped:
            image = image.transpose(1, 0, 2)
        return np.ascontiguousarray(image[:: -1 if down else 1, :: -1 if across else 1])


def orientation(frame: "av.VideoFrame") -> tuple[bool, bool, bool]:
    """What the display matrix asks for, in quarter turns: rows and columns swapped, then mirrored across, down."""
    from av.sidedata.sidedata import Type

    data = frame.side_data.get(Type.DISPLAYMATRIX)
    if data is None:
        return False, False, False
    a, b, _, c, d, *_ = np.frombuffer(bytes(data), np.int32)  # (x, y) is shown at (a x + c y, b x + d y)
    swapped = abs(int(b)) > abs(int(a))
    return swapped, bool((c if swapped else a) < 0), bool((b if swapped else d) < 0)


def fresh(images: Iterator[tuple[float, ImageArray]]) -> Iterator[tuple[float, ImageArray]]:
    """A camera's images without those that have waited for longer than `LATEST_S`."""
    began_s: float | None = None
    for time_s, image in images:
        now_s = time.monotonic() - time_s
        began_s = now_s if began_s is None else min(began_s, now_s)
        if now_s - began_s <= LATEST_S:
            yield time_s, image


def decode(container: "InputContainer", stream: "av.VideoStream", patient: bool) -> "Iterator[av.VideoFrame]":
    """All frames; at damage, those first that the decoder holds back. patient: damaged packets are skipped."""
    import av

    try:
        for packet in container.demux(stream):
            try:
                yield from packet.decode()
            except av.InvalidDataError:
                if not patient:
                    raise
    except av.FFmpegError:
        last = av.Packet()
        last.stream, last.time_base = stream, stream.time_base
        with contextlib.suppress(av.FFmpegError):
            yield from last.decode()
        raise


def open_container(source: str, form: str | None = None) -> "InputContainer":
    """Open a video file or camera; VideoError where that is not possible."""
    try:
        import av
    except ImportError as error:
        raise MissingExtraError(NEEDS_PYAV) from error
    try:
        options = {"framerate": "30"} if form == "avfoundation" else {}  # macOS refuses FFmpeg's default
        container: InputContainer = av.open(source, format=form, options=options, metadata_errors="replace")
        return container
    except (av.FFmpegError, OSError, ValueError) as error:
        raise VideoError(f"{source}: expected a video, found none that can be read: {reason(error)}") from error


def video_stream(container: "InputContainer", source: str) -> "av.VideoStream":
    """The first stream of pictures that is no cover; VideoError where there is none, as in a sound file."""
    from av.stream import Disposition

    for stream in container.streams.video:
        if not stream.disposition & Disposition.attached_pic:
            return stream
    raise VideoError(f"{source}: expected a video, found one without pictures")


def start_seconds(container: "InputContainer") -> float:
    """The time at which a source begins, on its own clock."""
    return (container.start_time or 0) / 1_000_000


def frame_seconds(frame: "av.VideoFrame") -> float:
    """How long a frame lasts; 0 where the file does not say."""
    return float(frame.duration * frame.time_base) if frame.duration and frame.time_base else 0.0


def stream_seconds(stream: "av.VideoStream") -> float | None:
    """How long a stream of pictures is, as the file says; None where it does not."""
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    if found := re.fullmatch(r"(\d+):(\d\d):(\d\d(?:\.\d+)?)", stream.metadata.get("DURATION", "")):  # Matroska
        hours, minutes, seconds = map(float, found.groups())
        return hours * 3600 + minutes * 60 + seconds
    return None


def reason(error: BaseException) -> str:
    """What FFmpeg says, without its number and the name of the file."""
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return str(text).splitlines()[0]

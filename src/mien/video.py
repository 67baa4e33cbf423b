"""Faces in moving pictures: a file or a camera, frame by frame, in constant memory. Needs PyAV (extra `video`)."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mien.errors import MissingExtraError, VideoError
from mien.images import MAX_PIXELS
from mien.preprocessing import ImageArray
from mien.recognizer import Recognizer
from mien.tracking import People, TrackedFace, TrackingOptions, between, follow

if TYPE_CHECKING:
    import av
    from av.container import InputContainer

USUAL_RATE = Fraction(25)
"""Frames a second where a file does not say."""


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

    Raises VideoError when the source cannot be read. Damage further on raises it too, after all frames before.
    Each iteration reads the source anew.
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
        if not start_s >= 0:
            raise ValueError(f"start_s must not be negative, not {start_s}")
        self.source, self.every, self.start_s, self.form = str(source), every, start_s, form
        self.tracking = tracking or TrackingOptions()
        with open_container(self.source, form) as container:
            stream = video_stream(container, self.source)
            self.rate = stream.average_rate or stream.guessed_rate or USUAL_RATE
            """Frames a second, on average."""
            seconds = None if container.duration is None else container.duration / 1_000_000
            self.duration_s = seconds if seconds and seconds > 0 else None
            """Seconds of the video; None where the file does not say."""
        self.recognizer = recognizer or Recognizer()

    def __iter__(self) -> Iterator[Frame]:
        people = People()
        for number, (time_s, image) in enumerate(self.images()):
            if number % self.every:
                faces = between(people, time_s)
            else:
                people, faces = follow(people, self.recognizer.recognize(image), time_s, self.tracking)
            yield Frame(number, time_s, image, tuple(faces))

    def images(self) -> Iterator[tuple[float, ImageArray]]:
        """Times in seconds, always rising, and frames RGB uint8 (H, W, 3), all as large as the first."""
        import av

        time_s, size, before = -1.0, None, ""
        with open_container(self.source, self.form) as container:
            stream = video_stream(container, self.source)
            stream.thread_type = "AUTO"
            try:
                if self.start_s:
                    container.seek(int(self.start_s * 1_000_000))
                start = start_seconds(container)
                for frame in container.decode(stream):
                    own = None if frame.time is None else frame.time - start
                    usual = time_s + float(1 / self.rate)
                    if own is not None and own < self.start_s - 1e-6:
                        continue
                    time_s = max(self.start_s, usual if time_s >= 0 else 0.0) if own is None or own <= time_s else own
                    before = f" after {time_s:.2f} s"
                    if frame.width * frame.height > MAX_PIXELS:
                        raise VideoError(f"{self.source}: expected frames of {MAX_PIXELS} pixels at most")
                    image = upright(frame)
                    size = size or image.shape[:2]
                    if image.shape[:2] != size:
                        image = upright(frame, size)
                    yield time_s, image
            except (av.FFmpegError, MemoryError, ValueError) as error:
                raise VideoError(f"{self.source}: damaged{before}: {reason(error)}") from error


def open_container(source: str, form: str | None = None) -> "InputContainer":
    """Open a video file or camera; VideoError where that is not possible."""
    try:
        import av
    except ImportError as error:
        raise MissingExtraError("videos and cameras need PyAV; install it with: pip install 'mien[video]'") from error
    try:
        container: InputContainer = av.open(source, format=form, metadata_errors="replace")
        return container
    except (av.FFmpegError, OSError, ValueError) as error:
        raise VideoError(f"{source}: expected a video, found none that can be read: {reason(error)}") from error


def video_stream(container: "InputContainer", source: str) -> "av.VideoStream":
    """The first stream of pictures; VideoError where there is none, as in a sound file."""
    if not container.streams.video:
        raise VideoError(f"{source}: expected a video, found one without pictures")
    return container.streams.video[0]


def start_seconds(container: "InputContainer") -> float:
    """The time at which a source begins, on its own clock."""
    return (container.start_time or 0) / 1_000_000


def upright(frame: "av.VideoFrame", size: tuple[int, int] | None = None) -> ImageArray:
    """A decoded frame as RGB uint8 (H, W, 3), turned as its metadata say; with a size, resampled to (H, W)."""
    turns = round(frame.rotation / 90) % 4
    wanted: dict[str, Any] = {}
    if size:
        height, width = size if turns % 2 == 0 else size[::-1]
        wanted = {"height": height, "width": width}
    image = frame.to_ndarray(format="rgb24", **wanted)
    return np.ascontiguousarray(np.rot90(image, turns)) if turns else image


def reason(error: BaseException) -> str:
    """What FFmpeg says, without its number and the name of the file."""
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return str(text).splitlines()[0]

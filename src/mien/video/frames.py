"""Faces in moving pictures: a file or a camera, frame by frame, in constant memory. Needs PyAV (extra `video`)."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from mien.detection.face_finder import FaceFinder
from mien.detection.options import LOOKS
from mien.errors import VideoError
from mien.preprocessing import ImageArray
from mien.recognizer import Recognizer
from mien.video.live import newest
from mien.video.media import (
    Upright,
    container_seconds,
    decode,
    frame_seconds,
    open_container,
    reason,
    seek,
    start_seconds,
    stream_seconds,
    timed,
    video_stream,
)
from mien.video.tracking import People, TrackedFace, TrackingOptions, between, follow

if TYPE_CHECKING:
    import av

USUAL_RATE, SLOWEST_RATE = Fraction(25), Fraction(1, 3600)
"""Frames a second where a file does not say; fewer are damage."""
LONGEST_JUMP_S = 60.0
"""Times further than this beyond the last and beyond the stated length are taken for wrong (chosen)."""
SHORTER_S = 1.0
"""A video that ends so much before its stated length is cut off (chosen)."""
TOLERANCE_S = 1e-6
"""Times that differ by less are the same, and the least time between two frames."""
WARM_S = 1.0
"""So much before `start_s` people are already followed, that they are known and their scores smoothed (chosen)."""


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

    source: the path of a video; with `live`, the address of a stream (rtsp://, http://, ...). `Camera` reads cameras.
    recognizer: what finds and reads faces; if None, the default one that looks at each frame at one fast size
        (`FaceFinder(longest_px=416, any_way_up=False)`).
    every: faces are looked for in every so manieth frame; between, they move on as they did.
    tracking: how people are told apart and scores smoothed; of a short video, see `TrackingOptions.within`.
    start_s: seconds of the video that are skipped.
    form: FFmpeg's name of the format; found out if None.
    live: the source gives frames as time goes by: those that come while one is looked at are left out, but the newest.
    stop: asked before each frame, and while a camera gives none; True ends the iteration.

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
        stop: Callable[[], bool] = lambda: False,
        live: bool = False,
    ) -> None:
        if every < 1:
            raise ValueError(f"every must be at least 1, not {every}")
        if not 0 <= start_s < math.inf:
            raise ValueError(f"start_s must be a time from 0 on, not {start_s}")
        self.source, self.every, self.start_s, self.form, self.live = str(source), every, start_s, form, live
        self._stop = stop
        with open_container(self.source, form, live) as container:
            stream = video_stream(container, self.source)
            rates = (stream.average_rate, stream.guessed_rate)
            self.rate = next((rate for rate in rates if rate and rate >= SLOWEST_RATE), USUAL_RATE)
            """Frames a second, on average."""
            self.duration_s = container_seconds(container)
            """Seconds of the video; None where the file does not say."""
            self._stated_s = None if live else stream_seconds(stream)
        self.tracking = tracking or TrackingOptions()
        if not live and self.duration_s:
            seconds = max(0.0, self.duration_s - max(0.0, start_s - WARM_S))
            self.tracking = self.tracking.within(seconds, every * float(1 / self.rate))
        self.recognizer = recognizer or Recognizer(detector=FaceFinder(longest_px=LOOKS.longest_px, any_way_up=False))

    def __iter__(self) -> Iterator[Frame]:
        people, number = People(), 0
        images = self._images(max(0.0, self.start_s - WARM_S))
        for index, (time_s, image) in enumerate(newest(images, self._stop) if self.live else images):
            if index % self.every:
                faces = between(people, time_s)
            else:
                people, faces = follow(people, self.recognizer.recognize(image), time_s, self.tracking)
            if time_s >= self.start_s - TOLERANCE_S:
                yield Frame(number, time_s, image, tuple(faces))
                number += 1
        if not number and not self._stop():
            raise self._no_frames()

    def images(self) -> Iterator[tuple[float, ImageArray]]:
        """Times in seconds, always rising, and frames RGB uint8 (H, W, 3), all as large as the first."""
        return self._images(self.start_s)

    def _images(self, from_s: float) -> Iterator[tuple[float, ImageArray]]:
        import av

        clock, given = Clock(from_s, float(1 / self.rate), self.duration_s), False
        try:
            for frame, said_s, upright in self._decoded(from_s):
                if self._stop():
                    return
                time_s = clock.following(said_s, frame_seconds(frame))
                if time_s >= from_s - TOLERANCE_S:
                    yield time_s, upright.pixels(frame)
                    given = True
        except (av.FFmpegError, MemoryError, ValueError) as error:
            before = "" if clock.time_s is None else f" after {clock.time_s:.2f} s"
            raise VideoError(f"{self.source}: damaged{before}: {reason(error)}") from error
        if not given:
            raise self._no_frames()
        missing_s = 0.0 if self._stated_s is None else self._stated_s - clock.end_s
        if missing_s >= max(SHORTER_S, 2 * clock.longest_s):
            raise VideoError(f"{self.source}: ends after {clock.end_s:.2f} s; {missing_s:.2f} s are missing")

    def _no_frames(self) -> VideoError:
        since = f" from {self.start_s:.2f} s on" if self.start_s else ""
        return VideoError(f"{self.source}: expected frames{since}, found none")

    def _decoded(self, from_s: float) -> "Iterator[tuple[av.VideoFrame, float | None, Upright]]":
        """Frames from the keyframe before `from_s` on, or all, with the time that the file says, from its beginning."""
        for wanted_s in (from_s, 0.0) if from_s else (0.0,):
            with open_container(self.source, self.form, self.live) as container:
                stream = video_stream(container, self.source)
                stream.thread_type = "AUTO"
                if wanted_s and not seek(container, start_seconds(container) + wanted_s):
                    continue
                upright, first = Upright(stream, self.source), True
                for frame, said_s in timed(container, decode(container, stream, patient=self.live)):
                    if first and wanted_s and (said_s is None or said_s > wanted_s + 2 * float(1 / self.rate)):
                        break  # it went too far
                    first = False
                    yield frame, said_s, upright
                if not first:
                    return


class Clock:
    """Times of frames, always rising, from what a file says, which may be missing, repeated or wrong."""

    def __init__(self, from_s: float, period_s: float, stated_s: float | None) -> None:
        """from_s: where reading may begin. stated_s: how long the file says that it is."""
        self.time_s: float | None = None
        """Of the last frame."""
        self.end_s = 0.0
        """When the last frame ends."""
        self.longest_s = 0.0
        """The longest time between two frames."""
        self._known_s, self._period_s = max(from_s, stated_s or 0.0), period_s
        self._offset_s, self._behind = 0.0, False

    def following(self, said_s: float | None, seconds: float = 0.0) -> float:
        """The time of the next frame, for which the file says `said_s`, and that it lasts so many seconds (0: unknown).

        A time that goes back by little is set right after the last; after larger jumps, and where the next one goes
        back too, the clock goes on from there.
        """
        last_s = self.time_s
        time_s = self.end_s if said_s is None else said_s + self._offset_s
        back_s = 0.0 if last_s is None else last_s - time_s
        behind = last_s is not None and back_s > self.end_s - last_s
        latest_s = max(self._known_s, last_s or 0.0) + LONGEST_JUMP_S
        if back_s > 1 or (behind and self._behind) or not time_s < latest_s:
            self._offset_s += self.end_s - time_s
            time_s, behind = self.end_s, False
        self._behind = behind
        if last_s is not None:
            time_s = max(time_s, last_s + TOLERANCE_S)
            self.longest_s = max(self.longest_s, time_s - last_s)
        self.time_s, self.end_s = time_s, time_s + (seconds or self._period_s)
        return time_s

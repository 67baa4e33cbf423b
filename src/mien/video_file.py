"""Annotated frames into a video file with the sound of another. Needs PyAV (extra `video`).

MP4 files are written in fragments, so that an interrupted one plays up to where it ends.
"""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av

from mien.errors import VideoError
from mien.preprocessing import ImageArray
from mien.video import open_container, reason, start_seconds

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import InputContainer, OutputContainer

CLOCK = 90_000
"""Ticks a second of the written times."""
COPIED_SOUND = {"aac", "ac3", "alac", "eac3", "flac", "mp3", "opus"}
"""Codecs that are copied into MP4 as they are; other sound becomes AAC."""
QUALITY = {"preset": "veryfast", "crf": "20", "bf": "0"}
"""Options of x264 (chosen: no visible loss; no B-frames, since times in fragments would begin after 0 with them)."""


class VideoFile:
    """Writes frames with their times, and the sound of a source with them.

    rate: frames a second, for players. sound: a file whose sound is carried over, from `start_s` on.
    Raises VideoError when the file cannot be written.
    """

    def __init__(self, file: Path, rate: Fraction, sound: str | None = None, start_s: float = 0.0) -> None:
        self.file, self._start_s, self._rate = file, start_s, rate
        self._video: av.VideoStream | None = None
        self._packets: Iterator[av.Packet] = iter(())
        self._waiting: av.Packet | None = None
        self._source: InputContainer | None = None
        self._last = -1
        fragments = (
            {"movflags": "hybrid_fragmented", "avoid_negative_ts": "disabled"}
            if file.suffix.lower() in (".mp4", ".mov", ".m4v")
            else {}
        )
        try:
            self._container: OutputContainer = av.open(str(file), "w", options=fragments)
        except (av.FFmpegError, OSError, ValueError) as error:
            raise VideoError(f"{file}: expected to write a video: {reason(error)}") from error
        if sound:
            self._source = open_container(sound)

    def write(self, time_s: float, image: ImageArray) -> None:
        """Append a frame RGB uint8 (H, W, 3), all of one size, with its time in the source."""
        height, width = image.shape[0] // 2 * 2, image.shape[1] // 2 * 2  # as H.264 wants them
        if self._video is None:
            self._begin(width, height)
        assert self._video is not None
        frame = av.VideoFrame.from_ndarray(image[:height, :width], format="rgb24")
        self._last = max(self._last + 1, round((time_s - self._start_s) * CLOCK))
        frame.pts, frame.time_base = self._last, Fraction(1, CLOCK)
        self._mux_sound(time_s)
        self._container.mux(self._video.encode(frame))

    def close(self) -> None:
        """Finish the file; what was written so far plays."""
        if self._video is not None:
            self._container.mux(self._video.encode(None))
            self._mux_sound(self._start_s + self._last / CLOCK + float(1 / self._rate))
        self._container.close()
        if self._source:
            self._source.close()

    def _begin(self, width: int, height: int) -> None:
        self._video = self._container.add_stream("libx264", rate=self._rate, options=QUALITY)
        self._video.width, self._video.height, self._video.pix_fmt = width, height, "yuv420p"
        self._video.codec_context.time_base = Fraction(1, CLOCK)
        if self._source and self._source.streams.audio:
            self._packets = self._sound(self._source, self._source.streams.audio[0])

    def _sound(self, source: "InputContainer", stream: "AudioStream") -> Iterator[av.Packet]:
        """The source's sound as packets of the written file, from `start_s` on."""
        if self._start_s:
            source.seek(int(self._start_s * 1_000_000))
        begin = self._start_s + start_seconds(source)
        if stream.codec_context.name in COPIED_SOUND:
            copy: Any = self._container.add_stream_from_template(stream)
            return _copied(source, stream, copy, begin)
        written = self._container.add_stream("aac", rate=stream.codec_context.sample_rate)
        return _encoded(source, stream, written, begin)

    def _mux_sound(self, until_s: float) -> None:
        """Write the sound up to a time, so that both streams advance together."""
        limit = until_s - self._start_s
        while True:
            self._waiting = self._waiting or next(self._packets, None)
            if self._waiting is None or float((self._waiting.pts or 0) * self._waiting.time_base) > limit:
                return
            self._container.mux(self._waiting)
            self._waiting = None


def _copied(source: "InputContainer", stream: "AudioStream", copy: Any, begin_s: float) -> Iterator[av.Packet]:
    first = round(begin_s / stream.time_base) if stream.time_base else 0
    try:
        for packet in source.demux(stream):
            if packet.pts is None or packet.dts is None or packet.pts < first:
                continue
            packet.pts, packet.dts = packet.pts - first, packet.dts - first
            packet.stream = copy
            yield packet
    except av.FFmpegError:  # the pictures tell of the damage
        return


def _encoded(source: "InputContainer", stream: "AudioStream", written: Any, begin_s: float) -> Iterator[av.Packet]:
    try:
        for frame in source.decode(stream):
            if frame.time is None or frame.time < begin_s:
                continue
            frame.pts = round((frame.time - begin_s) / float(frame.time_base or 1))
            yield from written.encode(frame)
        yield from written.encode(None)
    except av.FFmpegError:
        return

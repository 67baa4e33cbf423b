"""Annotated frames into a video file with the sound of another. Needs PyAV (extra `video`).

Files are written in parts of a second, so that one whose writing was killed plays up to about a second before.
"""

import contextlib
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
from av.video.reformatter import ColorRange, Colorspace

from mien.errors import VideoError, VideoWriteError
from mien.picture_files import WRITABLE_VIDEO_SUFFIXES
from mien.preprocessing import ImageArray
from mien.signature import SOFTWARE
from mien.video.frames import Clock
from mien.video.media import container_seconds, file_url, open_container, packets, reason, seek, start_seconds

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import InputContainer

CLOCK = 90_000
"""Ticks a second of the written times."""
COPIED_SOUND = {"aac", "ac3", "alac", "eac3", "flac", "mp3", "opus"}
"""Codecs that are copied as they are, where the file's form takes them; other sound becomes AAC, and so does AAC from
streams that can be damaged anywhere (ADTS)."""
NOT_COPIED_INTO = {".mov": {"flac", "opus"}, ".mp4": {"ac3", "eac3"}, ".m4v": {"ac3", "eac3"}}
"""AC-3 in MP4 is described by its first packet, so that a file without one could not be read."""
USUAL_SOUND_S = 0.02
"""Length of a packet of sound where a file does not say."""
AAC_RATES = {7350, 8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000}
"""Samples a second that AAC has; other sound is resampled to 48,000."""
QUALITY = {"preset": "veryfast", "crf": "20", "bf": "0"}
"""Options of x264 (chosen: no visible loss; no B-frames, since times in fragments would begin after 0 with them)."""
WAITING = {"max_interleave_delta": "1000000"}
"""Microseconds that pictures wait in memory for sound that pauses."""
FRAGMENTS = {
    "movflags": "delay_moov",
    "avoid_negative_ts": "disabled",
    "frag_duration": "1000000",
    "flush_packets": "1",
    **WAITING,
}
CLUSTERS = {"cluster_time_limit": "1000", "flush_packets": "1", **WAITING}
Failures = (av.FFmpegError, OSError, ValueError, OverflowError)


def is_signed_video(file: Path) -> bool:
    """Whether mien wrote a video."""
    try:
        with av.open(file_url(file), metadata_errors="ignore") as container:
            facts = {name.lower(): value for name, value in container.metadata.items()}
    except Failures:
        return False
    return facts.get("comment") == SOFTWARE


class VideoFile:
    """Writes frames with their times, and the sound of a source with them.

    file: ends in .mp4, .m4v, .mov or .mkv. rate: frames a second, for players. sound: a file whose sound is carried
    over, from `start_s` on. Raises VideoWriteError when the file cannot be written.
    """

    def __init__(self, file: Path, rate: Fraction, sound: str | None = None, start_s: float = 0.0) -> None:
        if file.suffix.lower() not in WRITABLE_VIDEO_SUFFIXES:
            raise VideoError(f"{file}: expected a name that ends in {', '.join(WRITABLE_VIDEO_SUFFIXES)}")
        self.file, self._start_s, self._rate = file, start_s, rate
        self._video: av.VideoStream | None = None
        self._sound: _Sound | None = None
        self._last, self._closed = -1, False
        try:
            file.open("ab").close()  # FFmpeg would find out only with the first frame
            parts = CLUSTERS if file.suffix.lower() == ".mkv" else FRAGMENTS
            self._container = av.open(file_url(file), "w", options=parts)
            self._container.metadata["comment"] = SOFTWARE
        except Failures as error:
            raise self._refused(error) from error
        self._source = open_container(sound) if sound and _sounds_from(sound, start_s) else None

    @property
    def damaged_sound(self) -> int:
        """How many packets of sound could not be read."""
        return self._sound.damaged if self._sound else 0

    def write(self, time_s: float, image: ImageArray) -> None:
        """Append a frame RGB uint8 (H, W, 3), all of one size, with its time in the source."""
        height, width = image.shape[0] // 2 * 2, image.shape[1] // 2 * 2  # as H.264 wants them
        try:
            if self._video is None:
                self._begin(width, height)
            assert self._video is not None
            frame = av.VideoFrame.from_ndarray(image[:height, :width], format="rgb24")
            self._last = max(self._last + 1, round((time_s - self._start_s) * CLOCK))
            frame.pts, frame.time_base = self._last, Fraction(1, CLOCK)
            self._mux_sound(time_s - self._start_s)
            self._container.mux(self._video.encode(frame))
        except Failures as error:
            raise self._refused(error) from error

    def close(self, whole: bool = True) -> None:
        """Finish the file, once. whole: sound that goes on after the last frame is written too.

        Without a frame there is no file, unless there was one before.
        """
        if self._closed:
            return
        self._closed = True
        try:
            try:
                if self._video is not None:
                    self._container.mux(self._video.encode(None))
                    self._mux_sound(float("inf") if whole else self._last / CLOCK + float(1 / self._rate))
            finally:
                self._container.close()
                if self._video is None and self.file.is_file() and not self.file.stat().st_size:
                    self.file.unlink()
        except Failures as error:
            raise self._refused(error) from error
        finally:
            if self._source:
                self._source.close()

    def _refused(self, error: BaseException) -> VideoWriteError:
        return VideoWriteError(f"{self.file}: expected to write a video: {reason(error)}")

    def _begin(self, width: int, height: int) -> None:
        self._video = self._container.add_stream("libx264", rate=self._rate, options=QUALITY)
        self._video.width, self._video.height, self._video.pix_fmt = width, height, "yuv420p"
        context = self._video.codec_context
        context.time_base = Fraction(1, CLOCK)
        context.colorspace, context.color_range = Colorspace.ITU601, ColorRange.MPEG  # as FFmpeg converts from RGB
        for stream in self._source.streams.audio[:1] if self._source else ():
            assert self._source is not None
            if stream.codec_context is not None:  # FFmpeg has a decoder for it
                self._sound = _Sound(self._source, stream, self._container, self.file, self._start_s)
        self._container.start_encoding()

    def _mux_sound(self, until_s: float) -> None:
        """Write the sound up to a time after the start, so that both streams advance together."""
        while self._sound and (packet := self._sound.due(until_s)):
            self._container.mux(packet)


def _begin_reading(source: "InputContainer", start_s: float) -> tuple[float, Clock]:
    """When a source begins on its own clock, and a clock for its sound from `start_s` on, after going there."""
    begin_s = start_seconds(source)
    if start_s:
        seek(source, begin_s + start_s)
    return begin_s, Clock(start_s, USUAL_SOUND_S, container_seconds(source))


def _sounds_from(sound: str, start_s: float) -> bool:
    """Whether a file has sound from a time on. A track without any would keep all pictures waiting in memory."""
    with open_container(sound) as source, contextlib.suppress(av.FFmpegError):
        begin_s, clock = _begin_reading(source, start_s)
        for packet in packets(source, source.streams.audio[0]) if source.streams.audio else ():
            if packet.pts is not None and packet.time_base:
                seconds = float((packet.duration or 0) * packet.time_base)
                if clock.following(float(packet.pts * packet.time_base) - begin_s, seconds) >= start_s:
                    return True
    return False


class _Sound:
    """The sound of a source as packets of the written file, from `start_s` on."""

    def __init__(
        self, source: "InputContainer", stream: "AudioStream", written: Any, file: Path, start_s: float
    ) -> None:
        self.damaged = 0
        self._start_s = start_s
        self._begin_s, self._clock = _begin_reading(source, start_s)
        context = stream.codec_context
        name, rate = context.codec.canonical_name, context.sample_rate
        unfit: set[str] = NOT_COPIED_INTO.get(file.suffix.lower(), set())
        described = rate > 0 and (name != "aac" or context.extradata is not None)
        if described and name in COPIED_SOUND & written.supported_codecs - unfit:
            self._packets = self._copied(source, stream, written.add_stream_from_template(stream))
        else:
            encoder = written.add_stream("aac", rate=rate if rate in AAC_RATES else 48_000)
            self._packets = self._encoded(source, stream, encoder)
        self._waiting: av.Packet | None = None

    def due(self, until_s: float) -> av.Packet | None:
        """The next packet, once, if it begins by then."""
        self._waiting = self._waiting or next(self._packets, None)
        if self._waiting is None or float((self._waiting.pts or 0) * self._waiting.time_base) > until_s:
            return None
        packet, self._waiting = self._waiting, None
        return packet

    def _copied(self, source: "InputContainer", stream: "AudioStream", copy: Any) -> Iterator[av.Packet]:
        last = -1
        for packet in self._read(source, stream):
            if packet.pts is None or packet.dts is None or not packet.time_base:
                continue
            pts = self._ticks(packet.pts, packet.time_base, (packet.duration or 0) * packet.time_base)
            if last < pts:
                packet.pts = packet.dts = last = pts
                packet.stream = copy
                yield packet
            elif pts >= 0:
                self.damaged += 1

    def _encoded(self, source: "InputContainer", stream: "AudioStream", encoder: Any) -> Iterator[av.Packet]:
        last = -1
        for packet in self._read(source, stream):
            try:
                for frame in packet.decode():
                    if frame.pts is None or not frame.time_base:
                        continue
                    pts = self._ticks(frame.pts, frame.time_base, Fraction(frame.samples, frame.sample_rate))
                    if last < pts:
                        frame.pts = last = pts
                        yield from encoder.encode(frame)
            except (av.FFmpegError, ValueError):  # damage, or another rate or number of channels from here on
                self.damaged += 1
        yield from encoder.encode(None)

    def _ticks(self, pts: int, time_base: Fraction, seconds: Fraction) -> int:
        """The time of a packet in the written file, in its own unit; negative before the start."""
        time_s = self._clock.following(float(pts * time_base) - self._begin_s, float(seconds))
        return round((time_s - self._start_s) / float(time_base))

    def _read(self, source: "InputContainer", stream: "AudioStream") -> Iterator[av.Packet]:
        try:
            yield from packets(source, stream)
        except av.FFmpegError:
            self.damaged += 1

"""Videos and cameras as FFmpeg gives them: containers, streams, decoded frames, upright pixels. Needs PyAV."""

import contextlib
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mien.errors import MissingExtraError, VideoError, shortened
from mien.images import MAX_PIXELS
from mien.preprocessing import ImageArray
from mien.video.hdr import HLG, PQ, to_sdr

if TYPE_CHECKING:
    import av
    from av.audio.stream import AudioStream
    from av.container import InputContainer

NEEDS_PYAV = "videos and cameras need PyAV; install it with: pip install 'mien[video]'"
MATROSKA = "matroska,webm"
INDEXED = ("mov,mp4,m4a,3gp,3g2,mj2", MATROSKA)
"""Formats whose files say where each time is. In others times may be missing, begin anew, and seeking go astray."""
NO_FRAME_YET_S = 0.005
"""How long a camera without a new frame is left alone (chosen)."""


class Upright:
    """Decoded frames as sRGB pixels: turned as their metadata say, square, all as large as the first."""

    def __init__(self, stream: "av.VideoStream", source: str) -> None:
        from av.video.reformatter import VideoReformatter

        self._reformatter = VideoReformatter()
        self._aspect = float(stream.sample_aspect_ratio or 1)
        self._source = source
        self._size: tuple[int, int] | None = None

    def pixels(self, frame: "av.VideoFrame") -> ImageArray:
        """RGB uint8 (H, W, 3); VideoError where that is too large."""
        swapped, across, down = orientation(frame)
        if self._size is None:
            size = (frame.height, max(1, round(frame.width * self._aspect)))
            self._size = size[::-1] if swapped else size
        for down_px, across_px in ((frame.height, frame.width), self._size):
            if down_px * across_px > MAX_PIXELS:
                found = f"{across_px}x{down_px}"
                raise VideoError(f"{self._source}: expected frames of {MAX_PIXELS} pixels at most, found {found}")
        height, width = self._size[::-1] if swapped else self._size
        is_hdr = frame.color_trc in (PQ, HLG)
        shown = self._reformatter.reformat(frame, width, height, "rgb48le" if is_hdr else "rgb24").to_ndarray()
        if is_hdr:
            image = to_sdr(shown.astype(np.uint16, copy=False), frame.color_trc, frame.color_primaries)
        else:
            image = shown.astype(np.uint8, copy=False)
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


def decode(container: "InputContainer", stream: "av.VideoStream", patient: bool) -> "Iterator[av.VideoFrame]":
    """All frames; at damage, those first that the decoder holds back.

    patient: as cameras need it; damaged packets are skipped, and those that are not there yet waited for.
    """
    import av

    try:
        for packet in packets(container, stream, patient):
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


def packets(
    container: "InputContainer", stream: "av.VideoStream | AudioStream", patient: bool = False
) -> "Iterator[av.Packet]":
    """All packets of a stream. patient: where FFmpeg does not wait for the next one, as on macOS, this does."""
    import av

    while True:
        try:
            yield from container.demux(stream)
            return
        except av.BlockingIOError:
            if not patient:
                raise
            time.sleep(NO_FRAME_YET_S)
        except IndexError:  # a packet of a stream that begins amid the file, which PyAV does not know
            continue


def open_container(source: str, form: str | None = None, live: bool = False) -> "InputContainer":
    """Open a video file, the address of a live stream, or a camera with its format; VideoError where that fails."""
    try:
        import av
    except ImportError as error:
        raise MissingExtraError(NEEDS_PYAV) from error
    if form is None and live != is_address(source):
        found = "a file; leave out live=True (--stream)" if live else "an address; live=True (--stream) reads it"
        expected = "the address of a live stream" if live else "a video file"
        raise VideoError(f"{shortened(source)}: expected {expected}, found {found}")
    if form is None and os.path.exists(source) and not (os.path.isfile(source) or os.path.isdir(source)):
        raise VideoError(f"{source}: expected a video file, found a pipe or device; videos are read more than once")
    try:
        options = {"framerate": "30"} if form == "avfoundation" else {}  # macOS refuses FFmpeg's default
        name = source if form or live else file_url(source)
        container: InputContainer = av.open(name, format=form, options=options, metadata_errors="replace")
        return container
    except (av.FFmpegError, OSError, ValueError) as error:
        raise VideoError(
            f"{shortened(source)}: expected a video, found none that can be read: {reason(error)}"
        ) from error


def is_address(source: str) -> bool:
    """Whether a source is the address of a stream, such as rtsp://..., and no file."""
    return re.match(r"[a-z][a-z0-9+.-]+://", source, re.IGNORECASE) is not None and not os.path.exists(source)


def file_url(file: str | Path) -> str:
    """A file as FFmpeg must be told of it, so that a colon in its name is no protocol."""
    return f"file:{file}"


def seek(container: "InputContainer", time_s: float) -> bool:
    """Go to the last keyframe before a time on the source's clock; False where the format has no index to trust."""
    import av

    if container.format.name not in INDEXED:
        return False
    try:
        container.seek(int(time_s * 1_000_000))
    except av.FFmpegError:
        return False
    return True


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


def timed(
    container: "InputContainer", frames: "Iterator[av.VideoFrame]"
) -> "Iterator[tuple[av.VideoFrame, float | None]]":
    """Frames with their times in seconds from the beginning of the source, None where it does not say.

    AVI only says when frames are decoded; they are shown in the order in which they come, each as much later.
    """
    if container.format.name != "avi":
        begin_s = start_seconds(container)
        for frame in frames:
            yield frame, None if frame.time is None else frame.time - begin_s
        return
    first_s, last_s, step_s = None, 0.0, 0.0
    for frame in frames:
        if frame.dts is None or not frame.time_base:  # the decoder held it back until the end
            last_s += step_s
        else:
            decoded_s = float(frame.dts * frame.time_base)
            first_s = decoded_s if first_s is None else first_s
            step_s, last_s = decoded_s - first_s - last_s, decoded_s - first_s
        yield frame, last_s


def container_seconds(container: "InputContainer") -> float | None:
    """How long a source is, as it says; None where it does not."""
    if container.duration is None:
        return None
    seconds = container.duration / 1_000_000
    if container.format.name == MATROSKA:  # says when it ends
        seconds -= start_seconds(container)
    return seconds if seconds > 0 else None


def frame_seconds(frame: "av.VideoFrame") -> float:
    """How long a frame lasts; 0 where the file does not say."""
    return float(frame.duration * frame.time_base) if frame.duration and frame.time_base else 0.0


def stream_seconds(stream: "av.VideoStream") -> float | None:
    """How long a stream of pictures is, as the file says; None where it does not."""
    if stream.container.format.name == "asf":  # says how long the file is
        return None
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    if found := re.fullmatch(r"(\d+):(\d\d):(\d\d(?:\.\d+)?)", stream.metadata.get("DURATION", "")):  # Matroska
        hours, minutes, seconds = map(float, found.groups())
        return hours * 3600 + minutes * 60 + seconds - start_seconds(stream.container)
    return None


def reason(error: BaseException) -> str:
    """What FFmpeg says, without its number and the name of the file."""
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return str(text).splitlines()[0]

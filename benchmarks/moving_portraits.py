"""Generated videos: the portraits of `examples/` moving, crossing and turning dark, with a tone.

`python benchmarks/moving_portraits.py FILE [SECONDS]` writes one.
"""

import math
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image

from mien.preprocessing import ImageArray

EXAMPLES = Path(__file__).parents[1] / "examples"
SIZE = (640, 480)
RATE = 25
SOUND_RATE = 44_100


def portraits(height: int = 260) -> list[Image.Image]:
    """Two portraits of about the same size of face."""
    first = Image.open(EXAMPLES / "eileen-collins.jpg").convert("RGB").crop((110, 0, 350, 260))
    second = Image.open(EXAMPLES / "grace-hopper.jpg").convert("RGB").crop((80, 20, 460, 480))
    return [each.resize((round(each.width * height / each.height), height)) for each in (first, second)]


def scene(time_s: float, seconds: float, pictures: list[Image.Image], swaying: bool = False) -> ImageArray:
    """The frame at a time: the first portrait goes to the right, the second before it to the left, hiding it; then both
    turn dark."""
    share = time_s / seconds
    canvas = Image.new("RGB", SIZE, (70, 90, 80))
    shift = shift_px(time_s, seconds, pictures[0].width, swaying)
    canvas.paste(pictures[0], (shift, 100))
    if len(pictures) > 1:
        canvas.paste(pictures[1], (SIZE[0] - pictures[0].width - shift, 120))
    light = 0.35 + 0.65 * abs(math.cos(math.pi * share * 2)) if share > 0.5 else 1.0
    return (np.asarray(canvas) * light).astype(np.uint8)


def shift_px(time_s: float, seconds: float, width: int, swaying: bool = False) -> int:
    """How far the first portrait, so many pixels wide, has come to the right; swaying, with 126 px/s at most."""
    if swaying:
        return round((SIZE[0] - width) / 2 + 60 * math.sin(2 * math.pi * time_s / 3))
    return round((SIZE[0] - width) * time_s / seconds)


def write_clip(
    file: Path,
    seconds: float = 6.0,
    sound: str | None = "aac",
    times: list[float] | None = None,
    people: int = 2,
    size: tuple[int, int] = SIZE,
    sound_s: float | None = None,
    sound_rate: int = SOUND_RATE,
    sound_gap_s: tuple[float, float] = (0.0, 0.0),
    container_options: dict[str, str] | None = None,
    video_options: dict[str, str] | None = None,
    swaying: bool = False,
) -> None:
    """Write a clip; times: of the frames, instead of an even rate. people: 0 to 2. sound_s: where sound is longer.

    sound_gap_s: no packets of sound are written from the first to the second time.
    """
    pictures = portraits()[:people] if people else [Image.new("RGB", (10, 10))]
    times = times or [index / RATE for index in range(round(seconds * RATE))]
    with av.open(str(file), "w", options=container_options or {}) as container:
        video = container.add_stream("libx264", rate=RATE, options={"preset": "veryfast", **(video_options or {})})
        video.width, video.height, video.pix_fmt = *size, "yuv420p"
        video.codec_context.time_base = Fraction(1, 90_000)
        audio = container.add_stream(sound, rate=sound_rate) if sound else None
        for time_s in times:
            image = Image.fromarray(scene(time_s, seconds, pictures, swaying)).resize(size)
            frame = av.VideoFrame.from_image(image)
            frame.pts, frame.time_base = round(time_s * 90_000), Fraction(1, 90_000)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        if audio:
            write_tone(container, audio, sound_s or seconds, sound_rate, sound_gap_s)


def write_tone(
    container: av.container.OutputContainer,
    stream: av.AudioStream,
    seconds: float,
    rate: int,
    gap_s: tuple[float, float],
) -> None:
    """A tone of 440 Hz, that is silent in the second half of each second."""
    time_s = np.arange(round(seconds * rate)) / rate
    samples = np.sin(2 * np.pi * 440 * time_s) * 8000 * (time_s % 1 < 0.5)
    for start in range(0, len(samples), 1024):
        part = np.repeat(samples[start : start + 1024].astype(np.int16)[None], 2, axis=0)
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(part), format="s16p", layout="stereo")
        frame.sample_rate, frame.pts, frame.time_base = rate, start, Fraction(1, rate)
        for packet in stream.encode(frame):
            if not gap_s[0] <= float(packet.pts * packet.time_base) < gap_s[1]:
                container.mux(packet)
    container.mux(stream.encode(None))


if __name__ == "__main__":
    write_clip(Path(sys.argv[1]), float(sys.argv[2]) if len(sys.argv) > 2 else 6.0)

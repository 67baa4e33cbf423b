"""What tests of videos look at: the command, its rows, the sound of a file."""

import csv
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from moving_portraits import RATE


def write_wide(file: Path, aspect: Fraction) -> None:
    """One frame of 64x48 pixels that are shown so many times as wide as high."""
    with av.open(str(file), "w") as container:
        stream = container.add_stream("libx264", rate=RATE)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.sample_aspect_ratio = aspect
        container.mux(stream.encode(av.VideoFrame(64, 48, "yuv420p")))
        container.mux(stream.encode(None))


def mien(*arguments: object, **options: object) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "mien", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, **options)  # type: ignore[call-overload, no-any-return]


def sound_of(file: Path) -> np.ndarray:
    """The samples of the first channel from -1 to 1, each where the time of its frame says."""
    with av.open(str(file)) as written:
        frames = [(frame.time, frame.sample_rate, frame.to_ndarray()[0]) for frame in written.decode(audio=0)]
    rate = frames[0][1]
    samples = np.zeros(max(round(time_s * rate) + len(part) for time_s, _, part in frames))
    for time_s, _, part in frames:
        first = round(time_s * rate)
        samples[max(0, first) : first + len(part)] = part[max(0, -first) :]
    return samples


def beeps(samples: np.ndarray, rate: int) -> list[float]:
    """When the tone begins, in seconds."""
    loud = np.abs(samples[: len(samples) // (rate // 100) * (rate // 100)]).reshape(-1, rate // 100).max(axis=1) > 0.1
    return [index / 100 for index in np.flatnonzero(loud & ~np.concatenate(([False], loud[:-1])))]


def read_rows(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8-sig") as stream:
        return list(csv.DictReader(stream))


def started(*arguments: object, **options: object) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "mien", *map(str, arguments)]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, **options)  # type: ignore[call-overload, no-any-return]

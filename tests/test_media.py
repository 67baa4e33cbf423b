"""Files that FFmpeg reads otherwise than one would think: transport streams, odd clocks, odd names; and cameras."""

import errno
import os
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

av = pytest.importorskip("av")
from clips import beeps, mien, read_rows, sound_of, write_wide  # noqa: E402
from moving_portraits import RATE, SOUND_RATE, write_clip  # noqa: E402

from mien.errors import VideoError  # noqa: E402
from mien.recognizer import Recognizer  # noqa: E402
from mien.video import media  # noqa: E402
from mien.video.frames import Clock, Video  # noqa: E402
from mien.video.writing import VideoFile  # noqa: E402

TS_BYTES = 188
SMALL: dict[str, Any] = {"people": 0, "size": (64, 48)}


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    return Recognizer(threads=1, detector="whole-image")


def frame_times(file: Path) -> list[float]:
    with av.open(str(file)) as container:
        return [frame.time for frame in container.decode(video=0)]


def test_lost_packets_of_sound_leave_the_pictures(tmp_path: Path) -> None:
    """A recording of a broadcast: some packets of AAC sound did not come."""
    file, out = tmp_path / "v.ts", tmp_path / "out.mp4"
    write_clip(file, 4.0, **SMALL)
    encoded = file.read_bytes()
    packets = [encoded[at : at + TS_BYTES] for at in range(0, len(encoded), TS_BYTES)]
    sound = [index for index, packet in enumerate(packets) if (packet[1] & 31) << 8 | packet[2] == 257]
    lost = set(sound[len(sound) // 2 : len(sound) // 2 + 5])
    file.write_bytes(b"".join(packet for index, packet in enumerate(packets) if index not in lost))
    result = mien("video", file, "--out", out, "--detector", "whole-image")
    assert result.returncode == 0, result.stderr
    assert len(frame_times(out)) == 4 * RATE
    assert {0.0, 1.0, 3.0} <= {round(each, 1) for each in beeps(sound_of(out), SOUND_RATE)}


@pytest.mark.parametrize("start_s", [0.0, 1.0, 3.5])
def test_a_stream_whose_times_begin_anew(tmp_path: Path, start_s: float) -> None:
    """Two recordings one after the other, as `cat` joins them."""
    file, out, rows = tmp_path / "v.ts", tmp_path / "out.mp4", tmp_path / "rows.csv"
    write_clip(file, 2.0, **SMALL)
    file.write_bytes(file.read_bytes() * 2)
    words = ("--start", start_s, "--detector", "whole-image")
    result = mien("video", file, "--out", out, "--csv", rows, *words)
    assert result.returncode == 0, result.stderr
    assert len(frame_times(out)) == pytest.approx((4 - start_s) * RATE, abs=1)
    assert float(read_rows(rows)[-1]["time_s"]) == pytest.approx(4 - 1 / RATE, abs=0.05)
    heard = [begin_s for begin_s in range(4) if begin_s >= start_s]
    found = [each for each in beeps(sound_of(out), SOUND_RATE) if each > 0.02]
    assert found[-1] == pytest.approx(heard[-1] - start_s, abs=0.1) if heard else not found


@pytest.mark.parametrize("sound", ["aac", "mp2"])
@pytest.mark.parametrize("suffix", [".mkv", ".ts"])
def test_sound_begins_where_the_pictures_do(tmp_path: Path, suffix: str, sound: str) -> None:
    file, out = tmp_path / f"v{suffix}", tmp_path / "out.mp4"
    write_clip(file, 3.0, sound, **SMALL)
    assert mien("video", file, "--out", out, "--start", 0.75, "--detector", "whole-image").returncode == 0
    assert beeps(sound_of(out), SOUND_RATE) == pytest.approx([0.25, 1.25], abs=0.06)


@pytest.mark.parametrize("sound", ["aac", "mp2"])
def test_a_gap_in_the_sound_stays_a_gap(tmp_path: Path, sound: str) -> None:
    file, out = tmp_path / "v.mkv", tmp_path / "out.mkv"
    write_clip(file, 3.0, sound, sound_gap_s=(0.9, 1.4), **SMALL)
    assert mien("video", file, "--out", out, "--detector", "whole-image").returncode == 0
    assert beeps(sound_of(out), SOUND_RATE)[-1] == pytest.approx(2.0, abs=0.06)


def test_without_times_frames_are_counted(tmp_path: Path, recognizer: Recognizer) -> None:
    write_clip(tmp_path / "v.h264", 2.0, None, **SMALL)
    times = [time_s for time_s, _ in Video(tmp_path / "v.h264", recognizer, start_s=1.0).images()]
    assert times == pytest.approx([index / RATE for index in range(25, 50)], abs=1e-6)


def test_a_clock_that_is_set_back_and_very_short_frames() -> None:
    def times(said: list[float | None], period_s: float = 0.04) -> list[float]:
        clock = Clock(0.0, period_s, 10.0)
        return [clock.following(each) for each in said]

    assert times([0.92, 0.96, 0, 0.04, 0.08]) == pytest.approx([0.92, 0.96, 0.960001, 1.000001, 1.040001], abs=1e-5)
    assert times([0, 0.04, 0.04, 0.04, 0.12]) == pytest.approx([0, 0.04, 0.04, 0.04, 0.12], abs=1e-5)
    assert times([0, 0.0005, 0.001], 0.0005) == pytest.approx([0, 0.0005, 0.001])


def test_going_on_leaves_no_hole(clip: Path, recognizer: Recognizer) -> None:
    """People are known from the first frame, as if reading had not been interrupted; smoothed scores are near."""
    whole = {round(frame.time_s, 3): frame for frame in Video(clip, recognizer)}
    later = list(Video(clip, recognizer, start_s=1.5))
    assert len(later[0].faces) == 1
    assert later[0].time_s == pytest.approx(1.52)
    assert later[0].number == 0
    for frame in later[:5]:
        for before, after in zip(whole[round(frame.time_s, 3)].faces, frame.faces, strict=True):
            assert before.face == after.face
            assert before.scores == pytest.approx(dict(after.scores), abs=0.12)


def test_names_with_colons(tmp_path: Path) -> None:
    write_clip(tmp_path / "10:30.mp4", 0.2, None, **SMALL)
    result = mien("video", "10:30.mp4", "--out", "10:31.mp4", "--detector", "whole-image", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert len(frame_times(tmp_path / "10:31.mp4")) == 5


@pytest.mark.skipif(os.name == "nt", reason="pipes")
def test_a_pipe_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert "found a pipe or device" in mien("video", tmp_path / "pipe").stderr


def test_a_file_that_says_only_how_long_its_sound_is(tmp_path: Path, recognizer: Recognizer) -> None:
    write_clip(tmp_path / "v.asf", 1.0, "mp2", sound_s=4.0, **SMALL)
    assert len(list(Video(tmp_path / "v.asf", recognizer).images())) > 20


def test_the_limit_is_for_the_pixels_that_are_shown(
    tmp_path: Path, recognizer: Recognizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "v.mkv"
    write_wide(file, Fraction(10))
    monkeypatch.setattr(media, "MAX_PIXELS", 10_000)
    with pytest.raises(VideoError, match="expected frames of 10000 pixels at most, found 640x48"):
        next(Video(file, recognizer).images())


def test_a_stream_that_begins_amid_the_file_is_left_out() -> None:
    """PyAV raises IndexError for its packets."""

    class Container:
        def __init__(self) -> None:
            self.left = [1, 2, None, 3]

        def demux(self, stream: Any) -> Iterator[Any]:
            while self.left:
                if (found := self.left.pop(0)) is None:
                    raise IndexError
                yield found

    assert list(media.packets(Container(), None)) == [1, 2, 3]  # type: ignore[arg-type]


def test_a_camera_without_a_new_frame_is_asked_again() -> None:
    """As FFmpeg's reader on macOS, which does not wait."""

    class Container:
        packets = 0

        def demux(self, stream: object) -> Iterator[SimpleNamespace]:
            while self.packets < 6:
                self.packets += 1
                if self.packets % 2:
                    raise av.BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")
                yield SimpleNamespace(decode=lambda: ["frame"])

    container: Any = Container()
    assert list(media.decode(container, container, patient=True)) == ["frame"] * 3
    with pytest.raises(av.BlockingIOError):
        list(media.packets(Container(), container, patient=False))  # type: ignore[arg-type]


def test_avi_with_reordered_frames(tmp_path: Path, recognizer: Recognizer) -> None:
    """AVI says when frames are decoded, which is not when they are shown."""
    file = tmp_path / "v.avi"
    write_clip(file, 2.0, None, **SMALL, video_options={"bf": "2", "x264-params": "scenecut=0"})
    for start_s in (0.0, 1.0):
        found = [time_s for time_s, _ in Video(file, recognizer, start_s=start_s).images()]
        assert found == pytest.approx([index / RATE for index in range(round(start_s * RATE), 2 * RATE)], abs=0.001)


@pytest.mark.parametrize("sound", ["ac3", "eac3"])
def test_sound_that_ends_before_the_start(tmp_path: Path, sound: str) -> None:
    file, out = tmp_path / "v.mkv", tmp_path / "out.mp4"
    write_clip(file, 3.0, sound, sound_s=1.0, sound_rate=48_000, **SMALL)
    assert mien("video", file, "--out", out, "--start", 2, "--detector", "whole-image").returncode == 0
    assert len(frame_times(out)) == RATE


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
@pytest.mark.parametrize(("sound_s", "gap_s", "start_s"), [(1.0, (0, 0), 2.0), (12.0, (2.0, 11.0), 0.0)])
def test_pictures_do_not_wait_in_memory_for_sound(
    tmp_path: Path, suffix: str, sound_s: float, gap_s: tuple[float, float], start_s: float
) -> None:
    """Sound that ended before the start, and one that pauses for nine seconds."""
    file, out = tmp_path / "v.mp4", tmp_path / f"out{suffix}"
    write_clip(file, 1.0, "aac", people=0, size=(96, 72), sound_s=sound_s, sound_gap_s=gap_s)
    copy = VideoFile(out, Fraction(RATE), str(file), start_s)
    noise = np.random.default_rng(0).integers(0, 256, (8, 72, 96, 3), np.uint8)
    sizes = []
    for index in range(8 * RATE):
        copy.write(start_s + index / RATE, noise[index % 8])
        sizes.append(out.stat().st_size)
    copy.close()
    second = out.stat().st_size / 8
    assert [sizes[end * RATE - 1] > (end - 3) * second for end in (4, 6, 8)] == [True] * 3


def test_matroska_that_begins_late_is_whole(tmp_path: Path, recognizer: Recognizer) -> None:
    """It says when it ends, not how long it is."""
    early, late = tmp_path / "early.mp4", tmp_path / "late.mkv"
    write_clip(early, 2.0, None, **SMALL)
    with av.open(str(early)) as source, av.open(str(late), "w") as copy:
        stream = copy.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                later = round(5 / packet.time_base)
                packet.pts, packet.dts = packet.pts + later, packet.dts + later
                packet.stream = stream
                copy.mux(packet)
    video = Video(late, recognizer)
    assert video.duration_s == pytest.approx(2.0, abs=0.1)
    assert len(list(video.images())) == 2 * RATE


def test_reading_up_to_the_start_can_be_stopped(tmp_path: Path, recognizer: Recognizer) -> None:
    """A transport stream has no index: all before the start is decoded."""
    file = tmp_path / "v.ts"
    write_clip(file, 4.0, None, **SMALL)
    asked: list[bool] = []

    def stop() -> bool:
        asked.append(True)
        return len(asked) > 10

    assert list(Video(file, recognizer, start_s=3.5, stop=stop)) == []
    assert len(asked) < 20

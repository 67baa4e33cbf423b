import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

av = pytest.importorskip("av")
from clips import beeps, mien, read_rows, sound_of, write_wide  # noqa: E402
from moving_portraits import RATE, SOUND_RATE, write_clip  # noqa: E402

from mien.errors import VideoError  # noqa: E402
from mien.recognizer import Recognizer  # noqa: E402
from mien.video.frames import Clock, Video  # noqa: E402


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    return Recognizer(threads=1)


def test_the_command_follows_two_people(clip: Path, tmp_path: Path) -> None:
    out, rows, picture = tmp_path / "a" / "out.mp4", tmp_path / "rows.csv", tmp_path / "t.png"
    result = mien("video", clip, "--out", out, "--csv", rows, "--timeline", picture, "--json", "--threads", 1)
    assert result.returncode == 0, result.stderr
    *frames, summary = map(json.loads, result.stdout.splitlines())
    assert [frame["frame"] for frame in frames] == list(range(75))
    assert frames[-1]["time_s"] == pytest.approx(74 / RATE, abs=0.001)
    people = {person["person"]: person for person in summary["people"]}
    assert sorted(people) == [1, 2]
    assert sorted(sum(person["seconds"].values()) > 2.3 for person in people.values()) == [False, True]  # one is hidden
    assert all(sum(person["seconds"].values()) > 1.5 for person in people.values())
    found = read_rows(rows)
    assert {row["person"] for row in found} == {"1", "2"}
    lefts = {
        number: {int(row["frame"]): float(row["x0"]) for row in found if row["person"] == number} for number in "12"
    }
    shifts = [series[max(series)] - series[min(series)] for series in lefts.values()]
    assert sorted(shift > 0 for shift in shifts) == [False, True]  # they crossed, each kept its number
    assert all(abs(shift) > 300 for shift in shifts)
    for series in lefts.values():
        assert all(abs(series[frame + 1] - x0) < 40 for frame, x0 in series.items() if frame + 1 in series)
    assert float(found[0]["happiness"]) != float(found[-1]["happiness"])
    with Image.open(picture) as drawn:
        assert drawn.size[0] > 1000
    with av.open(str(out)) as written:
        assert [stream.type for stream in written.streams] == ["video", "audio"]
        times = [frame.time for frame in written.decode(video=0)]
    assert times == pytest.approx([index / RATE for index in range(75)], abs=0.001)
    heard = sound_of(out)
    assert len(heard) / SOUND_RATE == pytest.approx(3, abs=0.05)
    spectrum = np.abs(np.fft.rfft(heard[: SOUND_RATE // 2]))
    assert spectrum.argmax() * 2 == pytest.approx(440, abs=4)
    assert beeps(heard, SOUND_RATE) == pytest.approx([0, 1, 2], abs=0.03)


def test_python_gives_frames_as_they_come(clip: Path, recognizer: Recognizer) -> None:
    video = Video(clip, recognizer, every=5)
    assert video.duration_s == pytest.approx(3, abs=0.1)
    frames = []
    for frame in video:
        frames.append(frame)
        if frame.number == 12:
            break
    assert frames[0].image.shape == (480, 640, 3)
    assert [len(frame.faces) for frame in frames] == [0] * 10 + [2] * 3  # confirmed by the third look
    first, second = (next(face for face in frame.faces if face.person == 1) for frame in (frames[10], frames[12]))
    assert first.face.box_xyxy != second.face.box_xyxy  # moved on between looks
    assert first.scores == second.scores


def test_start_and_true_timestamps(tmp_path: Path, recognizer: Recognizer) -> None:
    """A variable frame rate, as phones record."""
    times = [0.0, 0.04, 0.2, 0.24, 1.0, 1.5, 1.52, 2.0]
    write_clip(tmp_path / "v.mp4", 2.0, None, times, people=0, size=(64, 48))
    found = [time_s for time_s, _ in Video(tmp_path / "v.mp4", recognizer).images()]
    assert found == pytest.approx(times, abs=0.001)
    later = [time_s for time_s, _ in Video(tmp_path / "v.mp4", recognizer, start_s=0.9).images()]
    assert later == pytest.approx(times[4:], abs=0.001)
    out = tmp_path / "out.mp4"
    assert mien("video", tmp_path / "v.mp4", "--out", out, "--start", 0.9).returncode == 0
    with av.open(str(out)) as written:
        assert [frame.time for frame in written.decode(video=0)] == pytest.approx([0.1, 0.6, 0.62, 1.1], abs=0.001)


@pytest.mark.parametrize(
    ("matrix", "corner"),
    [
        ((0, 1, -1, 0), (0, -1)),  # a quarter turn clockwise
        ((-1, 0, 0, -1), (-1, -1)),
        ((0, -1, 1, 0), (-1, 0)),
        ((-1, 0, 0, 1), (0, -1)),  # mirrored, as by some front cameras
        ((1, 0, 0, -1), (-1, 0)),
        ((0, 1, 1, 0), (0, 0)),
        ((0, -1, -1, 0), (-1, -1)),
    ],
)
def test_turned_and_mirrored_videos_are_upright(
    tmp_path: Path, recognizer: Recognizer, matrix: tuple[int, int, int, int], corner: tuple[int, int]
) -> None:
    """A phone's video: the track's matrix tells players to turn or mirror it; the white corner was upper left."""
    pixels = np.zeros((48, 64, 3), np.uint8)
    pixels[:16, :16] = 255
    file = tmp_path / "t.mp4"
    with av.open(str(file), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"bf": "0"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for _ in range(3):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode(None))
    encoded = bytearray(file.read_bytes())
    a, b, c, d, one = ((each << 16).to_bytes(4, "big", signed=True) for each in (*matrix, 1))
    none, unit = bytes(4), (1 << 30).to_bytes(4, "big")
    at = encoded.index(b"tkhd") + 4 + 40  # after version, times, track, duration, layer, group, volume
    assert encoded[at : at + 4] == one
    encoded[at : at + 36] = b"".join((a, b, none, c, d, none, none, none, unit))
    file.write_bytes(encoded)
    _, image = next(iter(Video(file, recognizer).images()))
    assert image.shape == ((64, 48, 3) if matrix[1] else (48, 64, 3))
    rows, columns = (slice(0, 12) if place == 0 else slice(-12, None) for place in corner)
    assert image[rows, columns].mean() > 200
    assert image.mean() < 60


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "expected a video"), (b"no video at all" * 100, "expected a video"), (None, "expected a video")],
)
def test_what_is_no_video(tmp_path: Path, content: bytes | None, message: str) -> None:
    file = tmp_path / "x.mp4"
    if content is not None:
        file.write_bytes(content)
    result = mien("video", file, "--csv", tmp_path / "rows.csv")
    assert result.returncode == 2
    assert result.stderr.startswith(f"mien: {file}: {message}")
    assert len(result.stderr.splitlines()) == 1


def test_sound_alone_and_output_over_the_source(tmp_path: Path, clip: Path) -> None:
    with av.open(str(tmp_path / "s.m4a"), "w") as container:
        stream = container.add_stream("aac", rate=SOUND_RATE)
        frame = av.AudioFrame.from_ndarray(np.zeros((2, 1024), np.int16), format="s16p", layout="stereo")
        frame.sample_rate, frame.pts, frame.time_base = SOUND_RATE, 0, Fraction(1, SOUND_RATE)
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    assert "expected a video, found one without pictures" in mien("video", tmp_path / "s.m4a").stderr
    copy = tmp_path / "copy.mp4"
    copy.write_bytes(clip.read_bytes())
    assert "would replace it" in mien("video", copy, "--out", copy).stderr
    assert copy.read_bytes() == clip.read_bytes()


def test_damage_is_told_and_what_came_before_is_kept(clip: Path, tmp_path: Path) -> None:
    """The length of a frame's data is made impossible; frames that the decoder held back for reordering come too."""
    with av.open(str(clip)) as source:
        packets = [packet for packet in source.demux(video=0) if packet.dts is not None]
    encoded = bytearray(clip.read_bytes())
    encoded[packets[60].pos : packets[60].pos + 4] = b"\xff" * 4
    damaged = tmp_path / "damaged.mp4"
    damaged.write_bytes(encoded)
    rows, out = tmp_path / "rows.csv", tmp_path / "out.mkv"
    result = mien("video", damaged, "--csv", rows, "--out", out)
    assert result.returncode == 1
    assert f"mien: {damaged}: damaged after 2." in result.stderr
    assert "what came before is kept" in result.stderr
    found = read_rows(rows)
    assert {row["person"] for row in found} == {"1", "2"}
    assert max(int(row["frame"]) for row in found) >= 58
    with av.open(str(out)) as written:
        assert sum(1 for _ in written.decode(video=0)) >= 59


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_cut_off_video_is_told(tmp_path: Path, recognizer: Recognizer, suffix: str) -> None:
    file = tmp_path / f"cut{suffix}"
    options = {"movflags": "faststart"} if suffix == ".mp4" else {}
    write_clip(file, 4.0, None, people=1, size=(320, 240), container_options=options)
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    frames = []
    with pytest.raises(VideoError, match=r"ends after \d\.\d\d s; \d\.\d\d s are missing|damaged after"):
        frames.extend(Video(file, recognizer).images())
    assert 25 < len(frames) < 90


def test_no_frames_are_an_error(tmp_path: Path, recognizer: Recognizer) -> None:
    file = tmp_path / "v.mp4"
    write_clip(file, 1.0, None, people=0, size=(64, 48))
    with pytest.raises(VideoError, match=r"expected frames from 5\.00 s on, found none"):
        list(Video(file, recognizer, start_s=5).images())
    assert mien("video", file, "--start", "nan").returncode == 2


def test_start_in_a_transport_stream_with_far_keyframes(tmp_path: Path, recognizer: Recognizer) -> None:
    """Its index is poor: seeking lands behind what is wanted."""
    file = tmp_path / "v.ts"
    write_clip(file, 8.0, None, people=0, size=(64, 48), video_options={"g": "100", "bf": "0"})
    for start_s in (1.0, 5.0):
        times = [time_s for time_s, _ in Video(file, recognizer, start_s=start_s).images()]
        assert times[0] == pytest.approx(start_s, abs=0.05)
        assert len(times) == pytest.approx((8 - start_s) * RATE, abs=2)


def test_times_rise_whatever_a_file_says() -> None:
    def times(said: list[float | None], start_s: float = 0.0, stated_s: float | None = 10.0) -> list[float]:
        clock = Clock(start_s, 0.04, stated_s)
        return [clock.following(each) for each in said]

    assert times([0, 0.1, 0.1, 0.2]) == pytest.approx([0, 0.1, 0.100001, 0.2])  # said twice; then right again
    assert times([0, 0.04, None, 0.12]) == pytest.approx([0, 0.04, 0.08, 0.12])
    assert times([0, 0.04, 1000, 1000.04, 1000.5]) == pytest.approx([0, 0.04, 0.08, 0.12, 0.58])
    assert times([0, 0.04, 1e15, 0.12]) == pytest.approx([0, 0.04, 0.08, 0.12])
    assert times([5, 5.04, 0, 0.04]) == pytest.approx([5, 5.04, 5.08, 5.12])  # the clock was set back
    assert times([0, 30, 61], stated_s=None) == pytest.approx([0, 30, 61])
    assert times([None, None], start_s=3.0) == pytest.approx([0, 0.04])  # read from the beginning
    assert times([3.0, None], start_s=3.0) == pytest.approx([3.0, 3.04])


def test_pixels_that_are_not_square(tmp_path: Path, recognizer: Recognizer) -> None:
    file = tmp_path / "v.mp4"
    write_wide(file, Fraction(3, 2))
    _, image = next(iter(Video(file, recognizer).images()))
    assert image.shape == (48, 96, 3)


def test_wrong_arguments(clip: Path, recognizer: Recognizer) -> None:
    with pytest.raises(ValueError, match="every must be at least 1, not 0"):
        Video(clip, recognizer, every=0)
    for start_s in (-1, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="start_s must be a time from 0 on"):
            Video(clip, recognizer, start_s=start_s)
    with pytest.raises(VideoError, match="expected a video"):
        Video("nothing.mp4", recognizer)

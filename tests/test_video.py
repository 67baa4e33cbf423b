import csv
import json
import os
import signal
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

av = pytest.importorskip("av")
from clips import RATE, SOUND_RATE, write_clip  # noqa: E402

from mien.cli.live import bars, live_bars  # noqa: E402
from mien.cli.videos import camera_source  # noqa: E402
from mien.errors import VideoError  # noqa: E402
from mien.recognizer import Recognizer  # noqa: E402
from mien.results import Face  # noqa: E402
from mien.tracking import TrackedFace  # noqa: E402
from mien.video import Video  # noqa: E402


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("clips") / "clip.mp4"
    write_clip(file, 3.0)
    return file


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    return Recognizer(threads=1)


def mien(*arguments: object, **options: object) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "mien", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, **options)  # type: ignore[call-overload, no-any-return]


def read_rows(file: Path) -> list[dict[str, str]]:
    with file.open() as stream:
        return list(csv.DictReader(stream))


def test_the_command_follows_two_people(clip: Path, tmp_path: Path) -> None:
    out, rows, picture = tmp_path / "a" / "out.mp4", tmp_path / "rows.csv", tmp_path / "t.png"
    result = mien("video", clip, "--out", out, "--csv", rows, "--timeline", picture, "--json", "--threads", 1)
    assert result.returncode == 0, result.stderr
    *frames, summary = map(json.loads, result.stdout.splitlines())
    assert [frame["frame"] for frame in frames] == list(range(75))
    assert frames[-1]["time_s"] == pytest.approx(74 / RATE, abs=0.001)
    people = {person["person"]: person for person in summary["people"]}
    assert sorted(people) == [1, 2]
    assert all(sum(person["seconds"].values()) > 2.3 for person in people.values())
    found = read_rows(rows)
    assert {row["person"] for row in found} == {"1", "2"}
    lefts = {number: [float(row["x0"]) for row in found if row["person"] == number] for number in ("1", "2")}
    goes_right = [series[-1] > series[0] for series in lefts.values()]
    assert sorted(goes_right) == [False, True]  # they crossed, each kept its number
    assert all(abs(np.diff(series)).max() < 40 for series in lefts.values())
    assert float(found[0]["happiness"]) != float(found[-1]["happiness"])
    with Image.open(picture) as drawn:
        assert drawn.size[0] > 1000
    with av.open(str(out)) as written:
        assert [stream.type for stream in written.streams] == ["video", "audio"]
        times = [frame.time for frame in written.decode(video=0)]
    assert times == pytest.approx([index / RATE for index in range(75)], abs=0.001)
    with av.open(str(out)) as written:
        heard = np.concatenate([frame.to_ndarray()[0] for frame in written.decode(audio=0)])
    assert len(heard) / SOUND_RATE == pytest.approx(3, abs=0.1)
    spectrum = np.abs(np.fft.rfft(heard))
    assert spectrum.argmax() * SOUND_RATE / len(heard) == pytest.approx(440, abs=2)


def test_python_gives_frames_as_they_come(clip: Path, recognizer: Recognizer) -> None:
    video = Video(clip, recognizer, every=5)
    assert video.duration_s == pytest.approx(3, abs=0.1)
    frames = []
    for frame in video:
        frames.append(frame)
        if frame.number == 12:
            break
    assert frames[0].image.shape == (480, 640, 3)
    assert [len(frame.faces) for frame in frames] == [0] * 5 + [2] * 8  # confirmed by the second look
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


@pytest.mark.parametrize(("degrees", "corner"), [(90, (0, -1)), (180, (-1, -1)), (270, (-1, 0))])
def test_turned_videos_are_upright(
    tmp_path: Path, recognizer: Recognizer, degrees: int, corner: tuple[int, int]
) -> None:
    """A phone's video: the track's matrix tells players to turn it clockwise; the white corner was upper left."""
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
    one, minus = (1 << 16).to_bytes(4, "big"), (-(1 << 16)).to_bytes(4, "big", signed=True)
    none, unit = bytes(4), (1 << 30).to_bytes(4, "big")
    a, b, c, d = {90: (none, one, minus, none), 180: (minus, none, none, minus), 270: (none, minus, one, none)}[degrees]
    at = encoded.index(b"tkhd") + 4 + 40  # after version, times, track, duration, layer, group, volume
    assert encoded[at : at + 4] == one
    encoded[at : at + 36] = b"".join((a, b, none, c, d, none, none, none, unit))
    file.write_bytes(encoded)
    _, image = next(iter(Video(file, recognizer).images()))
    assert image.shape == ((48, 64, 3) if degrees == 180 else (64, 48, 3))
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
    """A matroska file, which needs no index, cut in the middle of a frame and with noise behind."""
    whole = tmp_path / "whole.mkv"
    with av.open(str(clip)) as source, av.open(str(whole), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(source.streams.video[0]):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    encoded = whole.read_bytes()
    damaged = tmp_path / "damaged.mkv"
    half = len(encoded) // 2
    damaged.write_bytes(encoded[:half] + np.random.default_rng(0).bytes(half))
    rows = tmp_path / "rows.csv"
    result = mien("video", damaged, "--csv", rows)
    assert result.returncode in (0, 1)
    found = read_rows(rows)
    assert len(found) > 20
    assert {row["person"] for row in found} == {"1", "2"}
    if result.returncode:
        assert "damaged after" in result.stderr
        assert "what came before is kept" in result.stderr


def test_interrupted_files_are_whole(clip: Path, tmp_path: Path) -> None:
    rows, out = tmp_path / "rows.csv", tmp_path / "out.mp4"
    command = [sys.executable, "-m", "mien", "video", str(clip), "--csv", str(rows), "--out", str(out), "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout
    for _ in range(20):
        process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted; what came before is kept, go on with --start" in errors
    last = max(int(row["frame"]) for row in read_rows(rows))
    with av.open(str(out)) as written:
        assert abs(sum(1 for _ in written.decode(video=0)) - 1 - last) <= 1


@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_killed_rows_are_readable(clip: Path, tmp_path: Path) -> None:
    rows = tmp_path / "rows.csv"
    process = subprocess.Popen([sys.executable, "-m", "mien", "video", str(clip), "--csv", str(rows)])
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and (not rows.exists() or len(rows.read_bytes()) < 3000):
        time.sleep(0.02)
    process.kill()
    process.wait()
    *whole, _ = read_rows(rows)
    assert whole
    assert all(None not in row.values() for row in whole)


def test_no_camera_is_a_clear_error() -> None:
    result = mien("camera", "--device", "/dev/none", "--seconds", 1)
    assert result.returncode == 2
    assert result.stderr.startswith("mien: camera /dev/none: expected a camera, found none")
    assert "see --device" in result.stderr
    assert camera_source("1", "linux") == ("/dev/video1", "v4l2")
    assert camera_source("1", "darwin") == ("1", "avfoundation")
    assert camera_source("Integrated Camera", "win32") == ("video=Integrated Camera", "dshow")


def test_a_camera_ends_after_its_seconds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """FFmpeg's endless test picture in place of a camera."""
    from typer.testing import CliRunner

    from mien.cli import app

    monkeypatch.setattr("mien.cli.videos.camera_source", lambda device, platform: ("testsrc=size=160x120", "lavfi"))
    rows = tmp_path / "rows.csv"
    started = time.monotonic()
    result = CliRunner().invoke(app, ["camera", "--seconds", "0.5", "--csv", str(rows)])
    assert result.exit_code == 0, result.output
    assert time.monotonic() - started < 20
    assert "no faces" in result.output
    assert rows.read_text().startswith("time_s,frame,person")


def test_bars_and_changes(capsys: pytest.CaptureFixture[str]) -> None:
    happy, calm = (
        TrackedFace(1, Face((0, 0, 1, 1), 1, scores), True, scores)
        for scores in ({"happiness": 0.8, "neutral": 0.2}, {"happiness": 0.1, "neutral": 0.9})
    )
    text = bars([happy]).splitlines()
    assert text[0] == "person 1"
    assert text[1].startswith("  happiness") and text[1].count("█") == 24  # noqa: PT018
    assert bars([]) == "no face"
    with live_bars() as show:
        for face in (happy, happy, calm):
            show([face])
    assert capsys.readouterr().err == "person 1: happiness\nperson 1: neutral\n"


def test_wrong_arguments(clip: Path, recognizer: Recognizer) -> None:
    with pytest.raises(ValueError, match="every must be at least 1, not 0"):
        Video(clip, recognizer, every=0)
    with pytest.raises(ValueError, match="start_s must not be negative, not -1"):
        Video(clip, recognizer, start_s=-1)
    with pytest.raises(VideoError, match="expected a video"):
        Video("nothing.mp4", recognizer)

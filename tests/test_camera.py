import io
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

av = pytest.importorskip("av")
from clips import mien  # noqa: E402

from mien.cli.live import bars, live_bars  # noqa: E402
from mien.errors import VideoError  # noqa: E402
from mien.preprocessing import ImageArray  # noqa: E402
from mien.results import Face  # noqa: E402
from mien.video.camera import camera_source  # noqa: E402
from mien.video.live import newest  # noqa: E402
from mien.video.tracking import TrackedFace  # noqa: E402


def test_no_camera_is_a_clear_error() -> None:
    result = mien("camera", "--device", "/dev/none", "--seconds", 1)
    assert result.returncode == 2
    assert result.stderr.startswith("mien: camera /dev/none: expected a camera, found none")
    assert "see --device" in result.stderr
    assert camera_source("1", "linux") == ("/dev/video1", "v4l2")
    assert camera_source("1", "darwin") == ("1", "avfoundation")
    assert camera_source("Integrated Camera", "win32") == ("video=Integrated Camera", "dshow")


def test_cameras_have_numbers_on_windows_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """As DirectShow lists them, microphones among them."""
    found = [("Microphone", ["audio"]), ("Front", ["video"]), ("Rear", ["video"])]
    devices = [SimpleNamespace(name="@device", description=name, media_types=types) for name, types in found]
    monkeypatch.setattr(av, "enumerate_input_devices", lambda form: devices, raising=False)
    assert camera_source("0", "win32") == ("video=Front", "dshow")
    with pytest.raises(VideoError, match=r"camera 2: expected one of 2 cameras \(Front, Rear\)"):
        camera_source("2", "win32")


def test_a_slow_reader_of_a_camera_gets_the_newest_frames() -> None:
    """A camera whose frames wait, 25 a second; reading one takes 0.2 s, as long as five frames."""
    began_s = time.monotonic()

    def camera() -> Iterator[tuple[float, ImageArray]]:
        for number in range(50):
            time.sleep(max(0.0, began_s + number / 25 - time.monotonic()))
            yield number / 25, np.zeros((1, 1, 3), np.uint8)

    ages = []
    for time_s, _ in newest(camera()):
        ages.append(time.monotonic() - began_s - time_s)
        time.sleep(0.2)
    assert 5 < len(ages) < 25
    assert max(ages) < 0.3


def test_waiting_for_a_silent_camera_can_end() -> None:
    silent = threading.Event()

    def camera() -> Iterator[tuple[float, ImageArray]]:
        yield 0.0, np.zeros((1, 1, 3), np.uint8)
        silent.wait(60)

    began_s = time.monotonic()
    given = list(newest(camera(), lambda: time.monotonic() - began_s > 0.5))
    silent.set()
    assert len(given) == 1
    assert time.monotonic() - began_s < 10


@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_a_camera_that_hangs_while_it_is_opened_can_be_left(tmp_path: Path) -> None:
    """A pipe that nobody fills in place of a camera; Ctrl-C ends it in order."""
    os.mkfifo(tmp_path / "silent")
    code = (
        "import sys, mien.video.camera; mien.video.camera.camera_source = lambda device, platform: (device, 'h264');"
        "from mien.cli import main; main()"
    )
    process = subprocess.Popen([sys.executable, "-c", code, "camera", "--device", str(tmp_path / "silent")])
    writer = os.open(tmp_path / "silent", os.O_WRONLY)  # waits until the camera is being opened
    process.send_signal(signal.SIGINT)
    try:
        assert process.wait(timeout=20) == 0
    finally:
        process.kill()
        os.close(writer)


def test_a_camera_left_before_its_first_frame_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    from mien.video.frames import Video

    asked: list[bool] = []

    def stop() -> bool:
        asked.append(True)
        return True

    assert list(Video("color=gray:size=160x120", form="lavfi", stop=stop, live=True)) == []
    assert asked


def test_what_a_camera_gives_last_comes_before_its_failure() -> None:
    def camera() -> Iterator[tuple[float, ImageArray]]:
        yield 0.0, np.zeros((1, 1, 3), np.uint8)
        raise VideoError("unplugged")

    images = newest(camera())
    assert next(images)[0] == 0
    with pytest.raises(VideoError, match="unplugged"):
        next(images)


def test_a_camera_ends_after_its_seconds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An endless grey picture in place of a camera."""
    from click.testing import CliRunner

    from mien.cli import app

    monkeypatch.setattr(
        "mien.video.camera.camera_source", lambda device, platform: ("color=gray:size=160x120", "lavfi")
    )
    rows = tmp_path / "rows.csv"
    started = time.monotonic()
    result = CliRunner().invoke(app, ["camera", "--seconds", "0.5", "--csv", str(rows)])
    assert result.exit_code == 0, result.output
    assert time.monotonic() - started < 20
    assert "no faces" in result.output
    assert rows.read_text(encoding="utf-8-sig").startswith("time_s,frame,person")


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


def test_bars_are_drawn_over_the_last_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setattr("mien.cli.live.REDRAWN_AFTER_S", 0)
    monkeypatch.setattr("shutil.get_terminal_size", lambda: os.terminal_size((20, 3)))
    scores = {"happiness": 0.8, "neutral": 0.15, "fear": 0.05}
    person = TrackedFace(1, Face((0, 0, 1, 1), 1, scores), True, scores)
    with live_bars() as show:
        show([])
        show([person])
    first, second, last = terminal.getvalue().split("\x1b[J")[1:]
    assert first == "no face\n\x1b[1A\r"
    assert second == f"person 1\n  happiness  {'█' * 6}\n\x1b[2A\r"  # as much as the terminal shows
    assert last == ""


def test_a_camera_beside_videos(monkeypatch: pytest.MonkeyPatch) -> None:
    from mien import Camera

    with pytest.raises(VideoError, match=r"^camera 97: expected a camera, found none"):
        Camera(97)
    monkeypatch.setattr(
        "mien.video.camera.camera_source", lambda device, platform: ("color=gray:size=160x120", "lavfi")
    )
    frame = next(iter(Camera(0)))
    assert frame.image.shape == (120, 160, 3)
    assert frame.faces == ()


def test_a_file_with_its_format_loses_no_frame_and_hides_no_damage(tmp_path: Path) -> None:
    from mien import Recognizer, Video

    file = tmp_path / "clip.mp4"
    with av.open(str(file), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for _ in range(60):
            container.mux(stream.encode(av.VideoFrame(64, 48, "yuv420p")))
        container.mux(stream.encode(None))
    crops = Recognizer(detector="whole-image")
    frames = []
    for frame in Video(file, crops, form="mp4"):
        frames.append(frame.number)
        time.sleep(0.005)
    assert frames == list(range(60))
    with av.open(str(file)) as source:
        packets = [packet for packet in source.demux(video=0) if packet.dts is not None]
    encoded = bytearray(file.read_bytes())
    encoded[packets[30].pos : packets[30].pos + 4] = b"\xff" * 4  # the length of a frame's data
    file.write_bytes(encoded)
    for form in (None, "mp4"):
        with pytest.raises(VideoError, match=r"damaged after 1\."):
            list(Video(file, crops, form=form))

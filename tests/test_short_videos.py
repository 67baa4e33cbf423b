"""Videos with few looks, rows of frames without faces, and live streams."""

import functools
import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

av = pytest.importorskip("av")
from clips import mien, read_rows  # noqa: E402
from moving_portraits import write_clip  # noqa: E402

from mien.cli.outputs import frame_record  # noqa: E402
from mien.detection.face_finder import FaceFinder  # noqa: E402
from mien.errors import VideoError  # noqa: E402
from mien.recognizer import Recognizer  # noqa: E402
from mien.results import Face  # noqa: E402
from mien.video.frames import Video  # noqa: E402
from mien.video.tracking import TrackedFace, TrackingOptions  # noqa: E402

SMALL = ("--longest-px", 224)


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    return Recognizer(detector=FaceFinder(longest_px=224), threads=1)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a transport stream of 2 s on a server of this machine."""
    stream = tmp_path_factory.mktemp("served") / "live.ts"
    write_clip(stream, 2.0, None, people=1)
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(stream.parent))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/{stream.name}"
        server.shutdown()


@pytest.mark.parametrize(
    ("seconds", "period_s", "looks", "confirmed_s"),
    [
        (60, 0.04, 3, 0.2),
        (0.6, 0.04, 3, 0.15),
        (0.4, 0.04, 2, 0.1),
        (0.04, 0.04, 1, 0),
        (2, 1, 1, 0),  # --every 25
        (8, 1, 2, 0.2),
        (30, 1, 3, 0.2),
        (0, 0.04, 1, 0),
    ],
)
def test_faces_are_confirmed_in_a_quarter_of_a_video(
    seconds: float, period_s: float, looks: int, confirmed_s: float
) -> None:
    options = TrackingOptions().within(seconds, period_s)
    assert (options.confirmed_looks, options.confirmed_s) == (looks, pytest.approx(confirmed_s))


def test_confirmed_looks_are_at_least_one() -> None:
    with pytest.raises(ValueError, match="confirmed_looks must be at least 1, not 0"):
        TrackingOptions(confirmed_looks=0)


@pytest.mark.parametrize(("seconds", "every"), [(0.04, 1), (0.2, 1), (2.0, 25)])
def test_faces_of_short_videos_are_somebody(tmp_path: Path, recognizer: Recognizer, seconds: float, every: int) -> None:
    write_clip(tmp_path / "v.mp4", seconds, None, people=1)
    frames = list(Video(tmp_path / "v.mp4", recognizer, every))
    assert [len(frame.faces) for frame in frames] == [1] * len(frames)


def test_confirm_seconds_and_rows_for_all_frames(tmp_path: Path) -> None:
    write_clip(tmp_path / "v.mp4", 1.0, None, people=1)
    rows = {}
    for seconds in (0, 0.2):
        file = tmp_path / f"{seconds}.csv"
        done = mien("video", tmp_path / "v.mp4", "--csv", file, "--all-frames", "--confirm-seconds", seconds, *SMALL)
        assert done.returncode == 0, done.stderr
        rows[seconds] = read_rows(file)
    for found in rows.values():
        assert [int(row["frame"]) for row in found] == list(range(25))
        assert float(found[-1]["time_s"]) == pytest.approx(0.96)
    assert [bool(row["person"]) for row in rows[0]] == [True] * 25
    assert [bool(row["person"]) for row in rows[0.2]] == [False] * 5 + [True] * 20
    assert {value for name, value in rows[0.2][0].items() if name not in ("time_s", "frame")} == {""}


def test_between_looks_there_is_no_detection_score() -> None:
    face = Face((0, 0, 10, 10), 0.9, {"happiness": 0.5, "neutral": 0.5})
    looked, moved = (TrackedFace(1, face, looked, face.scores) for looked in (True, False))
    first, second = frame_record(3, 0.12, [looked, moved])["faces"]
    assert first["detection_score"] == 0.9
    assert second["detection_score"] is None
    assert second["raw_scores"] is None
    assert json.loads(json.dumps(second)) == second


def test_a_live_stream(served: str, recognizer: Recognizer) -> None:
    video = Video(served, recognizer, live=True)
    frames = list(video)
    assert frames[-1].time_s > 1.8
    assert len(frames) < 50  # those that came while one was looked at are left out
    with pytest.raises(VideoError, match=r"expected a video file, found an address; live=True \(--stream\) reads it"):
        Video(served, recognizer)


def test_streams_by_the_command(served: str, clip: Path, tmp_path: Path) -> None:
    done = mien("video", served, "--stream", "--csv", tmp_path / "rows.csv", "--confirm-seconds", 0)
    assert done.returncode == 0, done.stderr
    assert "person 1" in done.stdout
    assert read_rows(tmp_path / "rows.csv")
    for source, options, told in (
        ("rtsp://127.0.0.1:9/camera", (), "rtsp://127.0.0.1:9/camera: expected a video file, found an address"),
        ("rtsp://127.0.0.1:9/camera", ("--stream",), "rtsp://127.0.0.1:9/camera: expected a video, found none"),
        (clip, ("--stream",), f"{clip}: expected the address of a live stream, found a file"),
        (served, ("--stream", "--start", 1), "expected --start or --stream, found both"),
    ):
        done = mien("video", source, *options)
        assert done.returncode == 2
        assert told in done.stderr
        assert "Traceback" not in done.stderr

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

av = pytest.importorskip("av")
from clips import beeps, mien, read_rows, sound_of, started  # noqa: E402
from moving_portraits import RATE, SOUND_RATE, write_clip  # noqa: E402

from mien.cli.outputs import PersonRows  # noqa: E402
from mien.results import Face  # noqa: E402
from mien.video.tracking import TrackedFace  # noqa: E402


@pytest.mark.parametrize(
    ("suffix", "sound", "rate", "written"),
    [(".mkv", "libmp3lame", 44_100, "mp3"), (".mkv", "pcm_s16le", 192_000, "aac"), (".mkv", "mp2", 44_100, "aac")],
)
def test_sound_of_other_kinds_and_longer_than_the_pictures(
    tmp_path: Path, suffix: str, sound: str, rate: int, written: str
) -> None:
    file, out = tmp_path / f"v{suffix}", tmp_path / "out.mp4"
    write_clip(file, 1.0, sound, people=0, size=(64, 48), sound_s=3.0, sound_rate=rate)
    result = mien("video", file, "--out", out, "--detector", "whole-image")
    assert (result.returncode, result.stderr) == (0, "")
    with av.open(str(out)) as container:
        assert container.streams.audio[0].codec_context.codec.canonical_name == written
        rate = container.streams.audio[0].rate
    assert beeps(sound_of(out), rate) == pytest.approx([0, 1, 2], abs=0.06)


def test_damaged_sound_leaves_the_rest(tmp_path: Path) -> None:
    file, out = tmp_path / "v.mkv", tmp_path / "out.mp4"
    write_clip(file, 3.0, "mp2", people=0, size=(64, 48))
    with av.open(str(file)) as source:
        packets = [packet for packet in source.demux(audio=0) if packet.dts is not None]
    encoded = bytearray(file.read_bytes())
    at = encoded.index(bytes(packets[40]))
    encoded[at : at + 4] = bytes(4)
    file.write_bytes(encoded)
    result = mien("video", file, "--out", out, "--detector", "whole-image")
    assert result.returncode == 0, result.stderr
    assert "1 parts of the sound could not be read" in result.stderr
    assert {0, 1, 2} <= {round(each, 1) for each in beeps(sound_of(out), SOUND_RATE)}


def test_outputs_that_cannot_be_written(clip: Path, tmp_path: Path) -> None:
    (tmp_path / "folder.mp4").mkdir()
    for target, message in (
        ("out.webm", "expected a name that ends in .mp4"),
        ("folder.mp4", "expected a video to write for --out, found a folder"),
    ):
        result = mien("video", clip, "--out", tmp_path / target)
        assert result.returncode == 2
        assert result.stderr.startswith(f"mien: {tmp_path / target}: {message}")
    result = mien("video", clip, "--csv", tmp_path / "x", "--timeline", tmp_path / "x")
    assert "expected another file for each output" in result.stderr
    result = mien("video", clip, "--timeline", tmp_path)
    assert f"mien: {tmp_path}: expected a PNG file to write for --timeline, found a folder" in result.stderr
    nothing = mien("video", clip, "--out", tmp_path / "none.mp4", "--start", 9)
    assert nothing.stderr == f"mien: {clip}: expected frames from 9.00 s on, found none\n"
    assert not (tmp_path / "none.mp4").exists()
    picture = tmp_path / "timeline"  # without a suffix it is a PNG all the same
    assert mien("video", clip, "--timeline", picture, "--start", 2.9).returncode == 0
    with Image.open(picture) as drawn:
        assert drawn.format == "PNG"


@pytest.mark.skipif(os.name == "nt", reason="signals")
@pytest.mark.parametrize(("number", "after"), [(signal.SIGINT, 1), (signal.SIGINT, 33), (signal.SIGTERM, 20)])
def test_interrupted_files_are_whole(clip: Path, tmp_path: Path, number: int, after: int) -> None:
    rows, out, picture = tmp_path / "rows.csv", tmp_path / "out.mp4", tmp_path / "t.png"
    words = ("--detector", "whole-image", "--json")
    process = started("video", clip, "--csv", rows, "--out", out, "--timeline", picture, *words, stdout=subprocess.PIPE)
    for _ in range(after):
        process.stdout.readline()
    process.send_signal(number)
    lines, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    found = re.search(r"interrupted; what came before is kept, go on with --start (\d+\.\d+)", errors)
    assert found
    *frames, summary = map(json.loads, lines.splitlines())
    last = frames[-1]["frame"] if frames else after - 1
    assert "people" in summary
    assert float(found[1]) == pytest.approx(last / RATE, abs=0.002)
    assert max((int(row["frame"]) for row in read_rows(rows)), default=last) == last
    assert picture.exists()
    with av.open(str(out)) as written:
        assert sum(1 for _ in written.decode(video=0)) - 1 == last
    assert len(sound_of(out)) / SOUND_RATE == pytest.approx((last + 1) / RATE, abs=0.06)
    going_on = tmp_path / "later.csv"
    assert mien("video", clip, "--csv", going_on, "--start", found[1], *words).returncode == 0
    assert max(float(row["time_s"]) for row in read_rows(going_on)) == pytest.approx(74 / RATE, abs=0.002)


@pytest.fixture(scope="module")
def long_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("long") / "v.mp4"
    write_clip(file, 20.0, people=0, size=(96, 72))
    return file


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="signals")
@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_killed_rows_and_video_are_readable(long_clip: Path, tmp_path: Path, suffix: str) -> None:
    rows, out = tmp_path / "rows.csv", tmp_path / f"out{suffix}"
    process = started(
        "video", long_clip, "--csv", rows, "--out", out, "--detector", "whole-image", "--json", stdout=subprocess.PIPE
    )
    for _ in range(400):
        process.stdout.readline()
    process.kill()
    process.communicate()
    *whole, _ = read_rows(rows)
    assert len(whole) > 380
    assert all(None not in row.values() for row in whole)
    with av.open(str(out)) as written:
        times = [frame.time for frame in written.decode(video=0)]
    assert times[0] == pytest.approx(0, abs=0.001)
    assert len(times) > 400 - 3 * RATE


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_amid_the_rows_of_a_frame_is_told_with_the_name() -> None:
    rows = PersonRows(Path("/dev/full"), ["happiness"])
    crowd = [
        TrackedFace(number, Face((0, 0, 9, 9), 0.9, {"happiness": 1.0}), True, {"happiness": 1.0})
        for number in range(400)
    ]
    with pytest.raises(OSError, match="No space") as error:
        rows.write(0, 0.0, crowd)
    assert error.value.filename == "/dev/full"
    with contextlib.suppress(OSError):  # what is left in its buffer
        rows.close()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_told_with_the_name_and_how_to_go_on(clip: Path, tmp_path: Path) -> None:
    picture = tmp_path / "t.png"
    result = mien("video", clip, "--csv", "/dev/full", "--timeline", picture, "--out", tmp_path / "out.mp4")
    assert result.returncode == 1
    told = "mien: /dev/full: No space left on device; what came before is kept, go on with --start "
    assert result.stderr.startswith(told)
    assert picture.stat().st_size


@pytest.mark.skipif(os.name == "nt", reason="limits")
def test_a_full_disk_for_the_copy_is_told_likewise(tmp_path: Path) -> None:
    file, out = tmp_path / "v.mp4", tmp_path / "out.mp4"
    write_clip(file, 6.0, people=0, size=(96, 72))
    words = f"{sys.executable} -m mien video {file} --out {out} --detector whole-image"
    result = subprocess.run(["bash", "-c", f"ulimit -f 40; {words}"], capture_output=True, text=True, timeout=120)
    assert result.returncode == 1
    assert "expected to write a video: File too large; what came before is kept, go on with --start" in result.stderr


@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_a_reader_that_is_gone_before_the_summary(clip: Path, tmp_path: Path) -> None:
    picture = tmp_path / "t.png"
    with started("video", clip, "--timeline", picture, "--detector", "whole-image", stdout=subprocess.PIPE) as process:
        process.stdout.close()
        errors = process.stderr.read()
    assert process.returncode == 1
    assert errors == "mien: standard output: Broken pipe\n"
    with Image.open(picture) as drawn:
        assert drawn.size[0] > 1000


@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_a_reader_of_lines_that_stops_leaves_whole_files(clip: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.mp4"
    with started("video", clip, "--json", "--out", out, stdout=subprocess.PIPE) as process:
        for _ in range(20):
            process.stdout.readline()
        process.stdout.close()
        errors = process.stderr.read()
    assert process.returncode == 1
    assert errors.startswith("mien: standard output: Broken pipe; what came before is kept, go on with --start ")
    with av.open(str(out)) as written:
        assert sum(1 for _ in written.decode(video=0)) >= 20


def test_options_reach_the_tracker(clip: Path, tmp_path: Path) -> None:
    rows = tmp_path / "rows.csv"
    assert mien("video", clip, "--csv", rows, "--every", 5, "--half-life", 0).returncode == 0
    found = read_rows(rows)
    looked = [row for row in found if row["detection_score"]]
    assert {int(row["frame"]) % 5 for row in looked} == {0}
    assert len(looked) < len(found) / 4
    assert all(row["happiness"] == row["raw happiness"] for row in looked)  # no smoothing


@pytest.mark.slow
def test_damaged_files_by_the_dozen() -> None:
    """A small part of scripts/fuzz-video, with its rules."""
    script = Path(__file__).parents[1] / "scripts" / "fuzz-video"
    done = subprocess.run([sys.executable, script, "12", "3", "0"], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("12 files: ")

"""`mien predict` over many pictures: processes, interruptions, going on, summaries."""

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from PIL import Image

import mien.cli.pictures
from mien.cli import app, main
from mien.cli.picture_rows import CsvFile
from mien.cli.pictures import Job, Outcome
from mien.errors import OutputError
from mien.images import is_still_picture
from mien.signature import is_signed


@pytest.fixture
def holiday(tmp_path: Path, examples: Path) -> Path:
    """Nine crops, two of the same name and one damaged."""
    portrait = Image.open(examples / "grace-hopper.jpg").resize((60, 60))
    for number in range(7):
        file = tmp_path / "holiday" / f"{number}" / ("x.png" if number < 2 else f"{number}.png")
        file.parent.mkdir(parents=True)
        portrait.rotate(3 * number).save(file)
    (tmp_path / "holiday" / "damaged.jpg").write_bytes(b"rubbish")
    return tmp_path / "holiday"


def predict(*arguments: object) -> Result:
    whole = ["predict", *map(str, arguments), "--detector", "whole-image"]
    return CliRunner().invoke(app, whole)


def test_processes_give_what_one_gives(holiday: Path, tmp_path: Path) -> None:
    results = []
    for name, more in (("one", ()), ("two", ("--workers", 2))):
        out, table = tmp_path / f"{name}-copies", tmp_path / f"{name}.csv"
        result = predict(holiday, "--json", "--csv", table, "--out", out, *more)
        assert result.exit_code == 1  # one is damaged
        assert "8 pictures, 7 faces, 1 error, " in result.stderr
        copies = {str(file.relative_to(out)): file.read_bytes() for file in out.rglob("*.*")}
        assert len(copies) == 7
        results.append((result.stdout, table.read_bytes(), copies))
    assert results[0] == results[1]
    sources = [json.loads(line)["source"] for line in results[1][0].splitlines()]
    assert sources == sorted(sources)


def test_a_process_that_is_killed_is_told(holiday: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mien.cli.pictures, "_start", _end_at_once)
    result = predict(holiday, "--workers", 2, "--csv", tmp_path / "faces.csv")
    assert "was ended from outside" in str(result.exception)
    assert "stopped after 0 of 8 pictures; their rows are kept in" in result.stderr


def _end_at_once(*arguments: object) -> None:
    os._exit(9)


def test_going_on_gives_the_rows_of_an_undisturbed_run(
    holiday: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, table = tmp_path / "whole.csv", tmp_path / "faces.csv"
    assert predict(holiday, "--csv", whole).exit_code == 1
    seen: list[str] = []
    read = mien.cli.pictures.Reader.__call__

    def noted(self: mien.cli.pictures.Reader, job: Job) -> Outcome:
        seen.append(job.source.name)
        return read(self, job)

    monkeypatch.setattr(mien.cli.pictures.Reader, "__call__", noted)
    for kept_bytes in (0, 2, 40, 400, 700, len(whole.read_bytes()) - 3, len(whole.read_bytes())):
        table.write_bytes(whole.read_bytes()[:kept_bytes])
        seen.clear()
        result = predict(holiday, "--csv", table, "--resume")
        if kept_bytes in (2, 40):  # not even the header is whole
            assert isinstance(result.exception, OutputError)
            continue
        assert result.exit_code == 1, result.output  # as of the undisturbed one
        assert table.read_bytes() == whole.read_bytes()
        assert len(seen) == 8 or kept_bytes > 0
    assert len(seen) == 1  # the last picture again, whose rows need not be whole
    assert "has the rows of 7 pictures, which are left out" in result.stderr


def test_what_cannot_go_on(holiday: Path, tmp_path: Path) -> None:
    table = tmp_path / "faces.csv"
    assert "expected --csv" in str(predict(holiday, "--resume").exception)
    assert "no picture from standard input" in str(predict("-", "--csv", table, "--resume").exception)
    CsvFile(table, ("joy", "grief")).close()
    message = str(predict(holiday, "--csv", table, "--resume").exception)
    assert re.search(r"faces.csv: expected rows of source, width.*, found source, width.*joy, grief", message)
    result = predict(holiday / "6", "--csv", tmp_path / "new.csv", "--resume")
    assert "new.csv: no rows yet, starting with the first picture" in result.stderr
    assert result.exit_code == 0


def test_many_faces_of_a_picture_are_whole_or_not_there(tmp_path: Path) -> None:
    """Rows of two pictures of three faces, cut off anywhere."""
    face = {"box_xyxy": [0, 0, 9, 9], "detection_score": 1, "expression": "joy", "scores": {"joy": 1}}
    face |= {"unsure": False, "mouth_covered": False}
    records = [{"source": name, "width": 9, "height": 9, "faces": [face] * 3} for name in ('a,"b.png', "c\nd.png")]
    table = CsvFile(tmp_path / "whole.csv", ("joy",))
    for record in records:
        table.write(record)
    table.close()
    whole = (tmp_path / "whole.csv").read_bytes()
    first = whole.index(b"a,") - 1
    for end in range(first, len(whole)):
        (tmp_path / "cut.csv").write_bytes(whole[:end])
        table = CsvFile(tmp_path / "cut.csv", ("joy",), resume=True)
        for record in records:
            if not table.has(record["source"]):
                table.write(record)
        table.close()
        assert (tmp_path / "cut.csv").read_bytes() == whole


@pytest.mark.slow
def test_ctrl_c_says_what_is_kept(examples: Path, tmp_path: Path) -> None:
    for number in range(60):
        (tmp_path / f"{number:02}.jpg").write_bytes((examples / "two-people.jpg").read_bytes())
    table = tmp_path / "rows" / "faces.csv"
    for workers in (1, 2):
        command = [sys.executable, "-m", "mien", "predict", tmp_path, "--csv", table, "--workers", str(workers)]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True)
        while not table.exists() or table.read_bytes().count(b"\n") < 4:
            time.sleep(0.05)
            assert process.poll() is None
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to all processes
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 130, errors
        (line,) = errors.decode().splitlines()
        found = re.fullmatch(rf"mien: stopped after (\d+) of 60 pictures; their rows are kept in {table}, .*", line)
        assert found, line
        assert line.endswith("go on with --resume")
        with table.open(encoding="utf-8-sig") as stream:
            assert len({row["source"] for row in csv.DictReader(stream)}) == int(found[1])
        table.unlink()


def test_a_copy_that_cannot_be_written_keeps_the_scores(tmp_path: Path, examples: Path) -> None:
    file = tmp_path / ("x" * 245 + ".bmp")
    Image.open(examples / "grace-hopper.jpg").resize((60, 60)).save(file)
    result = predict(file, "--json", "--out", tmp_path / "copies")
    assert result.exit_code == 1
    assert len(json.loads(result.stdout)["faces"]) == 1
    assert "expected to write" in result.stderr
    assert "File name too long" in result.stderr
    assert list((tmp_path / "copies").iterdir()) == []


def test_copies_of_an_earlier_run_are_replaced_and_others_are_not(holiday: Path, tmp_path: Path) -> None:
    out = tmp_path / "copies"
    for _ in range(2):
        assert predict(holiday / "3", "--out", out).exit_code == 0
    (copy,) = out.iterdir()
    assert is_signed(copy)
    Image.new("RGB", (9, 9)).save(copy)
    before = copy.read_bytes()
    result = predict(holiday / "3", "--out", out, "--csv", tmp_path / "faces.csv")
    assert "exists and is no annotated copy" in str(result.exception)
    assert copy.read_bytes() == before
    assert not (tmp_path / "faces.csv").exists()


def test_a_csv_file_opens_in_a_spreadsheet(tmp_path: Path, examples: Path) -> None:
    (tmp_path / "ö.png").write_bytes(b"")
    predict(tmp_path, "--csv", tmp_path / "faces.csv")
    assert (tmp_path / "faces.csv").read_bytes().startswith("\ufeffsource,".encode())


def test_a_file_called_like_a_detector(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, holiday: Path) -> None:
    monkeypatch.chdir(tmp_path)
    Path("whole-image").write_text("a shopping list")
    assert predict(holiday / "3").exit_code == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_one_line(holiday: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mien", "predict", holiday / "3", "--detector", "whole-image", "--json"]
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=120)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
    assert done.stderr.splitlines()[-1] == "mien: standard output: No space left on device"


def test_an_error_without_a_name_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(**options: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("mien.cli.app", fail)
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 2
    assert capsys.readouterr().err == "mien: Input/output error\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_under_the_csv_file_is_named(tmp_path: Path) -> None:
    table = CsvFile(tmp_path / "faces.csv", ("joy",))
    table.close()
    with open("/dev/full", "w") as full:
        table._stream, table._writer = full, csv.writer(full)  # type: ignore[assignment]
        with pytest.raises(OSError, match="No space left") as failure:
            table.write({"source": "x.png", "error": "damaged"})
        assert failure.value.filename == str(tmp_path / "faces.csv")
        with pytest.raises(OSError, match="No space left"):
            full.close()


def test_a_photograph_is_no_video(examples: Path, tmp_path: Path) -> None:
    pytest.importorskip("av")
    for file in (examples / "grace-hopper.jpg", tmp_path / "drawn.mp4"):
        if not file.exists():
            Image.new("RGB", (60, 60)).save(file, "PNG")  # whatever it is called
        result = CliRunner().invoke(app, ["video", str(file), "--csv", str(tmp_path / "rows.csv")])
        assert f"{file}: expected a video, found a picture; `mien predict` reads these" in str(result.exception)
        assert not (tmp_path / "rows.csv").exists()
    moving = tmp_path / "moving.gif"
    Image.new("L", (60, 60)).save(moving, save_all=True, append_images=[Image.new("L", (60, 60), 99)])
    assert not is_still_picture(moving)
    assert not is_still_picture(tmp_path / "none.mp4")

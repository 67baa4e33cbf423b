import contextlib
import csv
import io
import json
import os
import pty
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from conftest import write_fer2013_csv
from PIL import Image

import mien
from mien.cli import app
from mien.cli.outputs import to_text
from mien.cli.picture_rows import CsvFile
from mien.results import to_record


def run(*arguments: object, stdin: bytes | None = None, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "mien", *map(str, arguments)], input=stdin, capture_output=True, timeout=120, cwd=cwd
    )
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


def size_of(file: Path) -> tuple[int, int]:
    with Image.open(file) as image:
        return image.size


@pytest.fixture
def troubled_folder(tmp_path: Path, examples: Path) -> Path:
    """A good photograph among everything that can be wrong with a file."""
    whole = (examples / "eileen-collins.jpg").read_bytes()
    (tmp_path / "a-good.jpg").write_bytes(whole)
    (tmp_path / "b-empty.png").touch()
    (tmp_path / "c-text.jpg").write_text("no photograph")
    (tmp_path / "d-truncated.jpg").write_bytes(whole[: len(whole) // 2])
    stream = io.BytesIO()
    Image.open(io.BytesIO(whole)).save(stream, "WEBP")
    (tmp_path / "e-truncated.webp").write_bytes(stream.getvalue()[:2000])
    Image.new("RGB", (1, 1)).save(tmp_path / "f-one-pixel.bmp")
    (tmp_path / "notes.txt").write_text("not an image, and not named like one")
    return tmp_path


def test_json_lines_with_errors_in_their_places(troubled_folder: Path) -> None:
    done = run("predict", troubled_folder, "nowhere.jpg", "--json")
    assert done.returncode == 1
    records = [json.loads(line) for line in done.stdout.splitlines()]
    names = [Path(record["source"]).name[0] for record in records]
    assert names == ["a", "b", "c", "d", "e", "f", "n"]
    good, *broken, one_pixel, missing = records
    assert (good["width"], good["height"]) == (512, 512)
    (face,) = good["faces"]
    assert face["expression"] == "happiness"
    assert list(face["scores"].values()) == sorted(face["scores"].values(), reverse=True)
    assert len(face["box_xyxy"]) == 4
    assert face["confidence"] == next(iter(face["scores"].values()))
    assert face["unsure"] is False
    assert face["mouth_covered"] is False
    assert one_pixel["faces"] == []
    expectations = ["found an empty file", "found something else", "found a damaged one", "expected a", "no such file"]
    for record, expectation in zip([*broken, missing], expectations, strict=True):
        assert set(record) == {"source", "error"}
        assert expectation in record["error"]
        assert record["source"] in record["error"]
    *errors, summary = done.stderr.splitlines()
    assert len(errors) == 5
    assert summary.startswith("7 pictures, 1 face, 5 errors, ")


def test_text_csv_and_copies(troubled_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    out = tmp_path_factory.mktemp("out")
    done = run("predict", troubled_folder, "--csv", out / "deep" / "faces.csv", "--out", out / "copies")
    assert done.returncode == 1
    assert "a-good.jpg  512x512  1 face\n  happiness" in done.stdout
    assert "f-one-pixel.bmp  1x1  no face" in done.stdout
    with (out / "deep" / "faces.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 6
    assert rows[0]["expression"] == "happiness"
    assert sum(float(rows[0][name]) for name in mien.Recognizer().expressions) == pytest.approx(1, abs=1e-4)
    assert list(rows[0])[-3:] == ["error", "unsure", "mouth_covered"]
    assert [row["unsure"] for row in rows] == ["false", *[""] * 5]
    assert "empty file" in rows[1]["error"]
    assert rows[5]["expression"] == rows[5]["error"] == ""
    assert sorted(file.name for file in (out / "copies").iterdir()) == ["a-good.jpg", "f-one-pixel.bmp.png"]
    assert size_of(out / "copies" / "a-good.jpg") == (512, 512)


def test_unsure_faces_have_a_question_mark(tmp_path: Path) -> None:
    image = np.zeros((20, 30, 3), np.uint8)
    faces = [mien.Face((0, 0, 9, 9), 0.9, {"fear": 0.6, "anger": 0.4}, None, below) for below in (0.5, 0.7)]
    record = to_record("x.png", image, faces)
    assert to_text(record) == (
        "x.png  30x20  2 faces\n  fear 60%  anger 40%  at (0, 0)-(9, 9)\n  fear? 60%  anger 40%  at (0, 0)-(9, 9)"
    )
    table = CsvFile(tmp_path / "faces.csv", ("anger", "fear"))
    table.write(record)
    table.close()
    with (tmp_path / "faces.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [(row["expression"], row["fear"], row["unsure"]) for row in rows] == [
        ("fear", "0.6", "false"),
        ("fear", "0.6", "true"),
    ]


def test_copies_of_equal_names_are_kept_apart(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        (tmp_path / folder / "deep").mkdir(parents=True)
        Image.new("RGB", (64, 75)).save(tmp_path / folder / "deep" / "x.png")
    done = run("predict", "one", "two", "--out", "out", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = sorted(str(file.relative_to(tmp_path / "out")) for file in (tmp_path / "out").rglob("*.png"))
    assert found == ["deep/x-2.png", "deep/x.png"]


def test_stdin_and_globs(examples: Path) -> None:
    done = run("predict", "-", "--json", stdin=(examples / "grace-hopper.jpg").read_bytes())
    assert json.loads(done.stdout)["source"] == "-"
    assert len(json.loads(done.stdout)["faces"]) == 1
    done = run("predict", "*-*.jpg", "--json", cwd=examples)
    assert [json.loads(line)["source"] for line in done.stdout.splitlines()] == [
        "eileen-collins.jpg",
        "grace-hopper.jpg",
        "two-people.jpg",
    ]
    done = run("predict", "none*.jpg", "--json", cwd=examples)
    assert done.returncode == 1
    assert "expected files that match, found none" in json.loads(done.stdout)["error"]


def test_examples_give_what_they_are_said_to_give(examples: Path) -> None:
    done = run("predict", "examples/*.jpg", "--json", cwd=examples.parent)
    found = [json.loads(line) for line in done.stdout.splitlines()]
    expected = json.loads((examples / "expected.json").read_text())
    assert [record["source"] for record in found] == [record["source"] for record in expected]
    for record, wanted in zip(found, expected, strict=True):
        assert [face["expression"] for face in record["faces"]] == [face["expression"] for face in wanted["faces"]]
        for face, other in zip(record["faces"], wanted["faces"], strict=True):
            assert face["box_xyxy"] == pytest.approx(other["box_xyxy"], abs=4)
            assert face["scores"] == pytest.approx(other["scores"], abs=0.1)  # decoders of JPEG differ


def test_crops_with_the_whole_image_as_face(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((48, 48), np.uint8)).save(tmp_path / "crop.png")
    done = run("predict", tmp_path / "crop.png", "--detector", "whole-image", "--json", "--threads", "1")
    (face,) = json.loads(done.stdout)["faces"]
    assert face["box_xyxy"] == [0, 0, 48, 48]


def one_line_error(*arguments: object) -> str:
    done = run(*arguments)
    assert done.returncode == 2, done
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1, done.stderr
    assert done.stderr.startswith("mien: ")
    return done.stderr


def test_errors_are_one_line(tmp_path: Path, examples: Path) -> None:
    photo = examples / "grace-hopper.jpg"
    assert "unknown model 'resnet'; packaged are fer-mobilenet, fer-mobilenet-int8, " in one_line_error(
        "predict", photo, "--model", "resnet"
    )
    assert "unknown detector 'x'; known: face-finder, haar, whole-image" in one_line_error(
        "predict", photo, "--detector", "x"
    )
    wanted = ("evaluate", "--root", tmp_path, "--split", "training", "--dataset")
    assert "unknown data set 'fer'; known: ckplus, ckplus-neutral, faces, fer2013" in one_line_error(*wanted, "fer")
    assert "expected fer2013.csv" in one_line_error(*wanted, "fer2013")
    write_fer2013_csv(tmp_path / "fer2013.csv", [(0, "Training", np.zeros((40, 48), np.uint8))])
    message = one_line_error(*wanted, "fer2013")
    assert "fer2013.csv: row 0: expected 2304 pixel values, found 1920" in message
    experiment = tmp_path / "x.toml"
    experiment.write_text("name = 'x'\ncolour = 3\n")
    assert "x.toml: unknown key 'colour'" in one_line_error("train", experiment, "--root", tmp_path)
    (tmp_path / "bad.safetensors").write_bytes(b"rubbish")
    message = one_line_error("export", tmp_path / "bad.safetensors", "--out", tmp_path / "x.onnx")
    assert "expected a checkpoint of mien" in message


def test_a_folder_without_images(tmp_path: Path) -> None:
    done = run("predict", tmp_path)
    assert done.returncode == 1
    assert "expected a folder with images" in done.stderr
    assert done.stderr.count("\n") == 1


def test_originals_are_never_replaced(tmp_path: Path, examples: Path) -> None:
    whole = (examples / "grace-hopper.jpg").read_bytes()
    (tmp_path / "photo.jpg").write_bytes(whole)
    done = run("predict", "photo.jpg", "--out", ".", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr == "mien: photo.jpg: an annotated copy would replace it; choose another folder for --out\n"
    assert (tmp_path / "photo.jpg").read_bytes() == whole
    for _ in range(2):  # the second time, there are copies below the folder
        done = run("predict", tmp_path, "--out", tmp_path / "annotated", "--json")
        assert done.returncode == 0
        assert done.stdout.count("\n") == 1


def test_paths_and_targets_that_cannot_be(tmp_path: Path, examples: Path) -> None:
    photo = examples / "grace-hopper.jpg"
    done = run("predict", "", "x" * 300 + ".jpg", photo, "--json")
    records = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 1
    assert "found an empty one" in records[0]["error"]
    assert "expected a readable" in records[1]["error"]
    assert len(records[2]["faces"]) == 1
    (tmp_path / "file").touch()
    assert "file" in one_line_error("predict", photo, "--out", tmp_path / "file")
    assert "file" in one_line_error("predict", photo, "--csv", tmp_path / "file" / "x.csv")
    wanted = ("evaluate", "--dataset", "folder", "--root", tmp_path, "--split", "all")
    assert "file" in one_line_error(*wanted, "--json", tmp_path / "file" / "x.json")


def test_folders_that_a_glob_matches_are_searched(tmp_path: Path) -> None:
    (tmp_path / "holiday-1").mkdir()
    Image.new("RGB", (20, 20)).save(tmp_path / "holiday-1" / "x.png")
    done = run("predict", "holiday*", "--json", cwd=tmp_path)
    assert json.loads(done.stdout)["source"] == "holiday-1/x.png"


def test_names_that_are_no_text(tmp_path: Path) -> None:
    name = os.fsdecode(b"na\xefve.png")
    Image.new("RGB", (20, 20)).save(tmp_path / name)
    done = run("predict", tmp_path, "--csv", tmp_path / "out.csv")
    assert done.returncode == 0
    assert "ve.png  20x20  no face" in done.stdout
    assert "ve.png" in (tmp_path / "out.csv").read_text()


def test_a_terminal_shows_a_progress_bar_and_every_result(examples: Path) -> None:
    parent, child = pty.openpty()
    command = [sys.executable, "-m", "mien", "predict", *map(str, sorted(examples.glob("*.jpg")))]
    with subprocess.Popen(command, stdout=child, stderr=child, env={**os.environ, "TERM": "xterm"}) as process:
        os.close(child)
        shown = b""
        with contextlib.suppress(OSError):  # the end of a terminal
            while piece := os.read(parent, 4096):
                shown += piece
    os.close(parent)
    assert process.returncode == 0
    text = shown.decode()
    assert re.search(r"predict .*[123]/3", text)
    for name in ("eileen-collins.jpg", "grace-hopper.jpg", "two-people.jpg"):
        assert re.search(rf"{name}  \d+x\d+  \d face", text)


def test_models_and_version() -> None:
    assert run("--version").stdout.strip() == mien.__version__
    listed = run("models").stdout
    assert "rlr-cnet  1,030,761 parameters" in listed
    assert "public_test accuracy: 0." in listed
    assert "face-finder  finds faces; " in listed
    assert "faces-dev average precision: 0." in listed


def test_models_tell_which_classes_are_never_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    card = replace(mien.list_models()[0], calibration="drawn tenth", never_answered=("fear", "contempt"))
    monkeypatch.setattr("mien.list_models", lambda: [card])
    listed = CliRunner().invoke(app, ["models"]).stdout
    assert "  gave no face of drawn tenth the answer fear or contempt\n" in listed


def test_a_reader_that_leaves_early_is_no_error(examples: Path) -> None:
    command = f"{sys.executable} -m mien predict {examples}/*.jpg {examples}/*.jpg --json | head -n 1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, timeout=60, text=True)
    assert done.stdout.count("\n") == 1
    assert "Traceback" not in done.stderr


def test_without_the_train_extra_training_says_so(tmp_path: Path) -> None:
    code = "import sys; sys.modules['torch'] = None; sys.argv = ['mien', 'train', 'x.toml', '--root', '.']\n"
    code += "from mien.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert done.stderr == "mien: this command needs torch; install it with: pip install 'mien[train]'\n"


def test_pack_and_evaluate_agree_with_the_csv(tmp_path: Path) -> None:
    from conftest import drawn_face, write_votes_csv

    usages = ["Training", "Training", *["PublicTest"] * 6]
    faces = [drawn_face(index % 7, index) for index in range(7)] + [drawn_face(0, 0)]
    write_fer2013_csv(
        tmp_path / "fer2013.csv", [(i % 7, u, f) for i, (u, f) in enumerate(zip(usages, faces, strict=True))]
    )
    write_votes_csv(tmp_path / "fer2013new.csv", [(u, [0, 0, 9, 1, 0, 0, 0, 0, 0, 0]) for u in usages])
    packed = tmp_path / "packed.parquet"
    done = run("data", "pack", "--root", tmp_path, "--out", packed)
    assert done.stdout.strip() == str(packed)
    reports = []
    for dataset in ("fer2013", "ferplus"):
        for root in (tmp_path / "fer2013.csv", packed):
            out = tmp_path / "report.json"
            wanted = ("evaluate", "--dataset", dataset, "--root", root, "--split", "public_test", "--json", out)
            pictures = {name: tmp_path / "deep" / f"{name}.png" for name in ("picture", "reliability", "risk-coverage")}
            options = [part for name, file in pictures.items() for part in (f"--{name}", file)]
            done = run(*wanted, *options)
            assert done.returncode == 0, done.stderr
            reports.append(json.loads(out.read_text()))
            assert min(size_of(file)[0] for file in pictures.values()) > 300
    assert reports[0] == reports[1]
    assert reports[2] == reports[3]
    assert reports[0]["n"] == 6
    assert reports[0]["without_training_duplicates"]["n"] == 5
    assert "# mien-1m on ferplus, public_test" in done.stdout

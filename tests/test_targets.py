import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from conftest import write_fer2013_csv
from PIL import Image

from mien.cli import app
from mien.cli.picture_rows import CsvFile
from mien.cli.targets import CSV, FOLDER, JSON, PNG, check_copies, check_targets
from mien.errors import MienError, OutputError
from mien.signature import is_signed, signed


def refused(*arguments: object) -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert isinstance(result.exception, MienError), result.output
    message = str(result.exception)
    assert "\n" not in message
    return message


@pytest.fixture
def photo(tmp_path: Path, examples: Path) -> Path:
    """A photograph that must be there, unchanged, at the end."""
    whole = (examples / "grace-hopper.jpg").read_bytes()
    file = tmp_path / "photo.jpg"
    file.write_bytes(whole)
    return file


def test_no_command_writes_over_a_photograph(photo: Path, tmp_path: Path) -> None:
    whole = photo.read_bytes()
    write_fer2013_csv(tmp_path / "fer2013.csv", [(0, "Training", np.zeros((48, 48), np.uint8))])
    evaluate = ("evaluate", "--dataset", "fer2013", "--root", tmp_path, "--split", "training")
    for arguments in (
        ("predict", photo, "--csv", photo),
        ("predict", tmp_path, "--csv", tmp_path / "new.jpg"),
        ("predict", tmp_path, "--csv", tmp_path / "new.mp4"),
        ("predict", tmp_path, "--out", photo),
        ("predict", tmp_path, "--out", tmp_path / "new.png"),
        ("label", tmp_path, "--out", photo.with_name("x.jpg")),
        ("video", photo, "--csv", photo),
        ("video", tmp_path / "none.mp4", "--timeline", photo),
        (*evaluate, "--json", photo),
        (*evaluate, "--picture", photo),
        ("export", tmp_path / "none.safetensors", "--out", photo),
        ("data", "pack", "--root", tmp_path, "--out", photo),
        ("calibrate-detector", "face-finder", "--root", tmp_path, "--out", photo),
        ("evaluate-detector", "--root", tmp_path, "--json", photo),
        ("train", tmp_path / "none.toml", "--root", tmp_path, "--out", photo),
        ("train", tmp_path / "none.toml", "--root", tmp_path, "--export", photo),
    ):
        message = refused(*arguments) if "label" not in arguments else None
        assert message is None or ".jpg" in message or ".png" in message or ".mp4" in message
        assert photo.read_bytes() == whole
        assert sorted(each.name for each in tmp_path.iterdir()) == ["fer2013.csv", "photo.jpg"]


@pytest.mark.parametrize(
    ("kind", "name", "reason"),
    [
        (CSV, "-", "--x: expected the name of a csv file, found '-'"),
        (CSV, "a.HEIC", "expected the name of a csv file for --x, found that of a picture or video"),
        (PNG, "a.pdf", "expected a name that ends in .png for --x"),
        (CSV, "folder", "folder: expected a csv file to write for --x, found a folder"),
        (FOLDER, "notes.csv", "notes.csv: expected a folder to write for --x, found a file"),
        (CSV, "notes.csv", "notes.csv: exists, and not as a csv file that mien wrote; choose another for --x"),
        (JSON, "notes.csv", "exists, and not as a JSON file that mien wrote"),
        (PNG, "drawing.png", "exists, and not as a PNG file that mien wrote"),
        (CSV, "in.csv", "in.csv: --x in.csv would replace it"),
        (CSV, "link.csv", "in.csv: --x link.csv would replace it"),
    ],
)
def test_targets_that_are_refused(
    kind: object, name: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("folder").mkdir()
    Path("notes.csv").write_text("source,width\nmine,1\n")
    CsvFile(Path("in.csv"), ("fear",)).close()
    Path("link.csv").symlink_to("in.csv")
    Image.new("RGB", (5, 5)).save("drawing.png")
    with pytest.raises(OutputError) as refusal:
        check_targets({"--x": (Path(name), kind)}, ["in.csv", None])  # type: ignore[dict-item]
    assert reason in str(refusal.value)


def test_targets_that_may_be_written(tmp_path: Path) -> None:
    """What is new, empty, or from an earlier run."""
    CsvFile(tmp_path / "faces.csv", ("fear",)).close()
    (tmp_path / "report.json").write_text(json.dumps({"protocol": "", "accuracy": 1}))
    Image.new("RGB", (5, 5)).save(tmp_path / "plot.png", exif=signed())
    (tmp_path / "empty.csv").touch()
    (tmp_path / "in.png").touch()
    for name, kind in (("faces.csv", CSV), ("report.json", JSON), ("plot.png", PNG), ("empty.csv", CSV), ("new", CSV)):
        check_targets({"--x": (tmp_path / name, kind), "--y": (None, PNG)}, [tmp_path / "in.png", "face-finder", None])
    with pytest.raises(OutputError, match="expected another file for each output, found the same for --x and --y"):
        check_targets({"--x": (tmp_path / "a", CSV), "--y": (tmp_path / "." / "a", CSV)})


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp"])
def test_pictures_are_signed(suffix: str, tmp_path: Path) -> None:
    file = tmp_path / f"a.{suffix}"
    Image.new("RGB", (5, 5)).save(file, exif=signed())
    assert is_signed(file)
    check_copies([file, tmp_path / "new.png"], [tmp_path / "b.jpg"])
    with pytest.raises(OutputError, match="an annotated copy would replace it"):
        check_copies([file], [tmp_path / "." / f"a.{suffix}"])
    Image.new("RGB", (5, 5)).save(file)
    with pytest.raises(OutputError, match="exists and is no annotated copy"):
        check_copies([file], [])
    file.write_bytes(b"rubbish")
    assert not is_signed(file)

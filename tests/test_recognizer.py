import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import mien
from mien import Face, Recognizer, list_models
from mien.detection.detection import Detection
from mien.errors import ImageError, ModelError
from mien.images import read_image
from mien.preprocessing import crop_face, whole_image_face
from mien.weights import FOLDER, MANIFEST, ModelCard

LANDMARKS = np.array([[200, 10], [250, 10], [225, 30], [205, 50], [245, 50]], np.float32)


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    return Recognizer()


@pytest.fixture(scope="module")
def for_crops() -> Recognizer:
    return Recognizer(detector="whole-image", threads=1)


def test_two_people_and_sensible_expressions(recognizer: Recognizer, examples: Path) -> None:
    faces = recognizer.recognize(examples / "two-people.jpg")
    first, second = sorted(faces, key=lambda face: face.box_xyxy)
    assert first.expression == "happiness"
    assert second.scores["happiness"] < 0.5
    assert set(first.scores) == set(recognizer.expressions)


def test_image_path_and_bytes_give_the_same(recognizer: Recognizer, examples: Path) -> None:
    file = examples / "eileen-collins.jpg"
    from_path = recognizer.recognize(str(file))
    assert from_path == recognizer.recognize(file.read_bytes()) == recognizer.recognize(read_image(file))


def test_no_face_is_an_empty_list(recognizer: Recognizer) -> None:
    assert recognizer.recognize(np.full((200, 200, 3), 99, np.uint8)) == []


def test_a_picture_of_one_pixel_is_a_crop_too(for_crops: Recognizer) -> None:
    (face,) = for_crops.recognize(np.zeros((1, 1, 3), np.uint8))
    assert sum(face.scores.values()) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("edge", ["top", "left", "right"])
def test_a_face_cut_by_the_edge(recognizer: Recognizer, examples: Path, edge: str) -> None:
    image = read_image(examples / "eileen-collins.jpg")
    x0, y0, x1, _ = (round(value) for value in recognizer.recognize(image)[0].box_xyxy)
    cut = {"top": image[y0 + 4 :], "left": image[:, x0 + 4 :], "right": image[:, : x1 - 4]}[edge]
    face, *_ = recognizer.recognize(cut)  # a fitting of the suit may be the next one
    assert face.expression == "happiness"


def test_a_box_over_the_edge_is_recognised(examples: Path) -> None:
    image = read_image(examples / "eileen-collins.jpg")[90:]

    class Given:
        def detect(self, image: np.ndarray) -> list[Detection]:
            return [Detection((177, -23, 273, 73), 1.0, LANDMARKS)]

    (face,) = Recognizer(detector=Given()).recognize(image)
    assert face.landmarks_xy == tuple(map(tuple, LANDMARKS.tolist()))
    assert face.to_dict()["landmarks_xy"] == LANDMARKS.tolist()
    assert face.box_xyxy == (177, -23, 273, 73)
    assert face.expression == "happiness"


def test_pictures_that_are_crops_get_the_crop_that_training_uses(for_crops: Recognizer) -> None:
    image = np.random.default_rng(0).integers(0, 256, (20, 30, 3)).astype(np.uint8)
    (face,) = for_crops.recognize(image)
    preprocessing = for_crops.scorer.card.preprocessing
    expected = for_crops.score_faces(whole_image_face(image, preprocessing)[None])[0]
    assert list(face.scores.values()) == pytest.approx(expected.tolist(), abs=1e-6)
    (face,) = for_crops.recognize(np.zeros((1, 100_000, 3), np.uint8))
    assert face.box_xyxy == (0, 0, 100_000, 1)


def test_scores_of_a_batch_are_those_of_each_face(for_crops: Recognizer) -> None:
    faces = np.random.default_rng(0).integers(0, 256, (130, 48, 48, 1)).astype(np.uint8)
    scores = for_crops.score_faces(faces)
    assert scores.shape == (130, 8)
    assert scores.dtype == np.float32
    assert scores.sum(axis=1) == pytest.approx(1, abs=1e-5)
    alone = np.concatenate([for_crops.score_faces(faces[index : index + 1]) for index in (0, 64, 129)])
    assert scores[[0, 64, 129]] == pytest.approx(alone, abs=1e-5)
    assert for_crops.score_faces(faces[:0]).shape == (0, 8)


def test_recognition_is_detection_crop_and_scores(recognizer: Recognizer, examples: Path) -> None:
    image = read_image(examples / "grace-hopper.jpg")
    (face,) = recognizer.recognize(image)
    (found,) = recognizer.detector.detect(image)
    assert face.box_xyxy == found.box_xyxy
    assert found.upright_box_xyxy
    crop = crop_face(image, found.upright_box_xyxy, recognizer.scorer.card.preprocessing, found.roll_degrees)
    scores = recognizer.score_faces(crop[None])[0]
    assert list(face.scores.values()) == pytest.approx(scores.tolist(), abs=1e-6)


def test_wrong_input_is_named(recognizer: Recognizer) -> None:
    with pytest.raises(ValueError, match=r"received float64 \(5, 5\); \(image \* 255\)"):
        recognizer.recognize(np.zeros((5, 5)))
    with pytest.raises(ValueError, match=r"expected uint8 \(N, 48, 48, 1\)"):
        recognizer.score_faces(np.zeros((2, 48, 48, 3), np.uint8))
    with pytest.raises(ImageError, match="found no such file"):
        recognizer.recognize("nowhere.jpg")
    with pytest.raises(ModelError, match="unknown model 'resnet'; packaged are fer-mobilenet, fer-mobilenet-int8, "):
        Recognizer("resnet")


def test_foreign_and_damaged_networks(tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.onnx"
    damaged.write_bytes(b"rubbish")
    with pytest.raises(ModelError, match=r"damaged\.onnx: expected an ONNX network, found a damaged file"):
        Recognizer(damaged)
    import onnx
    from onnx import TensorProto, helper

    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "g", value[:1], value[1:])
    onnx.save(helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", 20)]), damaged)
    with pytest.raises(ModelError, match="found one without its manifest entry"):
        Recognizer(damaged)


def test_a_packaged_network_that_was_changed_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    manifest = json.loads(MANIFEST.read_text())
    name = manifest["models"][manifest["default"]]["file"]
    (tmp_path / name).write_bytes((FOLDER / name).read_bytes() + b"x")
    monkeypatch.setattr("mien.weights.FOLDER", tmp_path)
    with pytest.raises(ModelError, match=r"expected sha256 .* install mien again"):
        Recognizer()


def test_manifest_and_onnx_file_agree(recognizer: Recognizer) -> None:
    cards = list_models()
    assert cards[0].name == recognizer.model_name
    for card in cards:
        embedded = Recognizer(card.name, detector="whole-image").scorer.card
        assert embedded == card
        assert Recognizer(FOLDER / f"{card.name}.onnx", detector="whole-image").scorer.card == card
    with pytest.raises(ModelError, match="expected a complete manifest entry, missing 'expressions'"):
        ModelCard.from_dict({"name": "x"}, 0, "file")


def test_a_face_as_plain_values() -> None:
    face = Face((0.0, 1.0, 2.0, 3.0), 0.5, {"anger": 0.25, "fear": 0.75})
    assert face.expression == "fear"
    assert face.to_dict() == {
        "box_xyxy": [0.0, 1.0, 2.0, 3.0],
        "detection_score": 0.5,
        "expression": "fear",
        "confidence": 0.75,
        "unsure": False,
        "mouth_covered": False,
        "scores": {"fear": 0.75, "anger": 0.25},
    }


def test_a_face_is_unsure_below_the_threshold_of_its_network(for_crops: Recognizer) -> None:
    for unsure_below, unsure in ((0.0, False), (0.75, False), (0.76, True)):
        face = Face((0.0, 1.0, 2.0, 3.0), 0.5, {"anger": 0.25, "fear": 0.75}, unsure_below=unsure_below)
        assert (face.confidence, face.unsure) == (0.75, unsure)
        assert face.to_dict()["unsure"] is unsure
    recognizer = Recognizer(detector="whole-image", threads=1)
    image = np.random.default_rng(0).integers(0, 256, (48, 48, 3)).astype(np.uint8)
    (face,) = for_crops.recognize(image)
    for unsure_below, unsure in ((face.confidence - 1e-4, False), (face.confidence + 1e-4, True)):
        recognizer.scorer.card = replace(recognizer.scorer.card, unsure_below=unsure_below)
        (found,) = recognizer.recognize(image)
        assert found.unsure is unsure


def run_without(modules: str, code: str) -> None:
    """Run code in a process where the modules cannot be imported."""
    block = f"import sys; sys.modules.update(dict.fromkeys({modules.split()!r}))\n"
    subprocess.run([sys.executable, "-W", "error", "-c", block + code], check=True, timeout=120)


def test_the_runtime_needs_no_laboratory(examples: Path) -> None:
    run_without(
        "torch pandas pyarrow matplotlib pydantic safetensors onnx",
        f"""
import importlib, pkgutil, mien
laboratory = ("mien.models", "mien.training", "mien.export", "mien.evaluation.plots", "mien.__main__", "mien._pyinst")
found = pkgutil.walk_packages(mien.__path__, "mien.", onerror=lambda name: None)
names = [each.name for each in found if not each.name.startswith(laboratory)]
assert len(names) > 15, names
for name in names:
    importlib.import_module(name)
faces = mien.Recognizer().recognize({str(examples / "two-people.jpg")!r})
assert len(faces) == 2, faces
""",
    )


def test_opencv_is_for_haar_alone(examples: Path) -> None:
    run_without(
        "torch pandas pyarrow cv2",
        f"""
import mien
from mien.errors import MissingExtraError
assert mien.Recognizer().recognize({str(examples / "grace-hopper.jpg")!r})
try:
    mien.Recognizer(detector="haar")
except MissingExtraError as error:
    assert "pip install 'mien[haar]'" in str(error)
else:
    raise AssertionError("the haar detector worked without OpenCV")
""",
    )


def test_import_loads_no_heavy_library() -> None:
    code = "import mien, sys; assert not {'torch', 'cv2', 'onnxruntime', 'matplotlib', 'click'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_version_is_that_of_the_distribution() -> None:
    from importlib.metadata import version

    assert version("mien") == mien.__version__

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mien.detection.boxes import iou
from mien.detection.detection import WholeImage
from mien.detection.detectors import make_detector
from mien.detection.face_finder import FaceFinder
from mien.detection.haar import HaarDetector
from mien.errors import ModelError
from mien.images import read_image
from mien.weights import FOLDER

COLLINS_BOX = (178, 65, 268, 176)
"""Where Eileen Collins' face is in her portrait, looked up by eye."""


@pytest.fixture(scope="module")
def haar() -> HaarDetector:
    return HaarDetector()


def portrait(examples: Path) -> np.ndarray:
    return read_image(examples / "eileen-collins.jpg")


def test_the_face_of_a_portrait(haar: HaarDetector, examples: Path) -> None:
    (face,) = haar.detect(portrait(examples))
    assert iou(face.box_xyxy, [COLLINS_BOX])[0] > 0.8
    assert 0.5 < face.score <= 1
    assert face.roll_degrees == 0


def test_two_people(haar: HaarDetector, examples: Path) -> None:
    first, second = sorted(haar.detect(read_image(examples / "two-people.jpg")), key=lambda f: f.box_xyxy)
    assert iou(first.box_xyxy, [COLLINS_BOX])[0] > 0.8
    assert iou(second.box_xyxy, [(650, 88, 815, 296)])[0] > 0.7


def test_faces_from_forty_pixels_on(haar: HaarDetector, examples: Path) -> None:
    image = Image.fromarray(portrait(examples))
    small = image.resize([round(side * 0.4) for side in image.size], Image.Resampling.BILINEAR)
    canvas = Image.new("RGB", (640, 480), "grey")
    canvas.paste(small, (300, 200))
    (face,) = haar.detect(np.asarray(canvas))
    expected = tuple(300 + COLLINS_BOX[i] * 0.4 if i % 2 == 0 else 200 + COLLINS_BOX[i] * 0.4 for i in range(4))
    assert iou(face.box_xyxy, [expected])[0] > 0.6


@pytest.mark.parametrize("lean", [-45, -25, 25, 45])
def test_a_leaning_face_is_found_with_its_roll(haar: HaarDetector, examples: Path, lean: int) -> None:
    image = Image.fromarray(portrait(examples)).rotate(-lean, Image.Resampling.BICUBIC)  # clockwise
    (face,) = haar.detect(np.asarray(image))
    assert abs(face.roll_degrees - lean) <= 25
    angle = np.radians(lean)
    x, y = np.array([225, 115]) - 256
    centre = 256 + np.array([x * np.cos(angle) - y * np.sin(angle), x * np.sin(angle) + y * np.cos(angle)])
    found = np.array([(face.box_xyxy[0] + face.box_xyxy[2]) / 2, (face.box_xyxy[1] + face.box_xyxy[3]) / 2])
    assert np.linalg.norm(found - centre) < 20


def test_no_face_in_nothing(haar: HaarDetector) -> None:
    assert haar.detect(np.zeros((1, 1, 3), np.uint8)) == []
    assert haar.detect(np.full((300, 400, 3), 128, np.uint8)) == []
    assert haar.detect(np.zeros((3, 5000, 3), np.uint8)) == []


def test_the_whole_image_is_a_face() -> None:
    (face,) = WholeImage().detect(np.zeros((20, 30, 3), np.uint8))
    assert face.box_xyxy == (0, 0, 30, 20)


def test_detectors_by_name_and_file() -> None:
    with pytest.raises(ModelError, match="unknown detector 'yolo'; known: face-finder, haar, whole-image, or give the"):
        make_detector("yolo")
    assert isinstance(make_detector(str(FOLDER / "face-finder.onnx")), FaceFinder)
    assert isinstance(make_detector("haar"), HaarDetector)
    assert isinstance(make_detector("whole-image"), WholeImage)
    finder = make_detector("face-finder", 640)
    assert isinstance(finder, FaceFinder)
    assert finder.longest_px == 640
    unsure = make_detector("face-finder", score_threshold=0.3, any_way_up=True)
    assert isinstance(unsure, FaceFinder)
    assert (unsure.longest_px, unsure.score_threshold, unsure.any_way_up) == ("auto", 0.3, True)
    options: dict[str, Any] = {"longest_px": 640, "score_threshold": 0.3, "any_way_up": True}
    for name, value in options.items():
        with pytest.raises(ModelError, match=f"{name} is for the detector 'face-finder' alone, found 'haar'"):
            make_detector("haar", **{name: value})


@pytest.mark.parametrize("side_px", [31, 4097, float("nan"), "fine"])
def test_sizes_out_of_bounds_are_refused(side_px: Any) -> None:
    with pytest.raises(ValueError, match=f"longest_px must be 'auto' or lie in 32 to 4096, not {side_px}"):
        FaceFinder(longest_px=side_px)


@pytest.mark.parametrize("shape", [(9, 9), (9, 9, 1), (9, 9, 4), (0, 9, 3)])
def test_only_rgb_pictures_are_looked_at(haar: HaarDetector, shape: tuple[int, ...]) -> None:
    for detector in (haar, FaceFinder()):
        with pytest.raises(ValueError, match=r"image: expected RGB uint8 \(H, W, 3\), received uint8"):
            detector.detect(np.zeros(shape, np.uint8))
        with pytest.raises(ValueError, match="received float64"):
            detector.detect(np.zeros((9, 9, 3)))


def test_a_face_in_a_strip(examples: Path) -> None:
    """The portrait at the end of a picture of 20 to 1."""
    face = Image.fromarray(portrait(examples)).crop((163, 60, 283, 180))
    strip = Image.new("RGB", (2400, 120), "grey")
    strip.paste(face, (2200, 0))
    (found,) = FaceFinder().detect(np.asarray(strip))
    assert iou(found.box_xyxy, [(2215, 5, 2305, 116)])[0] > 0.6


def test_a_network_for_expressions_is_no_detector() -> None:
    with pytest.raises(ModelError, match=r"rlr-cnet\.onnx: expected a face detector, found another network"):
        FaceFinder(str(FOLDER / "rlr-cnet.onnx"))
    with pytest.raises(ModelError, match="unknown model 'rlr-cnet'; packaged are face-finder, or give the path"):
        FaceFinder("rlr-cnet")


def test_overlap_worked_by_hand() -> None:
    assert iou((0, 0, 2, 2), [(1, 0, 3, 2)])[0] == pytest.approx(1 / 3)
    assert iou((0, 0, 1, 1), [(2, 2, 3, 3)])[0] == 0

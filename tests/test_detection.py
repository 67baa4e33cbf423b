from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mien.detection import DETECTORS, WholeImage, make_detector
from mien.errors import ModelError
from mien.haar import HaarDetector
from mien.images import read_image
from mien.results import intersection_over_union

COLLINS_BOX = (176, 66, 274, 164)
"""Where Eileen Collins' face is in her portrait, looked up by eye."""


@pytest.fixture(scope="module")
def haar() -> HaarDetector:
    return HaarDetector()


def portrait(examples: Path) -> np.ndarray:
    return read_image(examples / "eileen-collins.jpg")


def test_the_face_of_a_portrait(haar: HaarDetector, examples: Path) -> None:
    (face,) = haar.detect(portrait(examples))
    assert intersection_over_union(face.box_xyxy, COLLINS_BOX) > 0.8
    assert 0.5 < face.score <= 1
    assert face.roll_degrees == 0


def test_two_people(haar: HaarDetector, examples: Path) -> None:
    first, second = sorted(haar.detect(read_image(examples / "two-people.jpg")), key=lambda f: f.box_xyxy)
    assert intersection_over_union(first.box_xyxy, COLLINS_BOX) > 0.8
    assert intersection_over_union(second.box_xyxy, (639, 90, 834, 284)) > 0.7


def test_faces_from_forty_pixels_on(haar: HaarDetector, examples: Path) -> None:
    image = Image.fromarray(portrait(examples))
    small = image.resize([round(side * 0.4) for side in image.size], Image.Resampling.BILINEAR)
    canvas = Image.new("RGB", (640, 480), "grey")
    canvas.paste(small, (300, 200))
    (face,) = haar.detect(np.asarray(canvas))
    expected = tuple(300 + COLLINS_BOX[i] * 0.4 if i % 2 == 0 else 200 + COLLINS_BOX[i] * 0.4 for i in range(4))
    assert intersection_over_union(face.box_xyxy, expected) > 0.6


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


def test_detectors_by_name() -> None:
    assert set(DETECTORS) == {"haar", "whole-image"}
    with pytest.raises(ModelError, match="unknown detector 'yolo'; known: haar, whole-image"):
        make_detector("yolo")


def test_overlap_worked_by_hand() -> None:
    assert intersection_over_union((0, 0, 2, 2), (1, 0, 3, 2)) == pytest.approx(1 / 3)
    assert intersection_over_union((0, 0, 1, 1), (2, 2, 3, 3)) == 0

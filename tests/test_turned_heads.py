"""Faces that lie or stand on their head: found where asked for, and never read as if upright."""

import math
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from mien.detection.boxes import Candidates, iou, upright_box
from mien.detection.face_finder import FaceFinder
from mien.detection.turned_heads import find_any_way_up, turned_back
from mien.images import read_image
from mien.preprocessing import ImageArray, Preprocessing, crop_face

BOXES = {"eileen-collins": (178, 65, 268, 176), "grace-hopper": (186, 125, 352, 333)}


@pytest.fixture(scope="module")
def any_way_up() -> FaceFinder:
    return FaceFinder(longest_px=416, any_way_up=True)


def turned_box(name: str, turns: int, width: int, height: int) -> NDArray[np.float32]:
    """The portrait's box after quarters of a turn, counter-clockwise."""
    x0, y0, x1, y1 = BOXES[name]
    boxes = (
        (x0, y0, x1, y1),
        (y0, width - x1, y1, width - x0),
        (width - x1, height - y1, width - x0, height - y0),
        (height - y1, x0, height - y0, x1),
    )
    return np.array(boxes[turns], np.float32)


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
@pytest.mark.parametrize("name", BOXES)
def test_a_portrait_any_way_up(any_way_up: FaceFinder, examples: Path, name: str, turns: int) -> None:
    image = read_image(examples / f"{name}.jpg")
    turned = np.ascontiguousarray(np.rot90(image, turns))
    upright, *_ = any_way_up.detect(image)
    face, *_ = any_way_up.detect(turned)
    box = turned_box(name, turns, image.shape[1], image.shape[0])
    assert iou(box, np.array([face.box_xyxy], np.float32))[0] > 0.6
    lean = (face.roll_degrees + 90 * turns - upright.roll_degrees + 180) % 360 - 180  # what was turned back
    assert lean == pytest.approx(0, abs=10)
    assert face.upright_box_xyxy is not None
    x0, y0, x1, y1 = face.upright_box_xyxy
    assert x1 - x0 < y1 - y0  # the crop's own frame
    assert upright.upright_box_xyxy is not None
    crop = crop_face(turned, face.upright_box_xyxy, Preprocessing(), face.roll_degrees)
    expected = crop_face(image, upright.upright_box_xyxy, Preprocessing(), upright.roll_degrees)
    assert np.corrcoef(crop.ravel(), expected.ravel())[0, 1] > 0.95


@pytest.mark.parametrize("degrees", [90, 135, 180, 225, 270])
@pytest.mark.parametrize("name", BOXES)
def test_a_head_beyond_its_side_is_not_read_as_upright(examples: Path, name: str, degrees: int) -> None:
    image = Image.fromarray(read_image(examples / f"{name}.jpg"))
    x0, y0, x1, y1 = BOXES[name]
    turned = image.rotate(degrees, expand=True)
    angle, middle = math.radians(degrees), complex(*image.size) / 2
    there = (complex(x0 + x1, y0 + y1) / 2 - middle) * complex(math.cos(angle), -math.sin(angle))
    there += complex(*turned.size) / 2
    for face in FaceFinder(longest_px=416, any_way_up=False).detect(np.asarray(turned)):
        left, top, right, bottom = face.box_xyxy
        if left < there.real < right and top < there.imag < bottom:
            away = (face.roll_degrees + degrees + 180) % 360 - 180
            assert abs(away) < 40


def test_upside_down_portraits_are_refused(lfw_portraits: list[tuple[NDArray[np.uint8], NDArray[np.float32]]]) -> None:
    """Of 33, at an angle of 180 degrees, the network alone takes several for upright ones."""
    finder = FaceFinder(longest_px=416, any_way_up=False)
    read = kept = 0
    for image, (x0, y0, x1, y1) in lfw_portraits[:33]:
        height, width = image.shape[:2]
        box = np.array([width - x1, height - y1, width - x0, height - y0], np.float32)
        found = finder.detect(np.ascontiguousarray(image[::-1, ::-1]))
        read += any(iou(box, np.array([face.box_xyxy], np.float32))[0] > 0.2 for face in found)
        kept += len(finder.detect(image)) > 0
    assert read == 0
    assert kept == 33


def test_candidates_are_turned_back() -> None:
    landmarks = np.arange(10, dtype=np.float32).reshape(1, 5, 2)
    found = Candidates(np.array([[10, 20, 30, 60]], np.float32), np.array([0.9], np.float32), landmarks)
    assert turned_back(found, 0, 200, 100).boxes_xyxy.tolist() == [[10, 20, 30, 60]]
    assert turned_back(found, 1, 200, 100).boxes_xyxy.tolist() == [[140, 10, 180, 30]]
    assert turned_back(found, 2, 200, 100).boxes_xyxy.tolist() == [[170, 40, 190, 80]]
    assert turned_back(found, 3, 200, 100).boxes_xyxy.tolist() == [[20, 70, 60, 90]]
    assert turned_back(found, 1, 200, 100).landmarks_xy[0, 1].tolist() == [197, 2]


@pytest.mark.parametrize("turns", [-2, -1, 1, 2])
def test_the_box_of_a_face_on_its_side_stands_upright(turns: int) -> None:
    lying = np.array([0, 0, 120, 100] if turns % 2 else [0, 0, 100, 120], np.float32)
    x, y = (60, 50) if turns % 2 else (50, 60)
    assert upright_box(lying, 90.0 * turns) == pytest.approx((x - 50, y - 60, x + 50, y + 60))


def test_landmarks_of_other_turns_have_no_say() -> None:
    """A network that finds the same upright face, whatever it is shown: the box of all four turns is the same."""
    box = np.array([[20, 20, 80, 80]], np.float32)
    landmarks = np.array([[[35, 40], [65, 40], [50, 55], [40, 65], [60, 65]]], np.float32)
    scores = iter((0.9, 0.8, 0.7, 0.6))

    def find(image: ImageArray) -> Candidates:
        return Candidates(box, np.array([next(scores)], np.float32), landmarks)

    found = find_any_way_up(np.zeros((100, 100, 3), np.uint8), find)
    assert found.scores.tolist() == pytest.approx([0.9])
    assert (found.landmarks_xy == landmarks).all()


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_turned_photograph_is_found_by_itself(any_way_up: FaceFinder, examples: Path, turns: int) -> None:
    """In the picture's own frame, as where it was asked for; not where it was forbidden."""
    turned = np.ascontiguousarray(np.rot90(read_image(examples / "eileen-collins.jpg"), turns))
    expected, *_ = any_way_up.detect(turned)
    face, *_ = FaceFinder(longest_px=416).detect(turned)
    assert iou(face.box_xyxy, [expected.box_xyxy])[0] > 0.9
    assert face.roll_degrees == pytest.approx(expected.roll_degrees, abs=2)
    assert FaceFinder(longest_px=416, any_way_up=False).detect(turned) == []


def test_upright_faces_make_further_looks_needless() -> None:
    finder = FaceFinder(longest_px=96)
    looked: list[tuple[int, ...]] = []
    maps = finder._maps
    finder._maps = lambda image: (looked.append(image.shape), maps(image))[1]  # type: ignore[method-assign]
    picture = np.zeros((64, 96, 3), np.uint8)
    assert finder.detect(picture) == []
    faceless = len(looked)
    finder.any_way_up = False
    assert finder.detect(picture) == []
    assert len(looked) - faceless < faceless / 3

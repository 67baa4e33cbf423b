import math

import numpy as np
import pytest

from mien.detection.boxes import Candidates, leaning_half_sides, nms, roll_degrees, upright_box
from mien.detection.decoding import STRIDES, VALUES, Maps, decode, find_faces
from mien.preprocessing import ImageArray


def empty_maps(height: int, width: int) -> list[np.ndarray]:
    maps = [np.zeros((VALUES, height // stride, width // stride), np.float32) for stride in STRIDES]
    for each in maps:
        each[0] = -10
    return maps


def test_decoding_by_hand() -> None:
    maps = empty_maps(64, 96)
    cell = maps[0][:, 2, 5]  # the centre of this cell is (44, 20)
    cell[0] = math.log(0.8 / 0.2)
    cell[1:5] = 0.5, -0.25, math.log(2), math.log(1.5)  # centre (48, 18), 64 x 48
    cell[5:7] = -0.5, 0.25  # left eye, in units of 32 x 24
    maps[2][0, 1, 0] = math.log(0.9 / 0.1)  # the centre of this cell is (16, 48), the usual face 128 x 128
    found = decode(maps, 0.5)
    np.testing.assert_allclose(found.scores, [0.9, 0.8], atol=1e-6)
    np.testing.assert_allclose(found.boxes_xyxy, [[-48, -16, 80, 112], [16, -6, 80, 42]], atol=1e-4)
    np.testing.assert_allclose(found.landmarks_xy[1], [[32, 24], *[[48, 18]] * 4], atol=1e-4)
    assert len(decode(maps, 0.85).scores) == 1
    assert decode(empty_maps(64, 64), 0.5).boxes_xyxy.shape == (0, 4)


def test_repetitions_go_the_surest_stays() -> None:
    boxes = np.array([[0, 0, 10, 10], [1, 0, 11, 10], [8, 0, 18, 10], [30, 30, 40, 40]], np.float32)
    scores = np.array([0.9, 0.8, 0.7, 0.6], np.float32)  # the first two share 90 of 110, the first and third 20 of 180
    kept = nms(Candidates(boxes, scores, np.zeros((4, 5, 2), np.float32)))
    assert kept.scores.tolist() == pytest.approx([0.9, 0.7, 0.6])
    landmarks = np.zeros((4, 5, 2), np.float32)
    landmarks[:, 2] = [[1, 0], [2, 0], [50, 0], [5, 7]]
    mean = nms(Candidates(boxes, scores, landmarks)).landmarks_xy[:, 2]
    np.testing.assert_allclose(mean, [[(0.9 * 1 + 0.8 * 2) / 1.7, 0], [50, 0], [5, 7]], rtol=1e-6)
    boxes, landmarks = np.concatenate((boxes, boxes[:1])), np.concatenate((landmarks, landmarks[2:3]))
    unsure = Candidates(boxes, np.append(scores, np.float32(0.2)), landmarks)
    np.testing.assert_array_equal(nms(unsure).landmarks_xy[:, 2], mean)  # it is not heard
    assert (nms(unsure[np.array([4])]).landmarks_xy[:, 2] == [50, 0]).all()
    nothing = Candidates(boxes[:0], scores[:0], np.zeros((0, 5, 2), np.float32))
    assert len(nms(nothing).scores) == 0


@pytest.mark.parametrize(
    ("height", "width", "seen"),
    [
        (480, 640, (192, 256)),
        (90, 70, (256, 192)),
        (40, 40, (160, 160)),
        (1, 1, (32, 32)),
        (3000, 30, (3008, 32)),
        (2400, 120, (1920, 96)),
    ],
)
def test_boxes_are_in_pixels_of_the_picture(height: int, width: int, seen: tuple[int, int]) -> None:
    """A network that finds a face in its first cell, whatever the picture, when it looks first."""
    looks: list[tuple[int, ...]] = []

    def network(image: ImageArray) -> Maps:
        looks.append(image.shape)
        maps = empty_maps(*image.shape[:2])
        maps[0][0, 0, 0] = 5 if len(looks) == 1 else -10
        return maps

    found = find_faces(np.full((height, width, 3), 200, np.uint8), network, 256, 0.5)
    assert looks[0] == (*seen, 3)
    scale_x, scale_y = width / seen[1], height / seen[0]
    expected = np.array([-12 * scale_x, -12 * scale_y, 20 * scale_x, 20 * scale_y])
    np.testing.assert_allclose(found.boxes_xyxy[0], expected, rtol=1e-5)
    np.testing.assert_allclose(found.landmarks_xy[0, 0], [4 * scale_x, 4 * scale_y], rtol=1e-5)


def test_large_faces_are_found_in_smaller_looks() -> None:
    """A network that finds a face that fills the picture, the surer the smaller it is."""
    looks: list[tuple[int, ...]] = []

    def network(image: ImageArray) -> Maps:
        looks.append(image.shape[:2])
        maps = empty_maps(*image.shape[:2])
        cell = maps[2][:, len(image) // 64, len(image) // 64]
        cell[0] = len(looks)
        cell[1:5] = -0.5, -0.5, math.log(len(image) / 128), math.log(len(image) / 128)
        maps[0][0, 0, 0] = len(looks) - 2  # a small face, of which only the first look is believed
        maps[0][3:5, 0, 0] = math.log(0.5)
        return maps

    found = find_faces(np.zeros((1152, 1152, 3), np.uint8), network, 1152, 0.2)
    assert looks == [(1152, 1152), (576, 576), (288, 288), (128, 128)]
    looks.clear()
    assert len(find_faces(np.zeros((1152, 1152, 3), np.uint8), network, 1152, 0.3).scores) == 1
    looks.clear()
    assert len(find_faces(np.zeros((1152, 1152, 3), np.uint8), network, 1152, 0.99).scores) == 0
    assert found.scores == pytest.approx([1 / (1 + math.exp(-4)), 1 / (1 + math.exp(1))])
    np.testing.assert_allclose(found.boxes_xyxy, [[0, 0, 1152, 1152], [-4, -4, 12, 12]], atol=1e-3)


def test_the_lean_of_a_face() -> None:
    landmarks = np.array([[10, 10], [20, 20], [0, 0], [0, 0], [0, 0]], np.float32)
    assert roll_degrees(landmarks) == pytest.approx(45)
    assert roll_degrees(landmarks[[1, 0, 2, 3, 4]]) == pytest.approx(-135)


@pytest.mark.parametrize("degrees", [0, 10, -20, 30, -45, 60])
def test_an_upright_box_comes_back(degrees: float) -> None:
    half_width, half_height = 50.0, 64.5
    cosine, sine = math.cos(math.radians(degrees)) ** 2, math.sin(math.radians(degrees)) ** 2
    wide = math.sqrt(half_width**2 * cosine + half_height**2 * sine)
    high = math.sqrt(half_width**2 * sine + half_height**2 * cosine)
    assert leaning_half_sides(half_width, half_height, degrees) == pytest.approx((wide, high))
    leaning = np.array([100 - wide, 200 - high, 100 + wide, 200 + high], np.float32)
    expected = (100 - half_width, 200 - half_height, 100 + half_width, 200 + half_height)
    assert upright_box(leaning, degrees) == pytest.approx(expected, abs=1e-3)


def test_an_unusual_box_comes_back_while_it_hardly_leans() -> None:
    cosine, sine = math.cos(math.radians(12)) ** 2, math.sin(math.radians(12)) ** 2
    wide, high = math.sqrt(2500 * cosine + 2500 * sine), math.sqrt(2500 * sine + 2500 * cosine)
    square = np.array([100 - wide, 200 - high, 100 + wide, 200 + high], np.float32)
    assert upright_box(square, 12) == pytest.approx((50, 150, 150, 250), abs=1e-3)
    x0, y0, x1, y1 = upright_box(np.array([0, 0, 100, 5], np.float32), 10)  # a strip that the picture's edge left
    assert (y1 - y0) / (x1 - x0) == pytest.approx(0.8)
    before, after = upright_box(square, 24.99), upright_box(square, 25.01)
    assert before == pytest.approx(after, abs=0.1)

import numpy as np
import pytest

from mien.drawing import _Chart, draw_faces
from mien.expressions import BASIC_7
from mien.results import Face

SCORES = dict(zip(BASIC_7, (0.01, 0.02, 0.03, 0.85, 0.04, 0.02, 0.03), strict=True))


def test_the_picture_given_stays_as_it_is() -> None:
    image = np.full((400, 500, 3), 90, np.uint8)
    drawn = draw_faces(image, [Face((200, 100, 300, 200), 0.9, SCORES)])
    assert (image == 90).all()
    assert drawn.shape == image.shape
    assert drawn.dtype == np.uint8


def test_box_and_chart_stand_where_they_should() -> None:
    image = np.full((400, 600, 3), 90, np.uint8)
    drawn = draw_faces(image, [Face((200, 100, 300, 200), 0.9, SCORES)])
    assert drawn[100, 250].tolist() == [240, 228, 66]  # the box, in the colour of happiness
    assert (drawn[110:190, 210:290] == 90).all()  # the face itself stays free
    changed = np.argwhere((drawn != 90).any(axis=2))
    assert changed[:, 1].max() > 330  # the chart, to the right
    assert changed[:, 1].min() >= 199


@pytest.mark.parametrize("size", [(1, 1), (48, 48), (30, 900), (900, 30), (3000, 4000)])
@pytest.mark.parametrize("place", [(0, 0, 1, 1), (-0.2, -0.2, 0.4, 0.4), (0.7, 0.7, 1.3, 1.3), (1.5, 1.5, 2, 2)])
def test_any_size_and_place(size: tuple[int, int], place: tuple[float, float, float, float]) -> None:
    height, width = size
    box = (place[0] * width, place[1] * height, place[2] * width, place[3] * height)
    image = np.full((height, width, 3), 90, np.uint8)
    drawn = draw_faces(image, [Face(box, 1.0, SCORES), Face(box, 1.0, {"wink": 1.0})])
    for scores in (SCORES, {"a class with a very long name of its own": 0.5, "wink": 0.5}):
        picture_size = (drawn.shape[1], drawn.shape[0])
        chart = _Chart(Face(box, 1.0, scores), box, picture_size)
        x0, y0, x1, y1 = chart.place(box, [box])
        assert 0 <= x0 < x1 <= picture_size[0]
        assert 0 <= y0 < y1 <= picture_size[1]
        assert chart.font_px >= 8
    assert drawn.shape[0] % height == 0
    assert drawn.shape[0] // height == drawn.shape[1] // width
    assert (drawn != 90).any()


def test_a_question_mark_stands_after_what_the_network_is_unsure_of() -> None:
    box = (0.0, 0.0, 100.0, 100.0)
    for unsure_below, first in ((0.8, "happiness"), (0.9, "happiness?")):
        chart = _Chart(Face(box, 1.0, SCORES, None, unsure_below), box, (400, 400))
        shown = [row[0] for row in chart.rows]
        assert shown[0] == first
        assert set(shown[1:]) == set(BASIC_7) - {"happiness"}
    image = np.full((400, 600, 3), 90, np.uint8)
    sure, unsure = (draw_faces(image, [Face(box, 0.9, SCORES, None, below)]) for below in (0.0, 0.9))
    assert (sure != unsure).any()


def test_without_faces_small_pictures_are_enlarged_only() -> None:
    image = np.random.default_rng(0).integers(0, 256, (400, 500, 3)).astype(np.uint8)
    assert (draw_faces(image, []) == image).all()


def test_charts_avoid_the_other_face() -> None:
    image = np.full((400, 900, 3), 90, np.uint8)
    left, right = (300, 100, 400, 200), (410, 100, 510, 200)
    drawn = draw_faces(image, [Face(left, 1.0, SCORES), Face(right, 1.0, SCORES)])
    for x0, y0, x1, y1 in (left, right):
        assert (drawn[y0 + 5 : y1 - 5, x0 + 5 : x1 - 5] == 90).all()

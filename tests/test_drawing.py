import numpy as np
import pytest

from mien.chart_places import Rectangle, crosses, leader, nearest_free
from mien.drawing import Chart, draw_faces, place_charts
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
        inside = tuple(min(max(0.0, side), limit - 1.0) for side, limit in zip(box, picture_size * 2, strict=True))
        ((chart, (x0, y0, x1, y1)),) = place_charts([Face(box, 1.0, scores)], [inside], picture_size)
        assert 0 <= x0 < x1 <= picture_size[0]
        assert 0 <= y0 < y1 <= picture_size[1]
        assert chart.font_px >= 8
    assert drawn.shape[0] % height == 0
    assert drawn.shape[0] // height == drawn.shape[1] // width
    assert (drawn != 90).any()


def test_a_question_mark_stands_after_what_the_network_is_unsure_of() -> None:
    box = (0.0, 0.0, 100.0, 100.0)
    for unsure_below, first in ((0.8, "happiness"), (0.9, "happiness?")):
        chart = Chart(Face(box, 1.0, SCORES, None, unsure_below), box, (400, 400))
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


def crowd(columns: int, rows: int, pitch: tuple[int, int], size: tuple[int, int]) -> list[Rectangle]:
    """Faces in rows and columns, in the middle of tiles."""
    (across, down), (wide, high) = pitch, size
    corners = [((column + 0.5) * across, (row + 0.5) * down) for row in range(rows) for column in range(columns)]
    return [(x - wide / 2, y - high / 2, x + wide / 2, y + high / 2) for x, y in corners]


def overlap(first: Rectangle, second: Rectangle) -> bool:
    return first[0] < second[2] and second[0] < first[2] and first[1] < second[3] and second[1] < first[3]


@pytest.mark.parametrize(
    ("boxes", "size", "shown"),
    [
        ([(200.0, 100.0, 300.0, 220.0)], (512, 512), 7),
        (crowd(3, 3, (426, 288), (75, 90)), (1280, 864), 7),
        (crowd(6, 2, (200, 330), (90, 110)), (1200, 660), 3),
        (crowd(12, 8, (100, 120), (36, 45)), (1200, 960), 1),
        (crowd(12, 8, (78, 100), (40, 50)), (960, 800), 1),  # lines are wider than from face to face
    ],
    ids=["portrait", "call", "team", "class", "dense class"],
)
def test_charts_shrink_and_cover_no_face_and_no_other(
    boxes: list[Rectangle], size: tuple[int, int], shown: int
) -> None:
    found = place_charts([Face(box, 1.0, SCORES) for box in boxes], boxes, size)
    places = [place for _, place in found]
    assert {len(chart.rows) for chart, _ in found} == {shown}
    assert min(chart.font_px for chart, _ in found) >= 9
    for index, place in enumerate(places):
        assert place[0] >= 0
        assert place[1] >= 0
        assert place[2] <= size[0]
        assert place[3] <= size[1]
        assert not any(overlap(place, box) for box in boxes)
        assert not any(overlap(place, other) for other in places[:index])
        assert not crosses(leader(place, boxes[index]), [box for box in boxes if box != boxes[index]])


def test_a_face_that_fills_the_picture_has_a_line_at_its_lower_edge() -> None:
    box = (0.0, 0.0, 399.0, 399.0)
    ((chart, place),) = place_charts([Face(box, 1.0, SCORES)], [box], (400, 400))
    assert chart.is_line
    assert place[3] == 399
    assert place[1] > 370


def test_a_line_leads_to_a_chart_that_stands_apart() -> None:
    face, blocked = (100.0, 100.0, 140.0, 150.0), [(0.0, 0.0, 400.0, 99.0), (0.0, 151.0, 400.0, 200.0)]
    place = nearest_free((60, 20), face, (145, 100), [face], [*blocked, (141.0, 90.0, 180.0, 160.0)], (400, 400), 4, 90)
    assert place is not None
    assert place[0] >= 180 or place[2] <= 96
    assert nearest_free((60, 20), face, (145, 100), [face], [(0, 0, 400, 400)], (400, 400), 4, 90) is None
    assert nearest_free((600, 20), face, (145, 100), [face], [], (400, 400), 4, 90) is None
    assert leader((200, 110, 260, 130), face) == ((200, 120), (140, 120))
    assert leader((150, 10, 260, 30), face) == ((150, 30), (140, 100))
    assert crosses(((0, 0), (10, 10)), [(4, 4, 6, 6)])
    assert crosses(((0, 5), (10, 5)), [(4, 4, 6, 6)])
    assert not crosses(((0, 0), (10, 10)), [(6, 0, 10, 4)])
    assert not crosses(((0, 7), (10, 7)), [(4, 4, 6, 6)])


def test_the_title_stands_in_the_line_too() -> None:
    box = (0.0, 0.0, 40.0, 40.0)
    chart = Chart(Face(box, 1.0, SCORES), box, (400, 400), "person 3", rows=1)
    assert chart.rows[0][0] == "person 3: happiness"
    assert chart.title == ""

import random
from dataclasses import replace

import numpy as np
import pytest

from mien.detection.boxes import iou
from mien.results import Face
from mien.video.tracking import (
    People,
    TrackedFace,
    TrackingOptions,
    between,
    follow,
    smooth,
)

OPTIONS = TrackingOptions(confirmed_s=0)
FRAME_S = 1 / 25


def face(x: float, y: float = 100.0, size: float = 40.0, happiness: float = 0.5) -> Face:
    return Face((x, y, x + size, y + size), 0.9, {"happiness": happiness, "neutral": 1 - happiness})


def walk(frames: list[list[Face]], options: TrackingOptions = OPTIONS) -> list[list[TrackedFace]]:
    people, found = People(), []
    for index, faces in enumerate(frames):
        people, tracked = follow(people, faces, index * FRAME_S, options)
        found.append(tracked)
    return found


def numbers(frames: list[list[TrackedFace]]) -> list[list[int]]:
    return [[tracked.person for tracked in frame] for frame in frames]


def test_a_moving_face_keeps_its_number() -> None:
    assert set(map(tuple, numbers(walk([[face(4.0 * index)] for index in range(60)])))) == {(1,)}


def test_two_faces_are_numbered_in_their_order_and_whatever_order_they_come_in() -> None:
    left, right = face(0), face(200)
    assert numbers(walk([[left, right], [right, left], [left, right]])) == [[1, 2], [2, 1], [1, 2]]


def test_two_people_who_cross_keep_their_numbers() -> None:
    frames = [[face(5.0 * index), face(300 - 5.0 * index, y=106)] for index in range(61)]
    assert numbers(walk(frames)) == [[1, 2]] * 61


def test_hidden_behind_another_while_crossing() -> None:
    """From frame 26 to 34 only the one in front is found."""
    frames = [[face(5.0 * index), face(300 - 5.0 * index, y=106)] for index in range(61)]
    for index in range(26, 35):
        frames[index] = frames[index][:1]
    found = numbers(walk(frames))
    assert all(each == [1] for each in found[26:35])
    assert found[35:] == [[1, 2]] * 26


@pytest.mark.parametrize("jitter_px", [1.0, 2.0])
def test_who_is_hidden_does_not_take_the_face_in_front(jitter_px: float) -> None:
    """One sits, another walks past before, and the detector finds one of both where they overlap."""
    draw = np.random.default_rng(0)
    for _ in range(20):
        frames = []
        for x in range(0, 400, 4):
            seen = [face(x, 100), *([] if abs(x - 200) < 30 else [face(200, 100)])]
            frames.append([moved(each, *draw.normal(0, jitter_px, 2)) for each in seen])
        found = numbers(walk(frames))
        assert found[-1] == found[20] == [1, 2]


def moved(known: Face, right: float, down: float) -> Face:
    x0, y0, x1, y1 = known.box_xyxy
    return replace(known, box_xyxy=(x0 + right, y0 + down, x1 + right, y1 + down))


def test_a_short_loss_keeps_the_number_and_a_long_one_does_not() -> None:
    for lost, expected in ((70, 1), (80, 2)):  # 2.84 and 3.24 seconds from face to face
        frames = [[face(50)]] * 5 + [[]] * lost + [[face(50)]]
        assert numbers(walk(frames))[-1] == [expected]


def test_somebody_who_leaves_and_somebody_else_who_comes() -> None:
    frames = [[face(50)]] * 5 + [[]] * 5 + [[face(300)]] * 5
    assert numbers(walk(frames))[-1] == [2]


def test_who_turned_while_out_of_sight() -> None:
    """Seen going to the right at 100 pixels a second, then hidden for a second; the face may have turned."""
    before = [[face(4.0 * index)] for index in range(10)]
    for x, size, expected in ((10, 40, 1), (36, 40, 1), (120, 40, 1), (-60, 40, 2), (36, 80, 2), (36, 20, 2)):
        back = [[face(x, 100 + (40 - size) / 2, size)]] * 3
        assert numbers(walk([*before, *[[]] * 25, *back]))[-1] == [expected]


def test_the_nearest_of_two_out_of_sight_is_back() -> None:
    frames = [[face(0), face(60)]] * 5 + [[]] * 10 + [[face(40)]] * 5
    assert numbers(walk(frames))[-1] == [2]


def test_a_face_that_grows_is_followed() -> None:
    frames = [[face(100 - 1.5 * index, 100 - 1.5 * index, 40 + 3.0 * index)] for index in range(40)]
    assert set(map(tuple, numbers(walk(frames)))) == {(1,)}


def test_smoothing_worked_by_hand() -> None:
    before, now = {"a": 1.0, "b": 0.0}, {"a": 0.2, "b": 0.8}
    assert smooth(before, now, 0.3, 0.3) == pytest.approx({"a": 0.6, "b": 0.4})
    assert smooth(before, now, 0.6, 0.3) == pytest.approx({"a": 0.25 + 0.75 * 0.2, "b": 0.6})
    assert smooth(before, now, 0.1, 0) == now


def test_smoothing_goes_by_time_not_by_frames() -> None:
    people, found = People(), []
    for time_s, happiness in ((0.0, 0.0), (0.3, 1.0), (0.9, 1.0)):
        people, (tracked,) = follow(people, [face(0, happiness=happiness)], time_s, OPTIONS)
        found.append(tracked.scores["happiness"])
    assert found == pytest.approx([0, 0.5, 0.875])  # one half-life of 0.3 s, then two


def test_a_flicker_of_one_frame_does_not_change_the_expression() -> None:
    frames = [[face(50, happiness=0.9)]] * 10 + [[face(50, happiness=0.1)]] + [[face(50, happiness=0.9)]] * 3
    found = walk(frames)
    assert [each[0].expression for each in found] == ["happiness"] * 14
    assert found[10][0].face.expression == "neutral"  # raw scores are kept
    assert sum(found[10][0].scores.values()) == pytest.approx(1)
    lasting = [[face(50, happiness=0.9)]] * 10 + [[face(50, happiness=0.1)]] * 20
    assert walk(lasting)[-1][0].expression == "neutral"


def test_overlap_worked_by_hand() -> None:
    assert iou((0, 0, 10, 10), [(5, 0, 15, 10)])[0] == pytest.approx(50 / 150)
    assert iou((0, 0, 10, 10), [(20, 0, 30, 10)])[0] == 0


@pytest.mark.parametrize("wrong", [{"memory_s": -1}, {"half_life_s": float("nan")}, {"overlap": 0}])
def test_impossible_options(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        TrackingOptions(**wrong)


def test_a_short_false_hit_is_nobody() -> None:
    """Found in 4 frames, 0.12 s; then in 6, 0.2 s, which confirms it in the last of them."""
    options = TrackingOptions(confirmed_s=0.2)
    frames = [[face(50), face(300)] if index < 4 or 10 <= index < 16 else [face(50)] for index in range(20)]
    found = numbers(walk(frames, options))
    assert found[:5] == [[]] * 5
    assert found[5:15] == [[1]] * 10
    assert found[15] == [1, 2]
    assert found[16:] == [[1]] * 4


def test_between_looks_faces_move_on() -> None:
    people, _ = follow(People(), [face(0, size=100)], 0.0, OPTIONS)
    people, _ = follow(people, [face(30, size=100)], 0.3, OPTIONS)
    (tracked,) = between(people, 0.4)  # 100 pixels a second
    assert (tracked.person, tracked.looked) == (1, False)
    assert tracked.face.box_xyxy == pytest.approx((40, 100, 140, 200))
    turned, _ = follow(people, [face(30, size=100)], 0.4, OPTIONS)  # 0 pixels a second, believed by half
    assert between(turned, 0.5)[0].face.box_xyxy == pytest.approx((35, 100, 135, 200))
    assert tracked.face.landmarks_xy is None
    people, _ = follow(people, [], 0.5, OPTIONS)
    assert between(people, 0.6) == []  # who was not found in the last look is not shown
    assert between(People(), 0.0) == []


def test_landmarks_move_on_with_their_face() -> None:
    places = ((10.0, 110.0), (30.0, 110.0), (20.0, 120.0), (12.0, 130.0), (28.0, 130.0))
    seen = [replace(face(x, size=100), landmarks_xy=tuple((px + x, py) for px, py in places)) for x in (0, 30)]
    people, _ = follow(People(), [seen[0]], 0.0, OPTIONS)
    people, _ = follow(people, [seen[1]], 0.3, OPTIONS)
    (tracked,) = between(people, 0.4)
    assert tracked.face.landmarks_xy is not None
    assert tracked.face.landmarks_xy[0] == pytest.approx((50, 110))
    assert tracked.face.landmarks_xy[4] == pytest.approx((68, 130))


def test_looks_that_are_further_apart_than_the_memory() -> None:
    people, found = People(), []
    for index in range(5):
        people, tracked = follow(people, [face(50 + 2 * index)], index * 2.0, TrackingOptions())
        found.append([each.person for each in tracked])
    assert found == [[], [], [1], [1], [1]]  # three looks make somebody


@pytest.mark.parametrize("rate", [25, 60])
def test_jitter_and_a_short_loss_keep_the_number(rate: int) -> None:
    """The boxes of a still face of 100 pixels jitter by 3 pixels; it is lost for 0.8 s."""
    kept = 0
    for seed in range(20):
        draw, people, tracked = random.Random(seed), People(), []
        for index in range(3 * rate):
            if rate <= index < 1.8 * rate:
                faces = []
            else:
                faces = [face(draw.gauss(100, 3), draw.gauss(100, 3), draw.gauss(100, 3))]
            people, tracked = follow(people, faces, index / rate, OPTIONS)
        kept += [each.person for each in tracked] == [1]
    assert kept == 20

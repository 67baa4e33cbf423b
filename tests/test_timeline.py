import numpy as np
import pytest

from mien.drawing import COLOURS
from mien.results import Face
from mien.video.timeline import FIRST_BIN_S, MOST_BINS, MOST_KEPT, Timeline, clock
from mien.video.tracking import TrackedFace

NAMES = ("happiness", "neutral")


def tracked(person: int, happiness: float) -> TrackedFace:
    scores = {"happiness": happiness, "neutral": 1 - happiness}
    return TrackedFace(person, Face((0, 0, 10, 10), 0.9, {"happiness": 0.5, "neutral": 0.5}), True, scores)


def test_seconds_and_transitions_by_hand() -> None:
    timeline = Timeline(NAMES)
    for time_s, faces in (
        (0.0, [tracked(1, 0.9)]),
        (0.5, [tracked(1, 0.2), tracked(2, 0.1)]),
        (0.7, [tracked(1, 0.8)]),
        (5.0, []),
        (6.0, [tracked(1, 0.7)]),
    ):
        timeline.add(time_s, faces)
    timeline.finish(6.04)
    first, second = (timeline.people[number].to_dict() for number in (1, 2))
    # 0.5 s until the second frame, 1 s at most for the long gap, and the last frame
    assert first["seconds"] == {"happiness": pytest.approx(0.5 + 1 + 0.04), "neutral": pytest.approx(0.2)}
    assert first["transitions"] == {"happiness to neutral": 1, "neutral to happiness": 1}
    assert (first["first_s"], first["last_s"]) == (0, 6)
    assert second == {"person": 2, "first_s": 0.5, "last_s": 0.5, "seconds": {"neutral": 0.2}, "transitions": {}}


def test_shares_are_means_over_time() -> None:
    timeline = Timeline(NAMES)
    timeline.add(0.0, [tracked(1, 1.0)])
    timeline.add(0.03, [tracked(1, 0.0)])  # in the same bin
    timeline.add(0.04, [])
    (place,) = timeline.shares(1)
    assert place == 0
    np.testing.assert_allclose(timeline.shares(1)[0], [0.75, 0.25])
    timeline.add(0.06, [tracked(1, 0.0)])
    timeline.finish(0.16)
    assert sorted(timeline.shares(1)) == [0, 1, 2, 3]


def test_memory_is_bounded_and_long_videos_keep_their_proportions() -> None:
    timeline = Timeline(NAMES)
    for index in range(20_000):
        timeline.add(index * 0.5, [tracked(1, 1.0 if index < 5_000 else 0.0)])
    timeline.finish(10_000)
    shares = timeline.shares(1)
    assert len(shares) <= MOST_BINS
    assert timeline.bin_s == FIRST_BIN_S * 2**8
    assert max(shares) + 1 == pytest.approx(10_000 / timeline.bin_s, abs=1)
    assert sum(share[0] > 0.5 for share in shares.values()) / len(shares) == pytest.approx(0.25, abs=0.01)
    assert timeline.people[1].seconds == {"happiness": pytest.approx(2_500), "neutral": pytest.approx(7_500)}


@pytest.mark.parametrize("rate", [2, 10, 15, 25, 240])
def test_a_face_that_is_always_there_has_no_gaps(rate: int) -> None:
    timeline = Timeline(NAMES, start_s=3540.0)  # as after going on late in a video
    for index in range(20 * rate):
        timeline.add(3540 + index / rate, [tracked(1, 0.9)])
    timeline.finish(3560.0)
    assert sorted(timeline.shares(1)) == list(range(400))
    coloured = (timeline.draw()[20, 110:1070] != 244).any(axis=1)
    assert coloured.mean() > 0.99


def test_many_people_are_not_all_remembered_over_time() -> None:
    timeline = Timeline(NAMES)
    for number in range(1, 501):
        timeline.add(float(number), [tracked(number, 0.5)] + [tracked(1, 0.5)] * (number > 1))
        timeline.add(number + (0.9 if number == 77 else 0.1), [])
    timeline.finish(502.0)
    kept = [number for number in timeline.people if timeline.shares(number)]
    assert len(timeline.people) == 500
    assert len(kept) <= MOST_KEPT + 1
    assert {1, 77} <= set(kept)
    assert timeline.draw().shape[0] < 1000


def test_the_picture_shows_the_stack() -> None:
    timeline = Timeline(NAMES)
    timeline.add(0.0, [tracked(1, 0.75)])
    timeline.add(1.0, [])
    timeline.add(2.0, [tracked(2, 0.0)])
    timeline.add(3.0, [])
    timeline.finish(4.0)
    picture = timeline.draw()
    colours = [tuple(int(COLOURS[name][at : at + 2], 16) for at in (1, 3, 5)) for name in NAMES]
    row = picture[16:106]
    happy = (row == colours[0]).all(axis=2).sum(axis=0)
    neutral = (row == colours[1]).all(axis=2).sum(axis=0)
    inside = happy > 0
    assert inside[:110].sum() == 0
    assert np.flatnonzero(inside).tolist() == list(range(111, 110 + 240))  # the first of four seconds
    assert happy[inside][0] == pytest.approx(0.75 * 90, abs=2)
    assert neutral[inside][0] == pytest.approx(0.25 * 90, abs=2)
    second = (picture[120:210] == colours[1]).all(axis=2).any(axis=0).nonzero()[0]
    assert second.tolist() == list(range(110 + 480, 110 + 720))
    empty = Timeline(NAMES)
    assert empty.draw().shape[2] == 3


def test_clock() -> None:
    assert [clock(7), clock(3723), clock(0.5, 0.5), clock(1, 0.5)] == ["0:07", "1:02:03", "0.5 s", "1.0 s"]

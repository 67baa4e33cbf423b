import numpy as np
import pytest

from mien.drawing import COLOURS
from mien.results import Face
from mien.timeline import FIRST_BIN_S, MOST_BINS, Timeline, clock
from mien.tracking import TrackedFace

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


def test_the_picture_shows_the_stack() -> None:
    timeline = Timeline(NAMES)
    timeline.add(0.0, [tracked(1, 0.75)])
    timeline.add(1.0, [])
    timeline.add(2.0, [tracked(2, 0.0)])
    timeline.finish(3.0)
    picture = timeline.draw()
    colours = [tuple(int(COLOURS[name][at : at + 2], 16) for at in (1, 3, 5)) for name in NAMES]
    row = picture[16:106]
    happy = (row == colours[0]).all(axis=2).sum(axis=0)
    neutral = (row == colours[1]).all(axis=2).sum(axis=0)
    inside = happy > 0
    assert inside[:110].sum() == 0
    assert happy[inside][0] == pytest.approx(0.75 * 90, abs=2)
    assert neutral[inside][0] == pytest.approx(0.25 * 90, abs=2)
    second = (picture[120:210] == colours[1]).all(axis=2).any(axis=0).nonzero()[0]
    assert second.min() > 110 + 960 * 0.6  # only at the end
    empty = Timeline(NAMES)
    assert empty.draw().shape[2] == 3


def test_clock() -> None:
    assert [clock(7), clock(3723), clock(0.5, 0.5), clock(1, 0.5)] == ["0:07", "1:02:03", "0.5 s", "1.0 s"]

"""Results travel: through pickles, copies, sets, `asdict` and JSON; what is no result is refused."""

import copy
import json
import pickle
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pytest

from mien.detection.detection import Detection
from mien.errors import InputError, MienError
from mien.results import Face, Scores
from mien.video.tracking import TrackedFace

BOX = np.array([1, 2, 30, 40], np.float32)
LANDMARKS = np.arange(10, dtype=np.float32).reshape(5, 2)
SCORES = {"fear": np.float32(0.75), "anger": np.float64(0.25)}


def face() -> Face:
    return Face(BOX, np.float32(0.5), SCORES, LANDMARKS, np.float16(0.5))  # type: ignore[arg-type]


RESULTS: dict[str, Callable[[], Any]] = {
    "Face": face,
    "TrackedFace": lambda: TrackedFace(1, face(), True, SCORES),  # type: ignore[arg-type]
    "Detection": lambda: Detection(BOX, np.float32(0.5), LANDMARKS, np.float32(3), BOX),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("kind", RESULTS)
def test_results_travel(kind: str) -> None:
    result, again = RESULTS[kind](), RESULTS[kind]()
    assert result == again
    assert len({result, again}) == 1
    for way in (copy.copy, copy.deepcopy, lambda each: pickle.loads(pickle.dumps(each))):
        there = way(result)
        assert there == result
        assert hash(there) == hash(result)
    assert json.loads(json.dumps(asdict(result))) == json.loads(json.dumps(asdict(there)))
    assert {type(value) for value in numbers(asdict(result))} <= {float, int, bool}


def numbers(value: Any) -> list[Any]:
    """All that stands in dicts and tuples."""
    if isinstance(value, dict):
        return [each for inner in value.values() for each in numbers(inner)]
    return [each for inner in value for each in numbers(inner)] if isinstance(value, tuple) else [value]


@pytest.mark.parametrize("kind", RESULTS)
def test_results_cannot_be_changed(kind: str) -> None:
    result = RESULTS[kind]()
    for name in vars(result):
        with pytest.raises(AttributeError):
            setattr(result, name, None)


def test_scores_cannot_be_changed() -> None:
    scores: Any = face().scores
    assert scores == {"fear": 0.75, "anger": 0.25}
    changes: list[Callable[[], Any]] = [
        lambda: scores.__setitem__("fear", 1.0),
        lambda: scores.__delitem__("fear"),
        lambda: scores.__ior__({"fear": 1.0}),
        lambda: scores.update(fear=1.0),
        lambda: scores.setdefault("joy", 1.0),
        lambda: scores.pop("fear"),
        lambda: scores.popitem(),
        lambda: scores.clear(),
    ]
    for change in changes:
        with pytest.raises(TypeError, match=r"scores cannot be changed; dict\(scores\) is a copy that can"):
            change()
    assert hash(scores) == hash(Scores({"anger": 0.25, "fear": 0.75}))
    own = dict(scores)
    own["fear"] = 0.5
    assert scores["fear"] == 0.75


def test_a_tracked_face_has_its_box_and_smoothed_confidence() -> None:
    tracked = TrackedFace(1, face(), True, {"fear": 0.4, "anger": 0.6})
    assert tracked.box_xyxy == (1, 2, 30, 40)
    assert (tracked.expression, tracked.confidence) == ("anger", 0.6)


NAN = float("nan")


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"scores": {"fear": 1.75, "anger": -0.75}}, "scores: expected probabilities that sum to 1, received {'fear'"),
        ({"scores": {"fear": NAN, "anger": 1.0}}, "scores: expected finite numbers"),
        ({"scores": {"fear": 0.9}}, "scores: expected probabilities that sum to 1"),
        ({"scores": {}}, "scores: expected probabilities that sum to 1"),
        ({"scores": {"fear": "much"}}, "scores: expected numbers"),
        ({"detection_score": NAN}, "detection_score: expected finite numbers"),
        ({"detection_score": 1.5}, "detection_score: expected a number in 0 to 1, received 1.5"),
        ({"unsure_below": NAN}, "unsure_below: expected finite numbers"),
        ({"unsure_below": -0.5}, "unsure_below: expected a number in 0 to 1, received -0.5"),
        ({"box_xyxy": (1, 2, 1, 4)}, "box_xyxy: expected .* with x0 < x1 and y0 < y1, received "),
        ({"box_xyxy": (1, 2, 3)}, "box_xyxy: expected .x0, y0, x1, y1."),
        ({"box_xyxy": (1, 2, NAN, 4)}, "box_xyxy: expected finite numbers"),
        ({"box_xyxy": None}, "box_xyxy: expected numbers, received None"),
        ({"landmarks_xy": LANDMARKS[:4]}, "landmarks_xy: expected 5 pairs"),
        ({"landmarks_xy": ((0.0, NAN),) * 5}, "landmarks_xy: expected finite numbers"),
    ],
)
def test_what_is_no_face_is_refused(changed: dict[str, Any], told: str) -> None:
    with pytest.raises(InputError, match=told) as caught:
        replace(face(), **changed)
    assert isinstance(caught.value, MienError)
    assert isinstance(caught.value, ValueError)
    if "scores" in changed:
        with pytest.raises(InputError, match=told):
            TrackedFace(1, face(), True, **changed)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"score": NAN}, "score: expected finite numbers"),
        ({"score": -0.75}, "score: expected a number in 0 to 1"),
        ({"box_xyxy": (3, 2, 1, 4)}, "box_xyxy: expected .x0, y0, x1, y1. with x0 < x1"),
        ({"upright_box_xyxy": (3, 2, 1, 4)}, "upright_box_xyxy: expected .x0, y0, x1, y1. with x0 < x1"),
        ({"roll_degrees": float("inf")}, "roll_degrees: expected finite numbers"),
        ({"landmarks_xy": LANDMARKS.T}, "landmarks_xy: expected 5 pairs"),
    ],
)
def test_what_is_no_detection_is_refused(changed: dict[str, Any], told: str) -> None:
    with pytest.raises(InputError, match=told):
        replace(Detection((0, 0, 4, 4), 0.5), **changed)

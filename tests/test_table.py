import doctest
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from mien import Face, to_table
from mien.video import Frame, TrackedFace

FEAR = Face((1, 2, 30, 40), 0.5, {"fear": 0.75, "anger": 0.25}, unsure_below=0.8)
ANGER = Face((5, 6, 7, 8), 0.9, {"fear": 0.1, "anger": 0.9})
COLUMNS = ["x0", "y0", "x1", "y1", "detection_score", "expression", "confidence", "unsure", "fear", "anger"]


def test_pictures_by_name_or_in_a_row() -> None:
    named = to_table({"a.jpg": [FEAR, ANGER], "none.jpg": [], "b.jpg": [ANGER]})
    assert list(named) == ["source", "face", *COLUMNS]
    assert named["source"] == ["a.jpg", "a.jpg", "b.jpg"]
    assert named["face"] == [0, 1, 0]
    assert named["x1"] == [30.0, 7.0, 7.0]
    assert named["expression"] == ["fear", "anger", "anger"]
    assert named["confidence"] == [0.75, 0.9, 0.9]
    assert named["unsure"] == [True, False, False]
    assert named["anger"] == [0.25, 0.9, 0.9]
    in_a_row = to_table(iter([[FEAR, ANGER], [], [ANGER]]))
    assert in_a_row == {**named, "source": [0, 0, 2]}


def test_the_faces_of_one_picture() -> None:
    assert to_table([FEAR, ANGER]) == to_table([[FEAR, ANGER]])


def test_nothing_still_has_columns() -> None:
    for nothing in ([], {}, [[]]):
        assert to_table(nothing) == {name: [] for name in ("source", "face", *COLUMNS[:-2])}


def test_classes_of_several_networks() -> None:
    wink = Face((0, 0, 1, 1), 1, {"wink": 1.0})
    table = to_table([FEAR, wink])
    assert (table["fear"], table["wink"]) == ([0.75, None], [None, 1.0])


def test_frames_of_a_video() -> None:
    image = np.zeros((2, 2, 3), np.uint8)

    def frames() -> Iterator[Frame]:
        smoothed = {"fear": 0.4, "anger": 0.6}
        yield Frame(0, 0.0, image, ())
        yield Frame(1, 0.04, image, (TrackedFace(3, FEAR, True, smoothed), TrackedFace(4, ANGER, False, smoothed)))

    table = to_table(frames())
    assert list(table) == ["frame", "time_s", "person", *COLUMNS]
    assert (table["frame"], table["time_s"], table["person"]) == ([1, 1], [0.04, 0.04], [3, 4])
    assert table["expression"] == ["anger", "anger"]
    assert table["unsure"] == [True, False]
    assert table["detection_score"] == [0.5, None]


@pytest.mark.parametrize("faces", [[FEAR, ANGER], []])
def test_the_documented_line_to_supervision(faces: list[Face]) -> None:
    pytest.importorskip("supervision")
    recognizer = SimpleNamespace(expressions=("anger", "fear"), recognize=lambda file: faces)
    place: dict[str, Any] = {"to_table": to_table, "recognizer": recognizer}
    examples = doctest.DocTestParser().get_examples(to_table.__doc__ or "")
    lines = [each.source for each in examples if doctest.SKIP in each.options]
    assert len(lines) == 3
    for line in lines:
        exec(line, place)
    found = place["detections"]
    assert found.xyxy.tolist() == [list(face.box_xyxy) for face in faces]
    assert found.confidence.tolist() == [face.confidence for face in faces]
    assert found.class_id.tolist() == [1, 0][: len(faces)]
    assert found["class_name"].tolist() == ["fear", "anger"][: len(faces)]

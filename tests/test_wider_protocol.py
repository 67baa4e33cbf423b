"""The protocol against a plain copy in loops of what the published tools do, and by hand."""

import numpy as np
import pytest

from mien.datasets.photographs import Photograph, Photographs
from mien.evaluation.wider_protocol import Found, wider_average_precision

BOXES = np.array([[0, 0, 39, 39], [100, 0, 139, 39], [200, 0, 239, 39]], np.float32)


def pictures(*faces: tuple[list[list[float]], list[str]], unsure: list[list[float]] | None = None) -> Photographs:
    found = []
    for boxes, labels in faces:
        array = np.array(boxes, np.float32).reshape(-1, 4)
        other = np.array(unsure or [], np.float32).reshape(-1, 4)
        found.append(Photograph(b"", array, np.ones(len(array), np.float32), None, tuple(labels), "x", other))
    return Photographs("val", found)


def hits(*faces: tuple[list[float], float]) -> Found:
    boxes = np.array([box for box, _ in faces], np.float32).reshape(-1, 4)
    return boxes, np.array([score for _, score in faces], np.float32)


def test_by_hand() -> None:
    """Two easy faces and a hard one: right, of another difficulty, wrong twice, right."""
    people = pictures((BOXES.tolist(), ["easy hard", "easy hard", "hard"]))
    found = [
        hits(
            ([0, 0, 39, 39], 1.0),
            ([200, 0, 239, 39], 0.9),
            ([300, 0, 339, 39], 0.8),
            ([0, 0, 39, 38], 0.7),
            ([100, 0, 139, 39], 0.0),
        )
    ]
    assert wider_average_precision(found, people, "easy") == pytest.approx((1 + 2 / 4) / 2)
    assert wider_average_precision(found, people, "hard") == pytest.approx((1 + 1 + 3 / 5) / 3)
    assert wider_average_precision(found, people, "medium") == 0


def test_pictures_without_true_faces_and_unsure_boxes() -> None:
    people = pictures((BOXES[:1].tolist(), ["hard"]), ([], []))
    found = [hits(([0, 0, 39, 39], 0.5)), hits(([0, 0, 39, 39], 0.9))]
    assert wider_average_precision(found, people, "hard") == 1
    people = pictures((BOXES[:1].tolist(), ["hard"]), unsure=[[100, 0, 139, 39]])
    assert wider_average_precision([hits(([100, 0, 139, 39], 0.9), ([0, 0, 39, 39], 0.5))], people, "hard") == 1
    assert wider_average_precision([hits()], people, "hard") == 0


def test_boxes_include_their_last_pixel() -> None:
    """10 of 19 pixels in 10 rows would be under a half by sides of 9 and 18."""
    people = pictures(([[0, 0, 9, 9]], ["hard"]))
    assert wider_average_precision([hits(([0, 0, 18, 9], 1.0))], people, "hard") == 1
    assert wider_average_precision([hits(([0, 0, 20, 9], 1.0))], people, "hard") == 0


def test_against_loops() -> None:
    draw = np.random.default_rng(0)
    people, found = [], []
    for _ in range(12):
        corners = draw.integers(0, 60, (6, 2))
        boxes = np.concatenate((corners, corners + draw.integers(10, 30, (6, 2))), axis=1)
        people.append((boxes.tolist(), ["hard" if draw.random() < 0.6 else "" for _ in boxes]))
        near = (boxes[draw.integers(0, 6, 9)] + draw.integers(-4, 5, (9, 4))).astype(np.float32)
        found.append((near, draw.random(9).astype(np.float32)))
    photographs = pictures(*people)
    assert wider_average_precision(found, photographs, "hard") == pytest.approx(_loops(found, photographs), abs=1e-9)


def _loops(found: list[Found], photographs: Photographs) -> float:
    scores = np.concatenate([each for _, each in found])
    curve, faces = np.zeros((1000, 2)), 0
    for (boxes, own), photograph in zip(found, photographs, strict=True):
        order = np.argsort(-own, kind="stable")
        stretched = (own[order].astype(float) - float(scores.min())) / (float(scores.max()) - float(scores.min()))
        counted = [label == "hard" for label in photograph.labels]
        faces += sum(counted)
        state, proposals, recalled = [0] * len(counted), [1] * len(own), []
        for place, box in enumerate(boxes[order]):
            shares = []
            for true in photograph.boxes_xyxy:
                wide, high = (min(box[2 + k], true[2 + k]) - max(box[k], true[k]) + 1 for k in (0, 1))
                shared = max(0, wide) * max(0, high)
                areas = [(each[2] - each[0] + 1) * (each[3] - each[1] + 1) for each in (box, true)]
                shares.append(shared / (sum(areas) - shared))
            best = int(np.argmax(shares))
            if shares[best] >= 0.5:
                if not counted[best]:
                    state[best] = proposals[place] = -1
                elif state[best] == 0:
                    state[best] = 1
            recalled.append(state.count(1))
        for step in range(1000):
            reached = np.nonzero(stretched >= 1 - (step + 1) / 1000)[0]
            if len(reached):
                curve[step] += (proposals[: reached[-1] + 1].count(1), recalled[reached[-1]])
    recall = np.concatenate(([0], curve[:, 1] / faces, [1]))
    precision = np.concatenate(([0], curve[:, 1] / np.maximum(1, curve[:, 0]), [0]))
    for place in range(len(precision) - 1, 0, -1):
        precision[place - 1] = max(precision[place - 1], precision[place])
    steps = np.nonzero(recall[1:] != recall[:-1])[0]
    return float(((recall[steps + 1] - recall[steps]) * precision[steps + 1]).sum())

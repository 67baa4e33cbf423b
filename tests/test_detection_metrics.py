import numpy as np
import pytest

from mien.evaluation.detection_metrics import Matches, average_precision, match, precision, recall

TRUTH = np.array([[0, 0, 40, 40], [100, 0, 140, 40], [200, 0, 210, 10]], np.float32)
COUNTED = np.array([True, True, False])


def matched(boxes: list[list[float]], scores: list[float]) -> Matches:
    return match(np.array(boxes, np.float32).reshape(-1, 4), np.array(scores, np.float32), TRUTH, COUNTED)


def test_each_true_face_is_found_once_the_surest_first() -> None:
    found = matched([[0, 0, 40, 38], [0, 0, 40, 40], [300, 0, 340, 40]], [0.6, 0.9, 0.7])
    assert found.scores.tolist() == pytest.approx([0.9, 0.7, 0.6])
    assert found.right.tolist() == [True, False, False]  # the third finds the first face again


def test_faces_that_do_not_count_are_neither_missed_nor_wrong() -> None:
    small_and_alone = [400.0, 0.0, 410.0, 10.0]
    found = matched([[200, 0, 210, 10], small_and_alone, [0, 0, 40, 40]], [0.9, 0.8, 0.7])
    assert found.scores.tolist() == pytest.approx([0.7])
    assert recall([found]) == 0.5
    assert recall([matched([], [])]) == 0


def test_too_little_overlap_is_no_hit() -> None:
    assert matched([[0, 0, 40, 19.9]], [0.9]).right.tolist() == [False]
    assert matched([[0, 0, 40, 20.1]], [0.9]).right.tolist() == [True]


def test_average_precision_by_hand() -> None:
    # Four faces; right, wrong, right, right, wrong: precision 1, 1/2, 2/3, 3/4, 3/5; its best at or after each hit is
    # 1, 3/4, 3/4, and one face is never found.
    found = Matches(
        np.array([0.9, 0.8, 0.7, 0.6, 0.5], np.float32),
        np.array([True, False, True, True, False]),
        np.ones(4, np.bool_),
    )
    assert average_precision([found]) == pytest.approx((1 + 0.75 + 0.75) / 4)
    nothing = Matches(found.scores[:0], found.right[:0], found.counted)
    assert average_precision([nothing]) == 0
    assert average_precision([found, nothing]) == pytest.approx((1 + 0.75 + 0.75) / 8)


def test_the_order_of_pictures_does_not_matter() -> None:
    first, second = matched([[0, 0, 40, 40]], [0.3]), matched([[300, 0, 340, 40], [100, 0, 140, 40]], [0.9, 0.8])
    assert average_precision([first, second]) == average_precision([second, first]) == pytest.approx(2 / 3 * 2 / 4)


def test_unsure_boxes_are_neither_right_nor_wrong() -> None:
    """Any number of found faces of which half lies in such a box; a true face beside it is still found."""
    boxes = [[210.0, 0, 240, 30], [240, 30, 280, 70], [290, 0, 330, 40], [280, 0, 320, 40], [0, 0, 40, 40]]
    scores = np.array([0.9, 0.8, 0.7, 0.6, 0.5], np.float32)
    unsure = np.array([[200, 0, 300, 100], [-10, -10, 60, 60]], np.float32)
    found = match(np.array(boxes, np.float32), scores, TRUTH, COUNTED, unsure=unsure)
    assert found.scores.tolist() == pytest.approx([0.7, 0.5])
    assert found.right.tolist() == [False, True]
    assert precision([found]) == recall([found]) == 0.5
    assert np.isnan(precision([matched([], [])]))

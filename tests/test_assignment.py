import pytest
import torch
from test_detection_losses import CELLS, SIZE_PX, faces

from mien.detection.decoding import VALUES
from mien.training.detector.assignment import all_cells, assign_by_cost
from mien.training.detector.tiles import SceneFaces

CENTRE = 5 * 12 + 5
"""The cell of stride 8 with the centre (44, 44)."""


def assigned(wanted: SceneFaces, values: torch.Tensor | None = None) -> tuple[list[int], list[int]]:
    """By maps that are zero everywhere: all boxes are squares of four strides around their cells, all scores 0.5."""
    values = torch.zeros(2, CELLS, VALUES) if values is None else values
    index, face = assign_by_cost(wanted, all_cells(SIZE_PX, torch.device("cpu")), values)
    return index.tolist(), face.tolist()


def test_as_many_cells_as_the_overlaps_add_up_to() -> None:
    """40 px around (44, 44). Overlaps of the nine cells of stride 8: 1024 / 1600 in the middle, four of 896 / 1728
    beside it, four of 784 / 1840 at the corners; of stride 16, four of 1600 / 4096. The sum of these 13 is 5.98."""
    index, face = assigned(faces([[24, 24, 64, 64]]))
    assert index == [CENTRE - 12, CENTRE - 1, CENTRE, CENTRE + 1, CENTRE + 12]
    assert face == [0] * 5


def test_a_face_has_one_cell_at_least() -> None:
    """4 px: no overlap is larger than 16 / 1024; of nine equal ones the nearest is cheapest."""
    assert assigned(faces([[42, 42, 46, 46]])) == ([CENTRE], [0])


def test_the_cells_that_answer_best_learn() -> None:
    """What a cell answers decides, not the size of the face: here stride 16 says exactly where a face of 40 px is."""
    values = torch.zeros(2, CELLS, VALUES)
    cell = 144 + 2 * 6 + 2  # centre (40, 40)
    values[0, cell, 1:3] = 4 / 16
    values[0, cell, 3:5] = torch.tensor(40 / 64).log()
    index, _ = assigned(faces([[24, 24, 64, 64]]), values)
    assert cell in index
    values[0, cell, 0] = -30  # a cell that is sure of nothing costs as much as its answer is wrong
    values[0, cell, 3:5] = 5
    assert cell not in assigned(faces([[24, 24, 64, 64]]), values)[0]


def test_the_cheaper_face_has_a_cell() -> None:
    """The box of 32 px around (44, 44) overlaps 40 px by 0.64, and 24 px by 0.5625."""
    large, small = [24.0, 24.0, 64.0, 64.0], [32.0, 32.0, 56.0, 56.0]
    for boxes, own in (([large, small], 0), ([small, large], 1)):
        index, face = assigned(faces(boxes))
        assert len(set(index)) == len(index)
        assert face[index.index(CENTRE)] == own


@pytest.mark.parametrize("scene", [0, 1])
def test_cells_lie_in_the_scene_of_the_face(scene: int) -> None:
    index, _ = assigned(faces([[-10, -10, 18, 18]], scene=[scene]))
    assert min(index) == scene * CELLS  # the corner's cell, (4, 4)
    assert {number % CELLS for number in index} <= {
        0,
        1,
        2,
        12,
        13,
        14,
        24,
        25,
        26,
        144,
        145,
        150,
        151,
        180,
        181,
        183,
        184,
    }


def test_ignored_faces_have_no_cells() -> None:
    assert assigned(faces([[24, 24, 64, 64]], ignored=[True])) == ([], [])
    assert assigned(faces([])) == ([], [])

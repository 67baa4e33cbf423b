import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from mien.detection.decoding import SIZE, STRIDES, VALUES, decode
from mien.training.detector.assignment import all_cells, assign_centres, decode_cells, overlap_and_distance
from mien.training.detector.losses import detection_losses
from mien.training.detector.tiles import SceneFaces

SIZE_PX = 96
CELLS = 144 + 36 + 9


def faces(boxes: list[list[float]], scene: list[int] | None = None, ignored: list[bool] | None = None) -> SceneFaces:
    """With landmarks at the middle of each box."""
    box = torch.tensor(boxes, dtype=torch.float32).view(-1, 4)
    middle = (box[:, :2] + box[:, 2:]) / 2
    return SceneFaces(
        torch.tensor(scene or [0] * len(box), dtype=torch.int64),
        box,
        middle[:, None].expand(-1, 5, 2).clone(),
        torch.ones(len(box), 5, dtype=torch.bool),
        torch.tensor(ignored or [False] * len(box), dtype=torch.bool),
    )


def test_cells_stand_in_the_order_of_the_maps() -> None:
    cells = all_cells(SIZE_PX, torch.device("cpu"))
    assert cells.starts == (0, 144, 180)
    assert len(cells.strides) == CELLS
    assert cells.centres[13].tolist() == [12, 12]
    assert cells.centres[145].tolist() == [24, 8]


def test_which_cells_learn_a_face() -> None:
    cells = all_cells(SIZE_PX, torch.device("cpu"))
    # 12 px: only the cell that holds its centre, (28, 20), which is column 3, row 2 of stride 8.
    index, face = assign_centres(faces([[22, 14, 34, 26]]), cells)
    assert (index.tolist(), face.tolist()) == ([2 * 12 + 3], [0])
    # 40 px around (44, 44): cells of stride 8 within 10 px of it.
    index, _ = assign_centres(faces([[24, 24, 64, 64]]), cells)
    assert index.tolist() == [row * 12 + column for row in (4, 5, 6) for column in (4, 5, 6)]
    # 50 px: stride 8 and stride 16.
    index, _ = assign_centres(faces([[19, 19, 69, 69]]), cells)
    assert (index < 144).any()
    assert (index >= 144).any()
    assert index.max() < 180
    # 64 px: stride 16, in the second scene.
    index, _ = assign_centres(faces([[8, 8, 72, 72]], scene=[1]), cells)
    assert index.min() >= CELLS + 144
    assert index.max() < CELLS + 180
    # 180 px: strides 16 and 32; 250 px: stride 32.
    index, _ = assign_centres(faces([[-42, -42, 138, 138]]), cells)
    assert 144 <= index.min() < 180 <= index.max()
    index, _ = assign_centres(faces([[-77, -77, 173, 173]]), cells)
    assert index.min() >= 180
    assert len(assign_centres(faces([[24, 24, 64, 64]], ignored=[True]), cells)[0]) == 0
    assert len(assign_centres(faces([]), cells)[0]) == 0


def test_the_nearer_face_has_a_cell() -> None:
    cells = all_cells(SIZE_PX, torch.device("cpu"))
    wide, small = [4.0, 24.0, 44.0, 64.0], [38.0, 38.0, 50.0, 50.0]
    for boxes, own in (([wide, small], 1), ([small, wide], 0)):
        index, face = assign_centres(faces(boxes), cells)
        assert len(set(index.tolist())) == len(index)
        assert face[index == 5 * 12 + 5].tolist() == [own]  # its centre (44, 44) is that of the small face


def perfect_maps(wanted: SceneFaces, count: int) -> tuple[Tensor, ...]:
    """Maps that say exactly what is there."""
    cells = all_cells(SIZE_PX, torch.device("cpu"))
    values = torch.zeros(count * CELLS, VALUES)
    values[:, 0] = -20
    index, face = assign_centres(wanted, cells)
    centres, strides = cells.centres[index % CELLS], cells.strides[index % CELLS, None]
    box = wanted.boxes_xyxy[face]
    values[index, 0] = 20
    middle, sides = (box[:, :2] + box[:, 2:]) / 2, box[:, 2:] - box[:, :2]
    values[index, 1:3] = (middle - centres) / strides
    values[index, 3:5] = (sides / (SIZE * strides)).log()
    values[index, 5:] = ((wanted.landmarks_xy[face] - middle[:, None]) / (sides[:, None] / 2)).flatten(1)
    parts = values.view(count, CELLS, VALUES).transpose(1, 2).split([144, 36, 9], dim=2)
    return tuple(
        part.reshape(count, VALUES, SIZE_PX // s, SIZE_PX // s) for part, s in zip(parts, STRIDES, strict=True)
    )


def test_perfect_maps_have_no_loss_and_decode_to_the_faces() -> None:
    wanted = faces([[24, 24, 64, 64], [8, 8, 72, 80], [60, 60, 74, 76]], scene=[0, 1, 1])
    maps = perfect_maps(wanted, 2)
    losses = detection_losses(maps, wanted)
    assert {name: round(value.item(), 5) for name, value in losses.items()} == {
        "score": 0,
        "box": 0,
        "landmark": 0,
        "overlap": 1,
    }
    found = decode([each[0].numpy() for each in maps], 0.5)
    np.testing.assert_allclose(found.boxes_xyxy, np.tile([24, 24, 64, 64], (9, 1)), atol=1e-3)
    np.testing.assert_allclose(found.landmarks_xy, np.full((9, 5, 2), 44), atol=1e-3)


def test_landmarks_count_by_the_size_of_the_face() -> None:
    small, large = faces([[40, 40, 56, 56]]), faces([[16, 16, 80, 80]])  # 16 and 64 px: 0.25 and 1
    both = faces([[40, 40, 56, 56], [16, 16, 80, 80]], scene=[0, 1])
    right = perfect_maps(both, 2)
    for wanted, other, index, weight in ((small, large, 0, 0.25), (large, small, 1, 1.0)):
        maps = tuple(each.clone() for each in right)
        for each in maps:
            each[index, 5:] += 0.5  # a quarter of the box's sides
        error = detection_losses(tuple(each[index : index + 1] for each in maps), wanted)["landmark"]
        cells = all_cells(SIZE_PX, torch.device("cpu"))
        weights = weight * len(assign_centres(wanted, cells)[0])
        others = (1.25 - weight) * len(assign_centres(other, cells)[0])
        expected = error * weights / (weights + others)
        torch.testing.assert_close(detection_losses(maps, both)["landmark"], expected)


@pytest.mark.parametrize(("eyes_px", "unit_px"), [(20, 20), (1, 4)])
def test_errors_of_landmarks_count_in_distances_of_the_eyes(eyes_px: float, unit_px: float) -> None:
    wanted = faces([[24, 24, 64, 64]])  # 40 px: eyes that are closer than 4 px count as 4 px apart
    wanted.landmarks_xy[0, 0, 0] -= eyes_px / 2
    wanted.landmarks_xy[0, 1, 0] += eyes_px / 2
    moved = replace(wanted, landmarks_xy=wanted.landmarks_xy + torch.tensor([3.0, 4.0]))
    losses = detection_losses(perfect_maps(moved, 1), wanted)
    assert losses["landmark"].item() == pytest.approx(5 / unit_px, rel=1e-4)


def test_torch_and_numpy_decode_alike() -> None:
    cells = all_cells(SIZE_PX, torch.device("cpu"))
    values = torch.randn(CELLS, VALUES, generator=torch.Generator().manual_seed(0))
    boxes, landmarks = decode_cells(values, cells.centres, cells.strides)
    parts = values.T.split([144, 36, 9], dim=1)
    maps = [part.reshape(VALUES, SIZE_PX // s, -1).numpy() for part, s in zip(parts, STRIDES, strict=True)]
    found = decode(maps, 1e-6)
    order = np.argsort(-values[:, 0].numpy(), kind="stable")
    np.testing.assert_allclose(found.boxes_xyxy, boxes.numpy()[order], rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(found.landmarks_xy, landmarks.numpy()[order], rtol=1e-4, atol=1e-3)


def test_overlap_and_distance_by_hand() -> None:
    first, second = torch.tensor([[0.0, 0, 10, 10]]), torch.tensor([[5.0, 0, 15, 10]])
    overlap, distance = overlap_and_distance(first, second)
    assert math.isclose(overlap.item(), 50 / 150, rel_tol=1e-6)
    assert math.isclose(distance.item(), 25 / (15**2 + 10**2), rel_tol=1e-6)
    apart, _ = overlap_and_distance(first, torch.tensor([[20.0, 0, 30, 10]]))
    assert apart.item() == 0


def test_ignored_faces_are_no_background() -> None:
    """A sure hit costs where there is nothing, and nothing where the face is ignored."""
    wanted = faces([[24, 24, 64, 64]])
    sure = perfect_maps(wanted, 1)
    background = detection_losses(sure, faces([]))["score"]
    ignored = detection_losses(sure, faces([[20, 20, 70, 70]], ignored=[True]))["score"]
    assert background.item() > 100
    assert ignored.item() < 1e-3
    outside = detection_losses(sure, faces([[0, 0, 40, 40]], ignored=[True]))["score"]
    assert 0 < outside.item() < background.item()
    tiny = faces([[41, 41, 44, 44]], ignored=[True])  # between centres of cells: the cell that holds it is left out
    one_hit = perfect_maps(faces([[38, 38, 48, 48]]), 1)
    assert detection_losses(one_hit, tiny)["score"].item() < 1e-3


def test_every_part_of_the_loss_has_a_gradient() -> None:
    maps = tuple(torch.randn(2, VALUES, SIZE_PX // s, SIZE_PX // s, requires_grad=True) for s in STRIDES)
    losses = detection_losses(maps, faces([[24, 24, 64, 64], [8, 8, 72, 80]], scene=[0, 1]))
    (losses["score"] + losses["box"] + losses["landmark"]).backward()
    gradients = [each.grad for each in maps]
    assert all(gradient is not None for gradient in gradients)
    assert all((gradient[:, 0] != 0).all() for gradient in gradients[:1] if gradient is not None)
    assert (gradients[0][0, 1:] != 0).any(dim=(1, 2)).all()  # type: ignore[index]
    assert (gradients[1][1, 1:] != 0).any(dim=(1, 2)).all()  # type: ignore[index]

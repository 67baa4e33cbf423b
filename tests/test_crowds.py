import io
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from test_scenes import BOX, COLOURS, LANDMARKS, untouched
from test_scenes import photograph as portrait

from mien.datasets.photographs import Photograph
from mien.detection.boxes import leaning_half_sides
from mien.errors import DatasetError
from mien.training.detector import crowds, scenes
from mien.training.detector.crowds import Crowd, cover_faces, crowd_faces, place_crowd, sample_crowd
from mien.training.detector.scene_pictures import Pictures
from mien.training.detector.scenes import compose
from mien.training.detector.tiles import SceneFaces, faces_in_scenes, source_places

CPU = torch.device("cpu")


def group(unsure: bool = True) -> Photograph:
    """Grey, 500 x 400, two faces with a mark of its own colour at each landmark, and perhaps a third."""
    pixels = np.full((400, 500, 3), 90, np.uint8)
    shifts = np.array([[0, 0], [200, 150]], np.float32)
    for shift in shifts:
        for (x, y), colour in zip((LANDMARKS + shift).astype(int), COLOURS, strict=True):
            pixels[y - 8 : y + 8, x - 8 : x + 8] = np.maximum(colour, 60)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return Photograph(
        stream.getvalue(),
        np.stack([BOX + np.tile(shift, 2) for shift in shifts]),
        np.ones(2, np.float32),
        np.stack([LANDMARKS + shift for shift in shifts]),
        ("", ""),
        "group.png",
        np.array([[300, 20, 360, 90]], np.float32) if unsure else np.zeros((0, 4), np.float32),
        "people",
    )


def test_labels_are_where_the_pixels_are() -> None:
    crowd, draw = Crowd([group()], CPU), torch.Generator().manual_seed(0)
    placement = place_crowd(crowd, 48, 288, draw)
    tiles, inside = sample_crowd(crowd, placement, source_places(placement, 288), draw)
    faces = faces_in_scenes(crowd_faces(crowd, placement), placement, 288, 1, 0)
    assert (inside > 0).float().mean() > 0.7
    checked = 0
    for face in torch.nonzero(faces.boxes_xyxy[:, 3] - faces.boxes_xyxy[:, 1] > 60)[:, 0].tolist():
        for mark in range(5):
            if faces.seen[face, mark]:
                x, y = faces.landmarks_xy[face, mark].tolist()
                pixel = tiles[faces.scene[face], :, int(y), int(x)]
                colours = torch.tensor(COLOURS[[mark, [1, 0, 2, 4, 3][mark]]]) / 255
                assert (pixel - colours).abs().amax(dim=1).min() < 0.3
                checked += 1
    assert checked > 50
    turned = placement.angle.abs() > math.radians(20)
    assert 0.05 < turned.float().mean() < 0.5


def test_unsure_boxes_are_neither_faces_nor_background() -> None:
    crowd, draw = Crowd([group()], CPU), torch.Generator().manual_seed(1)
    placement = place_crowd(crowd, 48, 144, draw)
    faces = crowd_faces(crowd, placement)
    assert faces.doubtful.tolist() == [False, False, True] * 48
    found = faces_in_scenes(faces, placement, 144, 2, 5)
    assert found.scene.min() >= 5
    assert found.scene.max() < 5 + 12
    unsure = ~found.seen.any(dim=1) & (found.boxes_xyxy[:, 2:] - found.boxes_xyxy[:, :2] > 12).all(dim=1)
    assert found.ignored[unsure].any()


def test_a_leaning_face_that_is_set_upright() -> None:
    """Its box is that of the face as it stands then, not of the larger box that it had."""
    roll = math.radians(30)
    turn = np.array([[math.cos(roll), -math.sin(roll)], [math.sin(roll), math.cos(roll)]], np.float32)
    middle = (BOX[:2] + BOX[2:]) / 2
    half = np.array(leaning_half_sides(50, 64.5, 30))
    leaning = replace(
        group(False),
        boxes_xyxy=np.array([[*(middle - half), *(middle + half)]], np.float32),
        landmarks_xy=((LANDMARKS - middle) @ turn.T + middle)[None],
    )
    crowd = Crowd([leaning], CPU)
    np.testing.assert_allclose(crowd.faces["halves"][0], [50, 64.5], rtol=0.01)
    assert crowd.faces["rolls"][0].item() == pytest.approx(roll, abs=1e-5)
    placement = place_crowd(crowd, 1, 288, torch.Generator().manual_seed(0))
    upright = crowds.turns(torch.ones(1), -torch.ones(1) * roll, torch.zeros(1, dtype=torch.bool))
    placement = replace(placement, turn=upright, angle=-torch.ones(1) * roll, zoom=torch.ones(1),
                        centre=torch.tensor(middle)[None], mirrored=torch.zeros(1, dtype=torch.bool))  # fmt: skip
    found = faces_in_scenes(crowd_faces(crowd, placement), placement, 288, 1, 0)
    np.testing.assert_allclose(found.boxes_xyxy, [[94, 79.5, 194, 208.5]], atol=1)
    across = found.landmarks_xy[0, 1] - found.landmarks_xy[0, 0]
    assert abs(across[1]) < 1e-3


def test_faces_in_profile_do_not_tell_how_they_lean() -> None:
    landmarks = LANDMARKS.copy()
    landmarks[1] = landmarks[0] + np.array([2, 8])
    profile = replace(group(False), boxes_xyxy=BOX[None], landmarks_xy=landmarks[None])
    crowd = Crowd([profile], CPU)
    assert crowd.faces["rolls"].tolist() == [0]
    assert crowd.faces["halves"].tolist() == [[50, 62.5]]


def test_a_share_of_the_scenes_shows_people(monkeypatch: pytest.MonkeyPatch) -> None:
    untouched(monkeypatch)
    pictures, crowd = Pictures([portrait(), portrait(0)], CPU), Crowd([group()], CPU)
    shown = []

    def noted(people: Crowd, count: int, tile_px: int, draw: torch.Generator) -> crowds.Placement:
        shown.append(count * (tile_px / 288) ** 2)
        return place_crowd(people, count, tile_px, draw)

    monkeypatch.setattr(scenes, "place_crowd", noted)
    images, faces = compose(pictures, 16, 288, 0.4, torch.Generator().manual_seed(0), 0.0, crowd, 0.5)
    again, _ = compose(pictures, 16, 288, 0.4, torch.Generator().manual_seed(0), 0.0, crowd, 0.5)
    assert images.shape == (16, 3, 288, 288)
    assert torch.equal(images, again)
    assert sum(shown) == pytest.approx(2 * 8)
    assert set(faces.scene.tolist()) <= set(range(16))
    assert (faces.scene >= 8).any()


def test_some_faces_are_covered() -> None:
    """In their own window alone."""
    landmarks = torch.tensor(LANDMARKS)[None] - 30
    box = torch.tensor(BOX)[None] - 30
    many = 40
    faces = SceneFaces(
        torch.arange(many) + 3,
        box.repeat(many, 1),
        landmarks.repeat(many, 1, 1),
        torch.ones(many, 5, dtype=torch.bool),
        torch.arange(many) % 4 == 0,
    )
    images = torch.full((many, 3, 288, 288), 0.5)
    cover_faces(images, faces, 3, torch.Generator().manual_seed(0))
    changed = (images != 0.5).any(dim=1)
    hidden = changed.flatten(1).any(dim=1)
    assert not hidden[faces.ignored].any()
    assert 3 < hidden.sum() < 20
    assert not changed[:, 230:].any()
    assert not changed[:, :, 220:].any()


def test_faces_without_landmarks_are_named() -> None:
    with pytest.raises(DatasetError, match=r"group\.png: expected landmarks of its faces to learn from, found none"):
        Crowd([replace(group(), landmarks_xy=None)], CPU)

import io
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from mien.datasets.photographs import Photograph
from mien.errors import DatasetError
from mien.training.detector import scenes
from mien.training.detector.degradation import jpeg
from mien.training.detector.occluders import occlude
from mien.training.detector.scene_pictures import DEEPEST_PX, SURE_BOX, Pictures, black_edge
from mien.training.detector.scenes import compose, layout
from mien.training.detector.tiles import SMALLEST_PX, Placement, faces_in_scenes

LANDMARKS = np.array([[105, 110], [145, 110], [125, 135], [108, 158], [142, 158]], np.float32)
BOX = np.array([75, 65, 175, 190], np.float32)
COLOURS = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 0], [0, 255, 255]], np.uint8)
"""Of the marks at the landmarks, in their order."""


def photograph(faces: int = 1, score: float = 1.0) -> Photograph:
    """Grey, with a mark of its own colour at each landmark."""
    pixels = np.full((250, 250, 3), 90, np.uint8)
    for (x, y), colour in zip(LANDMARKS.astype(int), COLOURS, strict=True):
        pixels[y - 8 : y + 8, x - 8 : x + 8] = np.maximum(colour, 60)
    return encoded(pixels, faces, score)


def encoded(pixels: np.ndarray, faces: int = 1, score: float = 1.0) -> Photograph:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    boxes, landmarks = (BOX[None], LANDMARKS[None]) if faces else (np.zeros((0, 4), np.float32), None)
    return Photograph(stream.getvalue(), boxes, np.full(len(boxes), score, np.float32), landmarks, ("",), "drawn")


def untouched(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("relight", "degrade"):
        monkeypatch.setattr(scenes, name, lambda images, draw: images)
    monkeypatch.setattr(scenes, "occlude", lambda tiles, places, landmarks, draw: tiles)


def test_labels_are_where_the_pixels_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """Turned, mirrored and zoomed as they are, the marks of the landmarks lie under their labels."""
    untouched(monkeypatch)
    pictures = Pictures([photograph()], torch.device("cpu"))
    images, faces = compose(pictures, 16, 288, 0.0, torch.Generator().manual_seed(0))
    assert images.shape == (16, 3, 288, 288)
    checked = 0
    sizes = (faces.boxes_xyxy[:, 2:] - faces.boxes_xyxy[:, :2]).prod(dim=1).sqrt()
    for face in torch.nonzero((sizes > 40) & ~faces.ignored)[:, 0].tolist():
        marks = [0, 1, 2, 3, 4]
        x, y = faces.landmarks_xy[face].unbind(dim=1)
        if x[0] > x[1]:
            pytest.fail("the left eye, as seen, lies right of the right one")
        for mark in marks:
            if faces.seen[face, mark]:
                pixel = images[faces.scene[face], :, int(y[mark]), int(x[mark])]
                mirrored = (pixel - torch.tensor(COLOURS[[1, 0, 2, 4, 3][mark]]) / 255).abs().max()
                straight = (pixel - torch.tensor(COLOURS[mark]) / 255).abs().max()
                assert min(mirrored, straight) < 0.3
                checked += 1
    assert checked > 100


def test_boxes_hold_the_landmarks_and_stay_in_the_scene(monkeypatch: pytest.MonkeyPatch) -> None:
    untouched(monkeypatch)
    pictures = Pictures([photograph()], torch.device("cpu"))
    _, faces = compose(pictures, 96, 288, 0.0, torch.Generator().manual_seed(1))
    boxes = faces.boxes_xyxy
    assert boxes.min() >= 0
    assert boxes.max() <= 288
    assert (boxes[:, 2:] > boxes[:, :2]).all()
    inside = ((faces.landmarks_xy >= boxes[:, None, :2] - 1) & (faces.landmarks_xy <= boxes[:, None, 2:] + 1)).all(
        dim=2
    )
    assert inside[faces.seen].float().mean() > 0.99
    sizes = (boxes[:, 2:] - boxes[:, :2]).prod(dim=1).sqrt()
    assert sizes.min() < 16
    assert sizes.max() > 250
    assert faces.ignored[sizes < SMALLEST_PX].all()


def test_boxes_of_turned_faces(monkeypatch: pytest.MonkeyPatch) -> None:
    """A white ellipse that fills its box is as large, turned, as the turned box says."""
    untouched(monkeypatch)
    rows, columns = np.mgrid[:250, :250] + 0.5
    (x0, y0, x1, y1), pixels = BOX, np.full((250, 250, 3), 60, np.uint8)
    pixels[((columns - (x0 + x1) / 2) / (x1 - x0)) ** 2 + ((rows - (y0 + y1) / 2) / (y1 - y0)) ** 2 < 0.25] = 255
    monkeypatch.setattr(scenes, "LAYOUT", {2: 1})
    pictures = Pictures([encoded(pixels)], torch.device("cpu"))
    images, faces = compose(pictures, 24, 288, 0.0, torch.Generator().manual_seed(0))
    turned = 0
    for scene, box, landmarks in zip(faces.scene, faces.boxes_xyxy, faces.landmarks_xy, strict=True):
        corner = (box[:2] + box[2:]).div(2 * 144).floor() * 144
        inside = box - corner.repeat(2)
        if inside.min() < 2 or inside.max() > 142:
            continue
        left, top = corner.int().tolist()
        white = images[scene, :, top : top + 144, left : left + 144].amin(dim=0) > 0.6
        ys, xs = torch.nonzero(white, as_tuple=True)
        found = torch.stack((xs.min(), ys.min(), xs.max() + 1, ys.max() + 1))
        assert (found - inside).abs().max() < 2
        across = landmarks[1] - landmarks[0]
        turned += bool((across[1] / across[0]).abs() > 0.5)
    assert turned >= 5


def test_surroundings_of_small_portraits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the portrait, and in its black edge, a picture without people is seen; labels end where it begins."""
    untouched(monkeypatch)
    pixels = np.full((250, 250, 3), 120, np.uint8)
    pixels[:, :30] = 0
    assert black_edge(pixels) == 30
    assert black_edge(np.zeros_like(pixels)) == DEEPEST_PX
    portrait = replace(encoded(pixels), boxes_xyxy=np.array([[25, 60, 125, 190], [0, 50, 40, 90]], np.float32),
                       landmarks_xy=np.stack((LANDMARKS, LANDMARKS)), box_scores=np.ones(2, np.float32))  # fmt: skip
    pictures = Pictures([portrait, photograph(0)], torch.device("cpu"))
    assert pictures.boxes[0, :2].tolist() == [[30, 60, 125, 190], [30, 50, 40, 90]]
    assert (pictures.scores[0, :2] >= SURE_BOX).tolist() == [True, False]
    images, faces = compose(pictures, 32, 288, 0.0, torch.Generator().manual_seed(0))
    assert faces.boxes_xyxy[:, 2:].sub(faces.boxes_xyxy[:, :2]).amax(dim=1).min() < 40
    assert images.amin() > 0.2  # the black edge is nowhere


def test_faces_cut_by_the_edge_of_their_tile() -> None:
    """The face is 100 x 125 pixels; the tile of 200 has its left 60, 30 and 10 %, then its upper left quarter."""
    pictures = Pictures([photograph()], torch.device("cpu"))
    focus = torch.tensor([[190.0, 100.0], [220.0, 100.0], [240.0, 100.0], [200.0, 200.0]])
    placement = Placement(
        picture=torch.zeros(4, dtype=torch.int64),
        turn=torch.eye(2).expand(4, 2, 2),
        centre=torch.tensor([[125.0, 127.5]]).expand(4, 2),
        focus=focus,
        zoom=torch.ones(4),
        angle=torch.zeros(4),
        mirrored=torch.zeros(4, dtype=torch.bool),
    )
    faces = faces_in_scenes(scenes._faces(pictures, placement), placement, 200, 2, 5)
    assert faces.ignored.tolist() == [False, True, True]  # of the first two and the last; the third is none
    assert faces.scene.tolist() == [5, 5, 5]
    np.testing.assert_allclose(
        faces.boxes_xyxy, [[140, 37.5, 200, 162.5], [370, 37.5, 400, 162.5], [350, 337.5, 400, 400]], atol=1e-3
    )
    assert faces.seen[0].tolist() == [True, False, True, True, False]
    np.testing.assert_allclose(faces.landmarks_xy[0], LANDMARKS + np.array([65, -27.5]), atol=1e-3)


def test_empty_tiles_and_doubtful_faces() -> None:
    draw = torch.Generator().manual_seed(2)
    _, none = compose(Pictures([photograph(), photograph(0)], torch.device("cpu")), 32, 288, 1.0, draw)
    assert len(none.scene) == 0
    _, doubtful = compose(Pictures([photograph(score=0.4)], torch.device("cpu")), 32, 288, 0.0, draw)
    assert doubtful.ignored.all()


def test_the_same_draw_gives_the_same_scenes() -> None:
    pictures = Pictures([photograph(), photograph(0)], torch.device("cpu"))
    first, second, other = (compose(pictures, 8, 288, 0.3, torch.Generator().manual_seed(seed)) for seed in (3, 3, 4))
    assert torch.equal(first[0], second[0])
    assert torch.equal(first[1].boxes_xyxy, second[1].boxes_xyxy)
    assert not torch.equal(first[0], other[0])
    assert 0 <= first[0].min() < first[0].max() <= 1


def test_plain_scenes_are_as_photographed() -> None:
    """A picture of one colour stays so in plain scenes; about half are plain where half should be."""
    pictures = Pictures([encoded(np.full((250, 250, 3), 90, np.uint8))], torch.device("cpu"))
    for share, low, high in ((1.0, 32, 32), (0.5, 8, 24), (0.0, 0, 0)):
        images, _ = compose(pictures, 32, 288, 0.0, torch.Generator().manual_seed(0), share)
        plain = ((images - 90 / 255).abs() < 1e-5).all(dim=(1, 2, 3))
        assert low <= plain.sum() <= high


def test_layouts_share_the_scenes() -> None:
    assert layout(32, scenes.LAYOUT) == scenes.LAYOUT
    assert all(sum(layout(count, scenes.LAYOUT).values()) == count for count in range(1, 70))


def test_occluders_hide_a_part_of_faces_alone() -> None:
    tiles = torch.full((60, 3, 96, 96), 0.5)
    steps = torch.arange(96.0) + 80
    places = torch.stack(torch.meshgrid(steps, steps, indexing="xy"), dim=-1).expand(60, -1, -1, -1)
    landmarks = torch.from_numpy(LANDMARKS).expand(60, -1, -1).clone()
    landmarks[:20] = 0
    occluded = occlude(tiles.clone(), places, landmarks, torch.Generator().manual_seed(0))
    hidden = (occluded - tiles).abs().amax(dim=1) > 0.05
    assert not hidden[:20].any()
    share = hidden[20:].float().mean(dim=(1, 2))
    assert 0.3 < (share > 0).float().mean() < 0.9
    assert share.max() < 0.9
    assert occluded.min() >= 0
    assert occluded.max() <= 1


def test_jpeg_is_pillows_for_a_grey_picture() -> None:
    """The quantisation of quality 50, whose table is multiplied by 1."""
    generator = np.random.default_rng(0)
    coarse = generator.integers(0, 256, (6, 6)).astype(np.uint8)
    grey = np.asarray(Image.fromarray(coarse).resize((48, 48), Image.Resampling.BICUBIC))
    stream = io.BytesIO()
    Image.fromarray(grey).save(stream, "JPEG", quality=50)
    expected = np.asarray(Image.open(stream)).astype(float)
    restored = jpeg(torch.from_numpy(grey / 255).float()[None, None], torch.ones(1, 1, 1, 1))[0, 0].numpy() * 255
    found = restored.round().clip(0, 255)
    assert np.abs(found - expected).mean() < 0.1
    assert np.abs(grey - expected).mean() > 1


def test_pictures_that_cannot_be_learned_from() -> None:
    known = photograph()
    with pytest.raises(
        DatasetError, match="expected 250x250 pixels and landmarks to learn faces from, found 250x250 and"
    ):
        Pictures([replace(known, landmarks_xy=None)], torch.device("cpu"))
    with pytest.raises(DatasetError, match="to learn faces from, found 30x40 and landmarks"):
        Pictures([replace(known, encoded=encoded(np.zeros((40, 30, 3), np.uint8)).encoded)], torch.device("cpu"))

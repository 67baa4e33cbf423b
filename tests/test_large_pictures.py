"""The packaged detector, as it comes, on large pictures: portraits pasted into scenes, and repeated like classes."""

from pathlib import Path

import numpy as np
import pytest
import skimage.data
from numpy.typing import NDArray
from PIL import Image

from mien.detection.boxes import iou
from mien.detection.face_finder import FaceFinder
from mien.images import read_image

BOXES = {"eileen-collins": (178, 65, 268, 176), "grace-hopper": (186, 125, 352, 333)}
SCENE = (4032, 3024)


@pytest.fixture(scope="module")
def finder() -> FaceFinder:
    return FaceFinder()


@pytest.fixture(scope="module")
def background() -> Image.Image:
    """A photograph without people, enlarged to 12 megapixels."""
    return Image.fromarray(skimage.data.coffee()).resize(SCENE, Image.Resampling.BILINEAR)


def found_in(finder: FaceFinder, image: Image.Image, truth: NDArray[np.float32]) -> tuple[int, int]:
    """How many true boxes (N, 4) are found at an intersection over union of a half, and how many faces are found."""
    found = np.array([face.box_xyxy for face in finder.detect(np.asarray(image))], np.float32).reshape(-1, 4)
    return sum(bool((iou(box, found) >= 0.5).any()) for box in truth), len(found)


def pasted(scene: Image.Image, image: NDArray[np.uint8], box: NDArray[np.float32], at: tuple[int, int]) -> tuple:  # type: ignore[type-arg]
    """A scene with a portrait whose face is 100 px high, and the box of the face."""
    scale = 100 / (box[3] - box[1])
    small = Image.fromarray(image).resize([round(side * scale) for side in image.shape[1::-1]])
    scene = scene.copy()
    scene.paste(small, at)
    return scene, box * scale + np.array([*at, *at], np.float32)


@pytest.mark.parametrize("at", [(0, 0), (1900, 1100), (3400, 2300)])
@pytest.mark.parametrize("name", BOXES)
def test_a_portrait_in_a_large_scene(
    finder: FaceFinder, examples: Path, background: Image.Image, name: str, at: tuple[int, int]
) -> None:
    scene, box = pasted(background, read_image(examples / f"{name}.jpg"), np.array(BOXES[name], np.float32), at)
    assert found_in(finder, scene, box[None]) == (1, 1)


def test_portraits_of_lfw_in_large_scenes(
    finder: FaceFinder, background: Image.Image, lfw_portraits: list[tuple[NDArray[np.uint8], NDArray[np.float32]]]
) -> None:
    """A few of the hundred that benchmarks/looks.py measures."""
    places = [(100 + 600 * index, 200 + 400 * index) for index in range(6)]
    scenes = [pasted(background, *each, at) for each, at in zip(lfw_portraits, places, strict=False)]
    assert sum(found_in(finder, scene, box[None])[0] for scene, box in scenes) == 6


@pytest.mark.parametrize(
    ("columns", "rows", "tile_px", "least"),
    [(5, 4, 800, 20), (12, 8, 455, 96), (20, 14, 284, 265), (12, 8, 369, 96), (20, 14, 231, 270)],
)
def test_classes_of_one_portrait(
    finder: FaceFinder, examples: Path, columns: int, rows: int, tile_px: int, least: int
) -> None:
    """Faces are 50 or 80 px wide or high, or 140. 50 px wide in 5,680, they are near the limit of what is found."""
    portrait = Image.open(examples / "eileen-collins.jpg").convert("RGB").resize((tile_px, tile_px))
    image = Image.new("RGB", (columns * tile_px, rows * tile_px))
    corners = [(column * tile_px, row * tile_px) for row in range(rows) for column in range(columns)]
    for corner in corners:
        image.paste(portrait, corner)
    box = np.array(BOXES["eileen-collins"], np.float32) * tile_px / 512
    truth = np.array([box + np.array([*corner, *corner]) for corner in corners], np.float32)
    found, count = found_in(finder, image, truth)
    assert found >= least
    assert count == found

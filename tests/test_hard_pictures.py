"""The packaged detector on hard variants of two portraits in the public domain, and on pictures without people."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from mien.detection.boxes import iou
from mien.detection.face_finder import FaceFinder
from mien.images import read_image

Box = tuple[float, float, float, float]
BOXES: dict[str, Box] = {"eileen-collins": (178, 65, 268, 176), "grace-hopper": (186, 125, 352, 333)}
"""Faces, looked up by eye."""


@pytest.fixture(scope="module")
def finder() -> FaceFinder:
    return FaceFinder()


def sized(image: Image.Image, longer_px: int) -> Image.Image:
    scale = longer_px / max(image.size)
    return image.resize([round(side * scale) for side in image.size], Image.Resampling.BICUBIC)


def changed(image: Image.Image, change: Callable[[NDArray[np.float64]], NDArray[np.float64]]) -> Image.Image:
    return Image.fromarray(change(np.asarray(image).astype(np.float64)).clip(0, 255).astype(np.uint8))


def noisy(pixels: NDArray[np.float64]) -> NDArray[np.float64]:
    return pixels + np.random.default_rng(0).normal(0, 30, pixels.shape)


@pytest.mark.parametrize("name", BOXES)
@pytest.mark.parametrize("variant", [128, 512, 1280, "dark", "blurred", "noisy", "mouth hidden"])
def test_variants_of_a_portrait(finder: FaceFinder, examples: Path, name: str, variant: int | str) -> None:
    image = Image.fromarray(read_image(examples / f"{name}.jpg"))
    x0, y0, x1, y1 = BOXES[name]
    if variant == "mouth hidden":
        image.paste((90, 120, 150), (round(x0), round(y0 + 0.62 * (y1 - y0)), round(x1), round(y1)))
    seen = sized(image, variant if isinstance(variant, int) else 512)
    if variant == "dark":
        seen = changed(seen, lambda pixels: 0.2 * pixels)
    elif variant == "blurred":
        seen = seen.filter(ImageFilter.GaussianBlur(4))
    elif variant == "noisy":
        seen = changed(seen, noisy)
    scale = seen.width / image.width
    (face,) = finder.detect(np.asarray(seen))
    assert iou(face.box_xyxy, [[scale * side for side in BOXES[name]]])[0] > 0.6


@pytest.mark.parametrize("lean", [-45, -25, 25, 45])
@pytest.mark.parametrize("name", BOXES)
def test_a_leaning_portrait_is_found_with_its_roll(finder: FaceFinder, examples: Path, name: str, lean: int) -> None:
    image = Image.fromarray(read_image(examples / f"{name}.jpg"))
    (upright,) = finder.detect(np.asarray(image))
    turned = image.rotate(-lean, Image.Resampling.BICUBIC)  # clockwise
    face, *_ = finder.detect(np.asarray(turned))  # a brass button may be the next one
    assert face.roll_degrees == pytest.approx(upright.roll_degrees + lean, abs=10)
    angle, middle = np.radians(lean), np.array(image.size) / 2
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    assert upright.landmarks_xy is not None
    assert face.landmarks_xy is not None
    expected = (upright.landmarks_xy - middle) @ turn.T + middle
    eyes = np.linalg.norm(np.subtract(*upright.landmarks_xy[:2]))
    assert np.linalg.norm(face.landmarks_xy - expected, axis=1).mean() < 0.15 * eyes
    x0, y0, x1, y1 = face.upright_box_xyxy or face.box_xyxy
    wide, high = BOXES[name][2] - BOXES[name][0], BOXES[name][3] - BOXES[name][1]
    assert x1 - x0 == pytest.approx(wide, rel=0.25)
    assert y1 - y0 == pytest.approx(high, rel=0.25)


@pytest.mark.parametrize(
    "name", ["coffee", "chelsea", "rocket", "page", "brick", "grass", "gravel", "text", "moon", "clock"]
)
def test_no_face_where_there_is_none(finder: FaceFinder, name: str) -> None:
    pixels = getattr(skimage.data, name)()
    assert finder.detect(np.asarray(Image.fromarray(pixels).convert("RGB"))) == []


@pytest.mark.parametrize("size", [(1, 1, 3), (3, 5000, 3), (300, 400, 3)])
def test_no_face_in_nothing(finder: FaceFinder, size: tuple[int, int, int]) -> None:
    assert finder.detect(np.full(size, 128, np.uint8)) == []
    assert finder.detect(np.zeros(size, np.uint8)) == []

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mien.cli.outputs import to_text
from mien.cli.picture_rows import CsvFile
from mien.detection.face_finder import FaceFinder
from mien.images import read_image
from mien.preprocessing import ImageArray
from mien.recognizer import Recognizer
from mien.results import Face, to_record

MOUTHS = {"eileen-collins": (180, 118, 266, 176), "grace-hopper": (190, 240, 345, 333)}
"""From under the eyes to the chin, looked up by eye."""
CLOTHS = {"white": (235, 235, 240), "blue": (140, 190, 225), "black": (25, 25, 30), "green": (60, 140, 110)}


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    return Recognizer(detector=FaceFinder(longest_px=416), threads=1)


def masked(image: ImageArray, place: tuple[int, int, int, int], colour: tuple[int, int, int]) -> ImageArray:
    picture = Image.fromarray(image)
    picture.paste(colour, place)
    return np.asarray(picture)


@pytest.mark.parametrize("name", MOUTHS)
def test_bare_mouths_are_not_covered(recognizer: Recognizer, examples: Path, name: str) -> None:
    image = read_image(examples / f"{name}.jpg")
    for light in (1.0, 0.5):
        (face,) = recognizer.recognize((image * light).astype(np.uint8))
        assert not face.mouth_covered
        assert not face.unsure
    grey = np.repeat(image.mean(axis=2, keepdims=True).astype(np.uint8), 3, axis=2)
    assert not recognizer.recognize(masked(grey, MOUTHS[name], (235, 235, 235)))[0].mouth_covered  # a limit


@pytest.mark.parametrize("cloth", CLOTHS)
@pytest.mark.parametrize("name", MOUTHS)
def test_covered_mouths_are_told_and_unsure(recognizer: Recognizer, examples: Path, name: str, cloth: str) -> None:
    (face,) = recognizer.recognize(masked(read_image(examples / f"{name}.jpg"), MOUTHS[name], CLOTHS[cloth]))
    assert face.mouth_covered
    assert face.unsure
    assert face.to_dict()["mouth_covered"] is True


def test_crops_that_are_faces_already(examples: Path) -> None:
    crop = read_image(examples / "eileen-collins.jpg")[60:176, 166:282]
    recognizer = Recognizer(detector="whole-image", threads=1)
    assert not recognizer.recognize(crop)[0].mouth_covered
    assert recognizer.recognize(masked(crop, (0, 60, 116, 116), CLOTHS["blue"]))[0].mouth_covered


def test_texts_and_rows_say_it(tmp_path: Path) -> None:
    face = Face((0, 0, 10, 10), 0.9, {"sadness": 0.99, "neutral": 0.01}, None, 0.5, mouth_covered=True)
    record = to_record("a.jpg", np.zeros((20, 20, 3), np.uint8), [face])
    assert "sadness? 99%" in to_text(record)
    assert to_text(record).endswith("mouth covered")
    table = CsvFile(tmp_path / "t.csv", ("sadness", "neutral"))
    table.write(record)
    table.close()
    header, row = (tmp_path / "t.csv").read_text("utf-8-sig").splitlines()
    assert dict(zip(header.split(","), row.split(","), strict=True))["mouth_covered"] == "true"

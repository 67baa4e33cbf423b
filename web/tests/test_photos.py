"""Photographs on the page give what Python gives."""

import json
from pathlib import Path

import numpy as np
import pytest
from conftest import EXAMPLES, Visit, read_csv
from PIL import Image

import mien
from mien.errors import ImageError
from mien.images import read_image

BOX_PX, SCORE = 0.5, 1e-3

DROP = """async ([address, name, type]) => {
    const files = new DataTransfer();
    const content = address ? await (await fetch(address)).blob() : new Blob(['no picture']);
    files.items.add(new File([content], name, {type}));
    document.querySelector('main').dispatchEvent(new DragEvent('drop', {bubbles: true, dataTransfer: files}));
}"""


def read_json(file: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def assert_same_faces(found: dict, pixels: np.ndarray, faces: list[mien.Face]) -> None:
    assert (found["height"], found["width"]) == pixels.shape[:2], found["source"]
    assert len(found["faces"]) == len(faces), found["source"]
    for each, expected in zip(found["faces"], faces, strict=True):
        assert np.abs(np.subtract(each["box_xyxy"], expected.box_xyxy)).max() <= BOX_PX, found["source"]
        assert np.abs(np.subtract(each["landmarks_xy"], expected.landmarks_xy)).max() <= BOX_PX, found["source"]
        assert abs(each["detection_score"] - expected.detection_score) <= SCORE, found["source"]
        assert each["scores"].keys() == expected.scores.keys()
        for name, score in expected.scores.items():
            assert abs(each["scores"][name] - score) <= SCORE, (found["source"], name)
        assert each["expression"] == expected.expression
        assert (each["unsure"], each["mouth_covered"]) == (expected.unsure, expected.mouth_covered)


def test_twenty_files_give_what_python_gives(visit: Visit, pictures: list[Path], tmp_path: Path) -> None:
    recognizer = mien.Recognizer(threads=1)
    assert len(pictures) == 20
    visit.choose(*pictures)
    done = "document.querySelectorAll('.thumbnail').length === 20 && !document.querySelector('.thumbnail.waiting')"
    visit.wait(done)
    found = read_json(visit.download("#json", tmp_path))
    assert [each["source"] for each in found] == [file.name for file in pictures]
    several = 0
    for each, file in zip(found, pictures, strict=True):
        try:
            pixels = read_image(file)
        except ImageError:
            assert "cannot be read" in each["error"]
            assert file.name in each["error"]
            continue
        faces = recognizer.recognize(pixels)
        assert_same_faces(each, pixels, faces)
        several += len(faces)
    assert several > 12
    rows = read_csv(visit.download("#csv", tmp_path))
    assert sum(row["expression"] != "" for row in rows) == several
    assert [row["source"] for row in rows if row["error"]] == ["broken.jpg", "cut.png", "empty.png"]
    assert len(visit.page.query_selector_all("#table tbody tr")) == len(rows)
    picked = visit.page.query_selector_all(".thumbnail")[pictures.index(EXAMPLES / "two-people.jpg")]
    picked.click()
    visit.cards(2)


def test_a_dropped_portrait_and_its_annotated_picture(visit: Visit, tmp_path: Path) -> None:
    visit.page.evaluate(DROP, ["examples/eileen-collins.jpg", "eileen-collins.jpg", "image/jpeg"])
    (card,) = visit.cards(1)
    assert card.startswith("Face 1: happiness")
    found = read_json(visit.download("#json", tmp_path))
    x0, y0, x1, y1 = (round(side) for side in found[0]["faces"][0]["box_xyxy"])
    file = visit.download("#annotated", tmp_path)
    assert file.name == "eileen-collins-annotated.png"
    annotated = np.asarray(Image.open(file).convert("RGB")).astype(int)
    plain = read_image(EXAMPLES / "eileen-collins.jpg").astype(int)
    assert annotated.shape == plain.shape
    changed = np.abs(annotated - plain).max(axis=2) > 40
    assert changed[y0 - 3 : y1 + 3, x0 - 3 : x0 + 3].any(axis=1).mean() > 0.7  # a line on the left
    assert changed[y0 + 12 : y1 - 12, x0 + 12 : x1 - 12].mean() < 0.01


def test_a_broken_file_is_told_kindly_and_the_page_goes_on(visit: Visit) -> None:
    visit.page.evaluate(DROP, ["", "notes.txt", "text/plain"])
    visit.wait("document.querySelector('#count').textContent.includes('notes.txt cannot be read')")
    visit.page.keyboard.press("Escape")
    assert visit.page.locator("#choose").is_visible()
    visit.page.click("[data-example='examples/grace-hopper.jpg']")
    visit.cards(1)


def test_another_network_in_another_language_by_keyboard(visit: Visit) -> None:
    visit.page.click("[data-example='examples/eileen-collins.jpg']")
    visit.cards(1)
    names = [card.name for card in mien.list_models()]
    assert visit.page.eval_on_selector_all("#model option", "all => all.map(each => each.value)") == names
    other = next(card for card in mien.list_models()[1:] if len(card.expressions) == 7)
    visit.page.select_option("#model", other.name)
    visit.wait("document.querySelectorAll('.row').length === 7")
    visit.page.locator("#language").focus()
    visit.page.keyboard.press("Enter")
    visit.wait("document.querySelector('.name').textContent === '高兴'")
    assert visit.page.evaluate("document.documentElement.lang") == "zh-Hans"


def test_everything_has_a_name_for_screen_readers(visit: Visit) -> None:
    visit.page.click("[data-example='examples/two-people.jpg']")
    visit.cards(2)
    nameless = """() => [...document.querySelectorAll('button, select, a, img, canvas[role]')]
        .filter(each => each.checkVisibility())
        .filter(each => !(each.getAttribute('aria-label') || each.textContent.trim() || each.alt || each.labels?.length
            || each.alt === '' && each.closest('button')))
        .map(each => each.outerHTML)"""
    assert visit.page.evaluate(nameless) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_is_wider_than_the_screen(visit: Visit, scheme: str, width: int) -> None:
    visit.page.emulate_media(color_scheme=scheme)
    visit.page.set_viewport_size({"width": width, "height": 800})
    wide = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
    assert not visit.page.evaluate(wide)
    assert visit.page.locator("#choose").bounding_box()["y"] < 500

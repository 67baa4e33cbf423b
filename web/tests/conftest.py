"""A server of the page, a real Chromium with a fake camera, and pictures of many kinds."""

import csv
import io
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright (group `browser`)")

REPOSITORY = Path(__file__).parents[2]
EXAMPLES = REPOSITORY / "examples"
CHROMIUM = os.environ.get("MIEN_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
PATIENCE_MS = 240_000
"""Machines that run tests are busy."""


def start_server(*arguments: str) -> tuple[subprocess.Popen[str], str]:
    """`mien serve` on a free port, and its address."""
    command = [sys.executable, "-m", "mien", "serve", "--port", "0", *arguments]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    address = server.stdout.readline().strip()
    assert address.startswith("http://127.0.0.1:"), address
    return server, address


def read_csv(file: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(file.read_text())))


def stop_server(server: "subprocess.Popen[str]") -> None:
    server.terminate()
    server.communicate(timeout=60)


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    process, address = start_server()
    yield address
    stop_server(process)


@pytest.fixture(scope="session")
def camera_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both portraits, swaying, as what the fake camera sees: JPEGs one after another."""
    file = tmp_path_factory.mktemp("camera") / "clip.mjpeg"
    with file.open("wb") as stream:
        for frame in swaying_people():
            frame.save(stream, "JPEG", quality=92)
    return file


def swaying_people(count: int = 30) -> Iterator[Image.Image]:
    """640 x 480 pixels of two people each; the last frame leads to the first."""
    both = Image.open(EXAMPLES / "two-people.jpg").convert("RGB")
    both = both.resize((680, round(both.height * 680 / both.width)))
    for index in range(count):
        frame = Image.new("RGB", (640, 480), "#465a50")
        shift = np.array([20, 10]) * [np.sin(2 * np.pi * index / count), np.cos(2 * np.pi * index / count)]
        frame.paste(both, (round(-20 + shift[0]), round(60 + shift[1])))
        yield frame


@pytest.fixture(scope="session")
def browser(camera_clip: Path) -> Iterator["playwright.Browser"]:
    if CHROMIUM is None:
        pytest.skip("needs Chromium: Debian's package, or the path in MIEN_CHROMIUM")
    flags = ["--use-fake-device-for-media-stream", f"--use-file-for-fake-video-capture={camera_clip}"]
    with playwright.sync_playwright() as started:
        found = started.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield found
        found.close()


class Visit:
    """A page in a browser that has never been there, and everything that it asked for or complained of."""

    def __init__(self, browser: "playwright.Browser", address: str, **options: object) -> None:
        options = {"viewport": {"width": 1280, "height": 860}, "locale": "en-GB", **options}
        self.context = browser.new_context(permissions=["camera"], accept_downloads=True, **options)
        self.context.set_default_timeout(PATIENCE_MS)
        self.requests: list[tuple[str, str, bytes | None]] = []
        self.complaints: list[str] = []
        self.context.on("request", lambda each: self.requests.append((each.method, each.url, each.post_data_buffer)))
        self.page = self.context.new_page()
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", lambda each: self.complaints.append(each.text) if each.type == "error" else None)
        self.page.goto(address)
        self.page.wait_for_selector("body.ready")

    def choose(self, *files: Path) -> None:
        self.page.set_input_files("#files", [str(file) for file in files])

    def wait(self, condition: str) -> None:
        """Until a condition in JavaScript holds; the page's security policy forbids Playwright's own way."""
        deadline = time.monotonic() + PATIENCE_MS / 1000
        while not self.page.evaluate(condition):
            assert time.monotonic() < deadline, f"{condition}: not in time"
            time.sleep(0.1)

    def start_over(self) -> None:
        """The page as at first, in English."""
        self.page.keyboard.press("Escape")
        if self.page.evaluate("document.documentElement.lang") != "en":
            self.page.click("#language")
        self.complaints.clear()

    def cards(self, count: int) -> list[str]:
        """What the cards say, once there are so many."""
        self.wait(f"document.querySelectorAll('.card').length === {count}")
        return [each.get_attribute("aria-label") or "" for each in self.page.query_selector_all(".card")]

    def download(self, button: str, folder: Path) -> Path:
        with self.page.expect_download() as found:
            self.page.click(button)
        file = folder / found.value.suggested_filename
        found.value.save_as(file)
        return file


@pytest.fixture(scope="session")
def first_visit(browser: "playwright.Browser", server: str) -> Iterator[Visit]:
    found = Visit(browser, server)
    yield found
    found.context.close()


@pytest.fixture
def visit(first_visit: Visit) -> Iterator[Visit]:
    """The same for all tests, since loading takes longest; starts over, and must not complain."""
    first_visit.start_over()
    yield first_visit
    assert not first_visit.complaints


def masked(portrait: Image.Image) -> Image.Image:
    """The face of Eileen Collins with a cloth before the mouth."""
    picture = portrait.copy()
    picture.paste("#8fb8d8", (190, 128, 258, 178))
    return picture


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Real and drawn pictures of many sizes and kinds."""
    folder = tmp_path_factory.mktemp("pictures")
    collins, hopper, both = (
        Image.open(EXAMPLES / f"{name}.jpg").convert("RGB") for name in ("eileen-collins", "grace-hopper", "two-people")
    )
    oblong = Image.new("RGB", (900, 150), "#808080")
    oblong.paste(collins.crop((150, 0, 350, 200)).resize((150, 150)), (700, 0))
    large = Image.new("RGB", (1900, 1300), "#335566")
    for index, (x, y) in enumerate(((60, 80), (1500, 40), (900, 900))):
        large.paste((collins, hopper)[index % 2].resize((240, 240 + 30 * index)), (x, y))
    seen_through = hopper.convert("RGBA")
    seen_through.putalpha(Image.linear_gradient("L").resize(hopper.size).point(lambda value: 255 - value // 2))
    turned = collins.getexif()
    turned[0x0112] = 6
    flat = Image.new("RGB", (333, 77), "#aabbcc")
    drawn = Image.effect_noise((200, 160), 60).convert("RGB")
    made = {
        "leaning.png": (collins.rotate(22, Image.Resampling.BICUBIC, expand=True), {}),
        "small.png": (collins.crop((170, 20, 290, 140)).resize((47, 47)), {}),
        "oblong.png": (oblong, {}),
        "large.jpg": (large, {"quality": 90}),
        "odd.png": (both.resize((701, 379)), {}),
        "transparent.png": (seen_through, {}),
        "exif.jpg": (collins.transpose(Image.Transpose.ROTATE_90), {"exif": turned, "quality": 95}),
        "grey.jpg": (hopper.convert("L"), {"quality": 90}),
        "lossless.webp": (collins.resize((300, 300)), {"lossless": True}),
        "upside-down.png": (hopper.rotate(180), {}),
        "on-its-side.png": (both.rotate(90, expand=True), {}),
        "mask.png": (masked(collins), {}),
        "noise.bmp": (drawn, {}),
        "tiny.png": (flat.crop((0, 0, 3, 2)), {}),
    }
    files = [EXAMPLES / f"{name}.jpg" for name in ("eileen-collins", "grace-hopper", "two-people")]
    for name, (picture, options) in made.items():
        picture.save(folder / name, **options)
        files.append(folder / name)
    broken, cut, empty = folder / "broken.jpg", folder / "cut.png", folder / "empty.png"
    broken.write_bytes(b"no picture")
    cut.write_bytes((EXAMPLES / "two-people.jpg").read_bytes()[:300])
    empty.write_bytes(b"")
    return [*files, broken, cut, empty]


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds of two people, as a video that browsers play."""
    av = pytest.importorskip("av")
    file = tmp_path_factory.mktemp("video") / "people.mp4"
    with av.open(str(file), "w") as container:
        stream = container.add_stream("libx264", rate=15, options={"crf": "18"})
        stream.width, stream.height, stream.pix_fmt = 640, 480, "yuv420p"
        for frame in swaying_people():
            container.mux(stream.encode(av.VideoFrame.from_image(frame)))
        container.mux(stream.encode())
    return file

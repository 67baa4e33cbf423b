"""The site of docs/: it builds without a warning, and needs no other host."""

import importlib.util
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
LOADED = {
    "script": "src",
    "img": "src",
    "link": "href",
    "iframe": "src",
    "source": "src",
    "video": "src",
    "object": "data",
}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if importlib.util.find_spec("mkdocs") is None:
        pytest.skip("needs the dependency group `docs`")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    quiet = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    built = subprocess.run(command, cwd=REPOSITORY, env=quiet, capture_output=True, text=True, timeout=300)
    assert built.returncode == 0, built.stdout + built.stderr
    return folder


class Resources(HTMLParser):
    """The addresses that a page loads by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if tag == "link" and found.get("rel") in ("canonical", "prev", "next"):
            return
        self.addresses.append(found.get(LOADED.get(tag, "")) or "")
        self.addresses += (found.get("srcset") or "").split()


def test_pages_load_nothing_from_other_hosts(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) > 15
    for page in pages:
        resources = Resources()
        resources.feed(page.read_text(encoding="utf-8"))
        assert [each for each in resources.addresses if re.match(r"(\w+:)?//", each)] == [], page
    for style in site.rglob("*.css"):
        assert not re.search(r"(url\(|@import)\s*['\"]?(\w+:)?//", style.read_text(encoding="utf-8")), style


def test_every_page_is_in_the_navigation_and_reports_are_in_the_site(site: Path) -> None:
    navigation = (REPOSITORY / "mkdocs.yml").read_text(encoding="utf-8").split("nav:")[1]
    for document in (REPOSITORY / "docs").rglob("*.md"):
        assert document.relative_to(REPOSITORY / "docs").as_posix() in navigation
    assert (site / "reports" / "rlr-cnet-fer2013-public_test.json").is_file()


def test_the_reference_explains_the_public_names(site: Path) -> None:
    page = (site / "reference.html").read_text(encoding="utf-8")
    for name in ("mien.Recognizer", "mien.Recognizer.recognize", "mien.Face", "mien.Video", "mien.errors.ImageError"):
        assert f'id="{name}"' in page, name

"""The files of the page: built ones (scripts/web), the packaged networks, and the settings; no web framework."""

import gzip
import hashlib
import json
import mimetypes
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from mien.errors import MienError
from mien.web.settings import page_settings
from mien.weights import FOLDER as WEIGHTS

STATIC = Path(__file__).parent / "static"
MODEL_CARDS = (STATIC / "model-card.txt", Path(__file__).parents[3] / "MODEL_CARD.md")
"""Where the model card lies: in an installed package, and in a clone."""
BUILT_ONCE = ("assets/", "runtime/", "weights/")
"""What stands in these folders has another address once it changes, so that browsers may keep it for good."""
MEDIA_TYPES = {
    ".js": "text/javascript",
    ".mjs": "text/javascript",
    ".wasm": "application/wasm",
    ".onnx": "application/octet-stream",
    ".webmanifest": "application/manifest+json",
    ".woff2": "font/woff2",
}
"""Of which Python's own table is unsure on some systems."""
COMPRESSIBLE = (".js", ".mjs", ".wasm", ".css", ".html", ".json", ".svg", ".txt", ".webmanifest", ".onnx")


@dataclass(frozen=True)
class PageFile:
    """A file of the page at its address, relative to the page's own."""

    address: str
    path: Path | None = None
    """Where it lies; with the ending .gz, compressed."""
    text: str = ""
    """What it says, where it lies nowhere."""

    @property
    def media_type(self) -> str:
        """As in a Content-Type header, with the character set of texts."""
        ending = Path(self.address).suffix
        found = MEDIA_TYPES.get(ending) or mimetypes.guess_type(self.address)[0] or "application/octet-stream"
        return f"{found}; charset=utf-8" if found.startswith("text/") or ending == ".json" else found

    @property
    def stays(self) -> bool:
        """Whether browsers may keep it for good."""
        return self.address.startswith(BUILT_ONCE)

    @cached_property
    def content(self) -> bytes:
        """As it is."""
        if self.path is None:
            return self.text.encode()
        encoded = self.path.read_bytes()
        return gzip.decompress(encoded) if self.path.suffix == ".gz" else encoded

    @cached_property
    def compressed(self) -> bytes | None:
        """With gzip; None where that saves nothing worth it."""
        if self.path is not None and self.path.suffix == ".gz":
            return self.path.read_bytes()
        return gzip.compress(self.content, mtime=0) if self.address.endswith(COMPRESSIBLE) else None

    @cached_property
    def etag(self) -> str:
        """Tells whether a browser's copy is this one."""
        stored = self.content if self.path is None else self.path.read_bytes()
        return f'"{hashlib.sha256(stored).hexdigest()[:20]}"'


def page_files() -> dict[str, PageFile]:
    """All files of the page by address; MienError where the page was not built."""
    files = {file.address: file for file in _packaged()}
    if "index.html" not in files:
        raise MienError(f"{STATIC}: expected the built page, found none; scripts/web builds it")
    for card in MODEL_CARDS:
        if card.is_file():
            files["model-card.txt"] = PageFile("model-card.txt", card)
    settings = page_settings()
    files["settings.json"] = PageFile("settings.json", text=json.dumps(settings))
    for each in [*settings["models"], settings["detector"]]:
        address = each["url"].partition("?")[0]
        files[address] = PageFile(address, WEIGHTS / Path(address).name)
    return files


def _packaged() -> Iterator[PageFile]:
    for path in sorted(STATIC.rglob("*")):
        if path.is_file():
            yield PageFile(path.relative_to(STATIC).as_posix().removesuffix(".gz"), path)


def write_page(folder: Path) -> list[Path]:
    """Write the page as static files for any host into a new or empty folder; the files written.

    Raises MienError where the folder holds something already.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise MienError(f"{folder}: expected a new or empty folder, found something in it")
    written = []
    for file in page_files().values():
        target = folder / file.address
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(file.content)
        written.append(target)
    return written

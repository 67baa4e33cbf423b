"""The page's files: what the settings tell, and what `mien page` writes."""

import base64
import hashlib
import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

import mien
from mien.cli import app
from mien.detection import decoding
from mien.errors import MienError
from mien.web.files import STATIC, page_files, write_page
from mien.web.settings import page_settings

WEB = Path(__file__).parents[1] / "web"


def test_settings_know_the_networks_and_their_weights() -> None:
    settings, files = page_settings(), page_files()
    assert settings["default_model"] == mien.Recognizer().model_name
    assert [each["name"] for each in settings["models"]] == [card.name for card in mien.list_models()]
    for each in [*settings["models"], settings["detector"]]:
        content = files[each["url"].partition("?")[0]].content
        assert each["integrity"] == f"sha256-{base64.b64encode(hashlib.sha256(content).digest()).decode()}"
    assert settings["decoding"]["strides"] == decoding.STRIDES
    assert settings["detector"]["score_threshold"] == mien.detection.FaceFinder().score_threshold


def test_the_page_reads_all_settings_and_no_others() -> None:
    """The interfaces of settings.ts have the fields that Python tells."""
    source = (WEB / "src" / "settings.ts").read_text()
    interfaces = {
        name: set(re.findall(r"readonly (\w+):", re.sub(r"\{ .*\}", "x", body)))
        for name, body in re.findall(r"interface (\w+)[^{]*\{\n(.*?)\n\}", source, re.DOTALL)
    }
    settings = page_settings()
    assert interfaces["Settings"] == set(settings)
    assert interfaces["Model"] | interfaces["Weights"] == set(settings["models"][0])
    assert interfaces["Preprocessing"] == set(settings["models"][0]["preprocessing"])
    assert interfaces["Detector"] | interfaces["Weights"] == set(settings["detector"])
    for name in ("boxes", "decoding", "looks", "turned_heads", "covered_mouth", "tracking"):
        words = name.removesuffix("s") if name in ("looks", "turned_heads") else {"boxes": "box"}.get(name, name)
        rules = "".join(word.title() for word in words.split("_")) + "Rules"
        assert interfaces[rules] == set(settings[name]), rules


def test_the_runtime_is_the_one_of_the_lock_file() -> None:
    locked = json.loads((WEB / "package-lock.json").read_text())["packages"]["node_modules/onnxruntime-web"]
    told = json.loads((STATIC / "runtime.json").read_text())
    assert {key: told[key] for key in ("version", "integrity", "license")} == {
        key: locked[key] for key in ("version", "integrity", "license")
    }
    files = page_files()
    for each in told["files"]:
        content = files[each["address"]].content
        assert (hashlib.sha256(content).hexdigest(), len(content)) == (each["sha256"], each["bytes"])


def test_the_example_pictures_are_those_of_the_repository() -> None:
    for file in (WEB.parent / "examples").glob("*.jpg"):
        assert (STATIC / "examples" / file.name).read_bytes() == file.read_bytes()


def test_nothing_comes_from_other_hosts() -> None:
    page = page_files()["index.html"].content.decode()
    assert not re.search(r"""(src|href)="(https?:)?//""", page)
    assert not re.search(r"<script(?![^>]*src=)|<style| style=| on\w+=", page)  # as the security policy demands


def test_all_addresses_of_the_page_exist() -> None:
    files = page_files()
    page = files["index.html"].content.decode()
    for address in re.findall(r"""(?:src|href|data-example)="([^"]+)\"""", page):
        assert address == "./" or address in files
    for icon in json.loads(files["manifest.webmanifest"].content)["icons"]:
        assert icon["src"] in files


def test_page_writes_static_files_into_an_empty_folder_only(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["page", str(tmp_path / "out")])
    assert done.exit_code == 0
    written = {
        file.relative_to(tmp_path / "out").as_posix() for file in (tmp_path / "out").rglob("*") if file.is_file()
    }
    assert written == set(page_files())
    with pytest.raises(MienError, match="expected a new or empty folder"):
        write_page(tmp_path / "out")
    assert done.stderr.endswith(" MB\n")


def test_every_text_has_both_languages_and_is_used() -> None:
    source = (WEB / "src" / "texts.ts").read_text()
    english, chinese = (
        dict(re.findall(r'^  (\w+): "(.*)",$', body, re.MULTILINE))
        for body in re.findall(r"const (?:english|chinese)[^{]*\{\n(.*?)\n\}", source, re.DOTALL)
    )
    assert english.keys() == chinese.keys()
    everything = "".join(file.read_text() for file in [*WEB.glob("src/*.ts"), WEB / "page" / "index.html"])
    for key, text in english.items():
        assert set(re.findall(r"\{\w+\}", text)) == set(re.findall(r"\{\w+\}", chinese[key])), key
        assert len(re.findall(rf'"{key}"', everything)) >= 1, key

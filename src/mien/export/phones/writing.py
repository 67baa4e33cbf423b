"""A network in a format of phones: converted, compared with ONNX Runtime, written, entered into its specification."""

import hashlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from mien.atomic import replacing
from mien.errors import MissingExtraError, ModelError
from mien.export.drawn_faces import drawn_faces
from mien.export.phones.engines import ENGINES
from mien.export.phones.fixed import FixedNetwork, FloatArray, fixed_network
from mien.export.phones.formats import NEEDS, SUFFIXES, convert
from mien.export.phones.specification import FORM, specification
from mien.preprocessing import Preprocessing, to_network_input

TOLERANCE = {"fp32": 1e-3, "fp16": 0.1, "int8-weights": 0.5}
"""Largest difference of outputs to the ONNX file in ONNX Runtime (chosen; detectors have the largest, on noise)."""
COMPARED = 8
"""Drawn faces on which a network is compared; a detector is compared on one picture of noise."""


def export_for_phones(
    model: str | None, form: str, out: Path, size_px: int | None = None, precision: str = "fp32"
) -> dict[str, Any]:
    """Write a network in a format of phones into a folder, and its specification beside it.

    model: a packaged network or face detector by name, or the path of an ONNX file from mien export.
    form: one of formats.CONVERTERS. size_px: side of the square input, for face detectors. precision: of the weights.
    Returns what the specification says of the artefact: its files, their bytes, and the largest difference of its
    outputs to ONNX Runtime, null for Core ML, which runs on Apple's systems alone. Raises ModelError where the network
    or the precision does not suit the format, or the difference is too large, MissingExtraError where the converter
    is missing; then nothing is written.
    """
    network = fixed_network(model, size_px)
    file = out / f"{network.name}.json"
    described = _described(file)
    name = network.name if precision == "fp32" else f"{network.name}-{precision}"
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="part-", dir=out) as folder:
        converted = convert(network, form, Path(folder) / name, precision)
        artefact = {
            "format": form,
            "precision": precision,
            "files": [f"{name}{suffix}" for suffix in SUFFIXES[form]],
            "bytes": sum(each.stat().st_size for each in Path(folder).rglob("*") if each.is_file()),
            "sha256": {each.name: hashlib.sha256(each.read_bytes()).hexdigest() for each in _files(Path(folder))},
            "largest_difference": _difference(network, form, converted, precision) if form in ENGINES else None,
        }
        for suffix in SUFFIXES[form]:
            _replace(Path(folder) / f"{name}{suffix}", out / f"{name}{suffix}")
    told = specification(network)
    same = described.get("source_sha256") == told["source_sha256"]  # of an older network, nothing is kept
    others = [each for each in described["artefacts"] if (each["format"], each["precision"]) != (form, precision)]
    told["artefacts"] = [*(others if same else []), artefact]
    with replacing(file) as temporary:
        temporary.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    return artefact


def compared_inputs(network: FixedNetwork) -> list[FloatArray]:
    """The inputs (1, C, H, W) on which a network is compared with ONNX Runtime."""
    if network.is_detector:
        return [np.random.default_rng(0).integers(0, 256, network.shape).astype(np.float32)]
    values = Preprocessing.from_dict(network.entry["preprocessing"])
    return list(to_network_input(drawn_faces(values, COMPARED), values)[:, None])


def _difference(network: FixedNetwork, form: str, file: Path, precision: str) -> float:
    """The largest difference of any output; ModelError beyond `TOLERANCE`."""
    try:
        engine = ENGINES[form](file, 1)
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"--to {form} needs {error.name}, to compare what it wrote; in an environment of its own: "
            f"pip install mien {NEEDS[form]}"
        ) from error
    differences = []
    for inputs in compared_inputs(network):
        expected, found = network.expected(inputs), engine(inputs)
        if [each.shape for each in expected] != [each.shape for each in found]:
            raise ModelError(
                f"{network.name} in {form}: expected outputs {[each.shape for each in expected]}, "
                f"found {[each.shape for each in found]}"
            )
        differences += [float(np.abs(a - b).max()) for a, b in zip(expected, found, strict=True)]
    largest = max(differences)
    if not largest <= TOLERANCE[precision]:
        raise ModelError(
            f"{network.name} in {form}, {precision}: expected outputs within {TOLERANCE[precision]} of ONNX Runtime, "
            f"found {largest:.1e}"
        )
    return float(f"{largest:.2g}")


def _described(file: Path) -> dict[str, Any]:
    """The specification that stands there, or an empty one; ModelError for another JSON file."""
    if not file.exists():
        return {"artefacts": []}
    try:
        described: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        if described["specification"] == FORM:
            return described
    except (ValueError, KeyError, TypeError):
        pass
    raise ModelError(f"{file}: expected a specification that mien wrote, found another file; name another folder")


def _files(folder: Path) -> list[Path]:
    return sorted(each for each in folder.iterdir() if each.is_file())


def _replace(written: Path, target: Path) -> None:
    """Move a file, or Core ML's folder, to its place; an older one goes."""
    if target.is_dir():
        with tempfile.TemporaryDirectory(prefix="part-", dir=target.parent) as old:
            os.replace(target, Path(old) / target.name)
            os.replace(written, target)
    else:
        os.replace(written, target)

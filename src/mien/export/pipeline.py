"""From a torch checkpoint to an ONNX file: load, network, card, encode, check, write, enter into the manifest.

What differs between networks that tell expressions and those that find faces stands in classifier.py and detector.py.
"""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from mien.atomic import replacing
from mien.errors import ModelError
from mien.export.calibration_faces import CalibrationSplit
from mien.export.classifier import ClassifierOptions, encode_classifier
from mien.export.detector import encode_detector
from mien.export.manifest import enter_into_manifest, read_manifest
from mien.export.precision import Precision
from mien.training.checkpoint import load_checkpoint
from mien.training.initial_weights import write_initial_weights


def export_checkpoint(
    file: Path,
    out: Path,
    name: str | None,
    licence: str,
    method_options: Mapping[str, Any] = MappingProxyType({}),
    initial_weights: bool = False,
    precision: Precision = "fp32",
    margin: float | None = None,
    calibration: CalibrationSplit | None = None,
) -> float:
    """Write the averaged network of a checkpoint as ONNX and its entry into `manifest.json` beside it.

    name: the network's name in the manifest; that of the experiment (and the precision) if None.
    initial_weights: also write a small checkpoint beside it, to start from. The other options: see `ClassifierOptions`;
    a detector has none of them. Returns the largest difference to torch: of logits over 64 drawn faces, or of a
    detector's maps. Raises CheckpointError for a damaged checkpoint, DatasetError for faces that cannot serve,
    ModelError when the difference is too large, when `int8` has no faces or costs too much (`check_int8`), or when the
    folder has another `manifest.json`; then nothing is written.
    """
    checkpoint = load_checkpoint(file)
    manifest = read_manifest(out.parent / "manifest.json")
    options = ClassifierOptions(method_options, precision, margin, calibration)
    if checkpoint.header.experiment.method.name != "detection":
        encoded = encode_classifier(checkpoint, name, licence, options)
    elif initial_weights or options != ClassifierOptions():
        raise ModelError(f"{file}: expected name and licence alone for a detector, found other options")
    else:
        encoded = encode_detector(checkpoint, name, licence)
    out.parent.mkdir(parents=True, exist_ok=True)
    with replacing(out) as temporary:
        temporary.write_bytes(encoded.content)
        difference = encoded.check(temporary)
    if initial_weights:
        write_initial_weights(checkpoint, out.with_suffix(".safetensors"))
    enter_into_manifest(manifest, out, encoded.content, encoded.entry, encoded.kind)
    return difference

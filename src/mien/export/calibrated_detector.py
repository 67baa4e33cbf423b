"""A face detector's ONNX file with calibrated scores and a working threshold of its own; needs `onnx`.

The map of logits stands in the weights of the last convolutions, so that nothing is left to do at run time; the
threshold stands in the file's manifest entry, where `FaceFinder` reads it.
"""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from mien.atomic import replacing
from mien.errors import ModelError
from mien.evaluation.detector_calibration import ScoreMap
from mien.evaluation.operating_point import OperatingPoint
from mien.export.manifest import enter_into_manifest, read_manifest
from mien.session import open_session
from mien.weights import METADATA_KEY, read_model

TOLERANCE = 1e-3
"""Largest difference of the file's logits to mapped ones on noise (chosen; they lie within about 10)."""


def write_calibrated(detector: str, out: Path, point: OperatingPoint, calibration: str) -> None:
    """Write a detector with this map of its logits and this threshold, and its entry into `manifest.json` beside it.

    detector: a packaged one, or an ONNX file of mien's. calibration: what the point was chosen on, for the entry.
    Raises ModelError, and writes nothing, where the network has no such last convolutions.
    """
    encoded = read_model(detector, "detectors")
    _, entry = open_session(encoded, detector, 1)
    earlier = ScoreMap(**entry.get("score_map", {"slope": 1.0, "intercept": 0.0}))
    entry |= {
        "score_threshold": point.score_threshold,
        "score_map": asdict(earlier.then(point.score_map)),
        "calibration": calibration,
    }
    manifest = read_manifest(out.parent / "manifest.json")
    calibrated = with_score_map(encoded, point.score_map, entry)
    _check(detector, encoded, calibrated, point.score_map)
    out.parent.mkdir(parents=True, exist_ok=True)
    with replacing(out) as temporary:
        temporary.write_bytes(calibrated)
    enter_into_manifest(manifest, out, calibrated, entry, "detectors")


def with_score_map(encoded: bytes, score_map: ScoreMap, entry: dict[str, Any]) -> bytes:
    """The network with mapped logits in the first channel of each output, and this manifest entry."""
    model = onnx.load_from_string(encoded)
    initializers = {each.name: each for each in model.graph.initializer}
    producers = {name: node for node in model.graph.node for name in node.output}
    mapped: set[str] = set()
    for output in model.graph.output:
        weight, bias = _score_weights(output.name, producers, initializers)
        for stored, intercept in ((weight, 0.0), (bias, score_map.intercept)):
            if stored.name not in mapped:
                values = numpy_helper.to_array(stored).copy()
                values[0] = values[0] * score_map.slope + intercept
                stored.CopyFrom(numpy_helper.from_array(values, stored.name))
                mapped.add(stored.name)
    for each in model.metadata_props:
        if each.key == METADATA_KEY:
            each.value = json.dumps(entry)
    calibrated: bytes = model.SerializeToString()
    return calibrated


def _score_weights(
    output: str, producers: dict[str, onnx.NodeProto], initializers: dict[str, onnx.TensorProto]
) -> tuple[onnx.TensorProto, onnx.TensorProto]:
    """Weight and bias of the convolution that gives the first channel of an output."""
    node = producers[output]
    while node.op_type in ("Concat", "Identity"):
        node = producers[node.input[0]]
    names = [
        producers[name].input[0] if name in producers and producers[name].op_type == "Cast" else name
        for name in node.input[1:]
    ]
    if node.op_type != "Conv" or len(names) != 2 or not initializers.keys() >= set(names):
        raise ModelError(f"{output}: expected a convolution with a bias, found {node.op_type}")
    return initializers[names[0]], initializers[names[1]]


def _check(detector: str, encoded: bytes, calibrated: bytes, score_map: ScoreMap) -> None:
    """ModelError where the new file's maps are not the old ones with mapped logits."""
    image = np.random.default_rng(0).integers(0, 256, (1, 96, 128, 3), np.uint8)
    old, new = (open_session(each, detector, 1)[0].run(None, {"image": image}) for each in (encoded, calibrated))
    for before, after in zip(old, new, strict=True):
        before[:, 0] = before[:, 0] * score_map.slope + score_map.intercept
        difference = float(np.abs(before - after).max())
        if not difference <= TOLERANCE:
            raise ModelError(f"{detector}: expected mapped logits within {TOLERANCE}, found {difference:.1e}")

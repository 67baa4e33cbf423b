"""From a torch checkpoint to an ONNX file that is complete alone: export, parity check, manifest entry."""

import hashlib
import json
import logging
import math
import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mien.atomic import replacing
from mien.errors import ModelError
from mien.evaluation.calibration import fit_temperature, unsure_threshold
from mien.export.calibration_faces import CalibrationSplit, HeldOut, held_out_faces, range_faces
from mien.export.precision import Precision, check_int8, to_half_weights, to_int8, to_int8_weights
from mien.models import Classifier
from mien.preprocessing import ImageArray, Preprocessing, to_network_input
from mien.scorer import OnnxScorer
from mien.training.checkpoint import load_checkpoint
from mien.training.deployment import deployable_network, make_card
from mien.training.initial_weights import write_initial_weights
from mien.training.torch_scorer import TorchScorer
from mien.weights import METADATA_KEY, ModelCard

TOLERANCE = {"fp32": 1e-4, "fp16": 0.05, "int8-weights": 0.25, "int8": math.inf}
"""Largest difference of logits to torch over drawn faces (chosen; the packaged networks with weights in int8: 0.06).
int8 has no limit here: it is accepted by its answers to real faces."""
OPSET = 20


class _LogitsAndFeatures(nn.Module):
    """A classifier with both outputs."""

    def __init__(self, network: Classifier) -> None:
        super().__init__()
        self.network = network

    def forward(self, faces: Tensor) -> tuple[Tensor, Tensor]:
        features = self.network.forward_features(faces)
        return self.network.classify(features), features


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

    name: the network's name in the manifest; that of the experiment (and the precision) if None. method_options: take
    the place of those it was trained with. initial_weights: also write a small checkpoint beside it, to start from.
    precision: how the file stores weights (precision.py); `int8` also computes in integers.
    margin: that of crops around found faces (Preprocessing.margin), where training on pictures cut to the face told
    none; the experiment's if None.
    calibration: faces on which a temperature is fitted, which then stands in the weights, and the confidence below
    which the network is unsure, and by which `int8` is accepted; see `held_out_faces`.
    Returns the largest difference of logits to torch over 64 drawn faces. Raises CheckpointError for a damaged
    checkpoint, DatasetError for faces that cannot serve, ModelError when the difference exceeds `TOLERANCE`, when
    `int8` has no faces or costs too much (`check_int8`), or when the folder has another `manifest.json`; then nothing
    is written.
    """
    checkpoint = load_checkpoint(file)
    network = deployable_network(checkpoint, method_options)
    card = make_card(checkpoint, network, name, licence, method_options, precision in ("fp32", "fp16"))
    if margin is not None:
        card = replace(card, preprocessing=replace(card.preprocessing, margin=margin))
    if name is None and precision != "fp32":
        card = replace(card, name=f"{card.name}-{precision}")
    manifest = read_manifest(out.parent / "manifest.json")
    held_out, ranges = None, None
    if calibration:
        held_out = held_out_faces(calibration, checkpoint, card)
        ranges = range_faces(calibration, checkpoint, card) if precision == "int8" else None
        card = calibrate(network, card, held_out)
    elif precision == "int8":
        raise ModelError(f"{file}: expected real faces for int8 (--calibrate-on and --root), found none")
    encoded = to_onnx(network, card)
    if precision == "fp16":
        encoded = to_half_weights(encoded)
    elif precision == "int8-weights":
        encoded = to_int8_weights(encoded)
    elif ranges is not None:
        encoded = to_int8(encoded, to_network_input(ranges, card.preprocessing))
    out.parent.mkdir(parents=True, exist_ok=True)
    with replacing(out) as temporary:
        temporary.write_bytes(encoded)
        difference = check(network, temporary, precision, held_out)
    if initial_weights:
        write_initial_weights(checkpoint, out.with_suffix(".safetensors"))
    enter_into_manifest(manifest, out, encoded, card.to_dict())
    return difference


def calibrate(network: Classifier, card: ModelCard, held_out: HeldOut) -> ModelCard:
    """Divide the network's logits by the temperature that fits held-out faces best; its card with that.

    The card also tells below which confidence it is then unsure, and which classes it never answers.
    """
    scorer, temperature = TorchScorer(network, card.preprocessing), 1.0
    if not held_out.source.keep_temperature:
        temperature = fit_temperature(scorer.logits(held_out.faces), held_out.labels)
        network.divide_logits(temperature)
    probabilities = scorer(held_out.faces)
    answered = set(probabilities.argmax(axis=1).tolist())
    return replace(
        card,
        temperature=round(temperature, 6),
        calibration=held_out.source.name,
        unsure_below=round(unsure_threshold(probabilities, held_out.labels), 6),
        never_answered=tuple(name for index, name in enumerate(card.expressions) if index not in answered),
    )


def check(network: Classifier, onnx_file: Path, precision: Precision, held_out: HeldOut | None) -> float:
    """Torch against ONNX Runtime: the largest difference of logits over 64 drawn faces.

    ModelError where it exceeds `TOLERANCE`; for `int8`, where that costs too much on held-out faces.
    """
    scorer = OnnxScorer(str(onnx_file))
    torch_scorer = TorchScorer(network, scorer.card.preprocessing)
    faces = drawn_faces(scorer.card.preprocessing)
    difference = float(np.abs(scorer.logits_and_features(faces)[0] - torch_scorer.logits(faces)).max())
    if not difference <= TOLERANCE[precision]:  # also where it is not a number
        raise ModelError(
            f"{scorer.card.name}: expected ONNX Runtime within {TOLERANCE[precision]} of torch, found {difference:.1e}"
        )
    if precision == "int8" and held_out:
        check_int8(torch_scorer(held_out.faces), scorer(held_out.faces), held_out.labels, held_out.source.name)
    return difference


def to_onnx(network: Classifier, card: ModelCard) -> bytes:
    """The network as an ONNX file: input `faces` (N, C, S, S), outputs `logits` (N, K) and `features` (N, D)."""
    values = card.preprocessing
    example = torch.zeros(2, values.channels, values.size_px, values.size_px)
    shapes = ({0: torch.export.Dim("faces_count")},)
    outputs = ["logits", "features"]
    return encode(_LogitsAndFeatures(network), example, "faces", outputs, shapes, card.name, card.to_dict())


def encode(
    module: nn.Module, example: Tensor, given: str, outputs: list[str], shapes: Any, name: str, entry: dict[str, Any]
) -> bytes:
    """A module as an ONNX file with its manifest entry.

    example: one input, called `given`. shapes: which of its sides may have other sizes, as torch.export takes them.
    """
    # The exporter warns of its own deprecations, and of torchvision, which is not needed.
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            module.eval(),
            (example,),
            input_names=[given],
            output_names=outputs,
            opset_version=OPSET,
            dynamo=True,
            dynamic_shapes=shapes,
            verbose=False,
        )
    if program is None:
        raise ModelError(f"{name}: the exporter gave no program")
    model = program.model_proto
    for described in (*model.graph.node, *model.graph.input, *model.graph.output, *model.graph.value_info):
        described.ClearField("metadata_props")  # torch's stack traces: a tenth of the file
        described.ClearField("doc_string")
    metadata = model.metadata_props.add()
    metadata.key, metadata.value = METADATA_KEY, json.dumps(entry)
    encoded: bytes = model.SerializeToString()
    return encoded


def drawn_faces(preprocessing: Preprocessing, count: int = 64) -> ImageArray:
    """Random smooth pictures uint8 (count, S, S, C), whose statistics are closer to faces than noise."""
    generator = np.random.default_rng(0)
    coarse = generator.uniform(0, 255, (count, 6, 6, preprocessing.channels))
    repeats = -(-preprocessing.size_px // 6)
    fine = coarse.repeat(repeats, axis=1).repeat(repeats, axis=2)
    return fine[:, : preprocessing.size_px, : preprocessing.size_px].astype(np.uint8)


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
    manifest: dict[str, Any], onnx_file: Path, encoded: bytes, entry: dict[str, Any], kind: str = "models"
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

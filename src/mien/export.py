"""From a torch checkpoint to an ONNX file that is complete alone: export, parity check, manifest entry."""

import hashlib
import json
import logging
import os
import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mien.errors import ModelError
from mien.models import NETWORKS, Classifier, count_multiply_adds
from mien.precision import Precision, to_half_weights, to_int8
from mien.preprocessing import ImageArray, Preprocessing, to_network_input
from mien.scorer import OnnxScorer
from mien.training.checkpoint import Checkpoint, load_checkpoint
from mien.training.deployment import deployable_network
from mien.training.initial_weights import write_initial_weights
from mien.training.methods import method_class
from mien.training.torch_scorer import TorchScorer
from mien.weights import METADATA_KEY, ModelCard

TOLERANCE = {"fp32": 1e-4, "fp16": 0.05}
"""Largest difference of logits to torch (chosen)."""
AGREEMENT = 0.85
"""Smallest share of drawn faces on which an int8 network gives the answer of torch (chosen, to notice a failure)."""
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
) -> float:
    """Write the averaged network of a checkpoint as ONNX and its entry into `manifest.json` beside it.

    name: the network's name in the manifest; that of the experiment (and the precision) if None. method_options: take
    the place of those it was trained with. initial_weights: also write a small checkpoint beside it, to start from.
    precision: how the file stores weights (precision.py); `int8` also computes in integers.
    margin: that of crops around found faces (Preprocessing.margin), where training on pictures cut to the face told
    none; the experiment's if None.
    Returns the largest difference of logits to torch over 64 drawn faces. Raises CheckpointError for a damaged
    checkpoint, ModelError when the difference exceeds `TOLERANCE`, for `int8` when fewer than three quarters of the
    answers agree, or when the folder has another `manifest.json`; then nothing is written.
    """
    checkpoint = load_checkpoint(file)
    network = deployable_network(checkpoint, method_options)
    card = make_card(checkpoint, network, name, licence, method_options, with_scores=precision != "int8")
    if margin is not None:
        card = replace(card, preprocessing=replace(card.preprocessing, margin=margin))
    if name is None and precision != "fp32":
        card = replace(card, name=f"{card.name}-{precision}")
    manifest = read_manifest(out.parent / "manifest.json")
    encoded = to_onnx(network, card)
    if precision == "fp16":
        encoded = to_half_weights(encoded)
    elif precision == "int8":
        encoded = to_int8(encoded, to_network_input(drawn_faces(card.preprocessing, 512), card.preprocessing))
    out.parent.mkdir(parents=True, exist_ok=True)
    temporary = out.with_name(out.name + ".part")
    temporary.write_bytes(encoded)
    difference, agreement = parity(network, temporary, drawn_faces(card.preprocessing))
    close = agreement >= AGREEMENT if precision == "int8" else difference <= TOLERANCE[precision]
    if not close:  # also where the difference is not a number
        temporary.unlink()
        if precision == "int8":
            raise ModelError(f"{file}: expected {AGREEMENT} of the answers of torch in int8, found {agreement:.2f}")
        raise ModelError(
            f"{file}: expected ONNX Runtime within {TOLERANCE[precision]} of torch, found {difference:.1e}"
        )
    os.replace(temporary, out)
    if initial_weights:
        write_initial_weights(checkpoint, out.with_suffix(".safetensors"))
    enter_into_manifest(manifest, out, encoded, card.to_dict())
    return difference


def same_form(checkpoint: Checkpoint, method_options: Mapping[str, Any]) -> bool:
    """Whether a network with these method options ships in the form in which its epoch was selected."""
    method = checkpoint.facts["experiment"]["method"]
    read_options = method_class(method["name"]).read_options
    return read_options({**method["options"], **method_options}) == read_options(method["options"])


def make_card(
    checkpoint: Checkpoint,
    network: Classifier,
    name: str | None,
    licence: str,
    method_options: Mapping[str, Any] = MappingProxyType({}),
    with_scores: bool = True,
) -> ModelCard:
    """What the manifest says of a checkpoint's network; scores are those of its epoch on the selection split.

    method_options: see `export_checkpoint`.
    """
    facts = checkpoint.facts
    preprocessing = Preprocessing.from_dict(facts["preprocessing"])
    data, last = facts["experiment"]["data"], facts["history"][-1]
    more = ["with FERPlus votes"] if facts["experiment"]["method"]["options"].get("vote_weight") else []
    if joint := facts["experiment"].get("joint"):
        more.append(f"with faces of {joint['unlabelled']} {joint['unlabelled_split']} labelled by {joint['labelling']}")
    more += [f"with faces of {other} all without labels" for other in data.get("unlabelled", ())]
    if weights := facts["experiment"]["network"].get("weights"):
        more.append(f"started from {weights}")
    method = method_class(facts["experiment"]["method"]["name"])
    options = {**facts["experiment"]["method"]["options"], **method_options}
    expressions, scores = method.deployed_expressions(tuple(facts["expressions"]), options), {}
    if options.get("deployed") == "votes":
        measured, column = "ferplus", "selection_votes_accuracy"
    else:
        measured, column = data["dataset"], "selection_accuracy"
        with_scores = with_scores and same_form(checkpoint, method_options)
    if with_scores and column in last:
        scores[f"{measured} {data['selection_split']} accuracy"] = round(last[column], 6)
    return ModelCard(
        name=name or facts["experiment"]["name"],
        expressions=expressions,
        preprocessing=preprocessing,
        dataset=", ".join((f"{data['dataset']} {data['training_split']}", *more)),
        parameters=sum(parameter.numel() for parameter in network.parameters()),
        multiply_adds=count_multiply_adds(network, preprocessing.channels, preprocessing.size_px),
        scores=scores,
        licence=licence,
        paper=NETWORKS[facts["network"]].paper,
    )


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


def parity(network: Classifier, onnx_file: Path, faces: ImageArray) -> tuple[float, float]:
    """Torch against ONNX Runtime over faces uint8 (N, S, S, C): largest difference of logits, share of same answers."""
    scorer = OnnxScorer(str(onnx_file))
    expected = TorchScorer(network, scorer.card.preprocessing).logits(faces)
    found = scorer.logits_and_features(faces)[0]
    return float(np.abs(found - expected).max()), float((found.argmax(axis=1) == expected.argmax(axis=1)).mean())


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
    file = onnx_file.parent / "manifest.json"
    temporary = file.with_name(file.name + ".part")
    temporary.write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
    os.replace(temporary, file)

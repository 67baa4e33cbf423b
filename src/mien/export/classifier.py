"""Networks that tell expressions as ONNX: the card, its calibration, smaller files, and the check against torch."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mien.errors import ModelError
from mien.evaluation.calibration import fit_temperature, unsure_threshold
from mien.export.calibration_faces import CalibrationSplit, HeldOut, held_out_faces, range_faces
from mien.export.drawn_faces import drawn_faces
from mien.export.encoding import Encoded, encode
from mien.export.precision import Precision, check_int8, to_half_weights, to_int8, to_int8_weights
from mien.models import Classifier
from mien.preprocessing import to_network_input
from mien.scorer import OnnxScorer
from mien.training.checkpoint import Checkpoint
from mien.training.deployment import deployable_network, make_card
from mien.training.torch_scorer import TorchScorer
from mien.weights import ModelCard

TOLERANCE = {"fp32": 1e-4, "fp16": 0.05, "int8-weights": 0.25, "int8": math.inf}
"""Largest difference of logits to torch over drawn faces (chosen; the packaged networks with weights in int8: 0.06).
int8 has no limit here: it is accepted by its answers to real faces."""


@dataclass(frozen=True)
class ClassifierOptions:
    """How a network that tells expressions is exported."""

    method_options: Mapping[str, Any] = field(default_factory=dict)
    """Take the place of those that it was trained with."""
    precision: Precision = "fp32"
    """How the file stores weights (precision.py); `int8` also computes in integers."""
    margin: float | None = None
    """That of crops around found faces (Preprocessing.margin), where training on pictures cut to the face told none;
    the experiment's if None."""
    calibration: CalibrationSplit | None = None
    """Faces on which a temperature is fitted, which then stands in the weights, and the confidence below which the
    network is unsure, and by which `int8` is accepted; see `held_out_faces`."""


def encode_classifier(checkpoint: Checkpoint, name: str | None, licence: str, options: ClassifierOptions) -> Encoded:
    """The network of a checkpoint as it ships; see `export_checkpoint`."""
    precision = options.precision
    network = deployable_network(checkpoint, options.method_options)
    with_scores = precision in ("fp32", "fp16")
    card = make_card(checkpoint, network, name, licence, options.method_options, with_scores)
    if options.margin is not None:
        card = replace(card, preprocessing=replace(card.preprocessing, margin=options.margin))
    if name is None and precision != "fp32":
        card = replace(card, name=f"{card.name}-{precision}")
    held_out, ranges = None, None
    if options.calibration:
        held_out = held_out_faces(options.calibration, checkpoint, card)
        ranges = range_faces(options.calibration, checkpoint, card) if precision == "int8" else None
        card = calibrate(network, card, held_out)
    elif precision == "int8":
        raise ModelError(f"{card.name}: expected real faces for int8 (--calibrate-on and --root), found none")
    content = to_onnx(network, card)
    if precision == "fp16":
        content = to_half_weights(content)
    elif precision == "int8-weights":
        content = to_int8_weights(content)
    elif ranges is not None:
        content = to_int8(content, to_network_input(ranges, card.preprocessing))
    difference = partial(check, network, precision=precision, held_out=held_out)
    return Encoded("models", content, card.to_dict(), difference)


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


class _LogitsAndFeatures(nn.Module):
    """A classifier with both outputs."""

    def __init__(self, network: Classifier) -> None:
        super().__init__()
        self.network = network

    def forward(self, faces: Tensor) -> tuple[Tensor, Tensor]:
        features = self.network.forward_features(faces)
        return self.network.classify(features), features


def to_onnx(network: Classifier, card: ModelCard) -> bytes:
    """The network as an ONNX file: input `faces` (N, C, S, S), outputs `logits` (N, K) and `features` (N, D)."""
    values = card.preprocessing
    example = torch.zeros(2, values.channels, values.size_px, values.size_px)
    shapes = ({0: torch.export.Dim("faces_count")},)
    outputs = ["logits", "features"]
    return encode(_LogitsAndFeatures(network), example, "faces", outputs, shapes, card.name, card.to_dict())

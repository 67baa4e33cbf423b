"""The networks, by name: classifiers of faces, and face detectors."""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import torch
from torch.utils.flop_counter import FlopCounterMode

from mien.errors import ExperimentError
from mien.models.ac_net import AcNet
from mien.models.checked import validated
from mien.models.classifier import Classifier
from mien.models.dense_face import DenseFace
from mien.models.dense_face_finder import DenseFaceFinder
from mien.models.face_finder import FaceFinder
from mien.models.fer_mobilenet_v3 import FerMobileNetV3
from mien.models.rlr_cnet import RlrCnet, RlrCnetDual
from mien.models.shufflenet_v2 import ShuffleNetV2

__all__ = [
    "DETECTORS",
    "NETWORKS",
    "Classifier",
    "Detector",
    "build_detector",
    "build_network",
    "count_multiply_adds",
]

NETWORKS: dict[str, type[Classifier]] = {
    "ac-net": AcNet,
    "dense-face": DenseFace,
    "fer-mobilenet-v3": FerMobileNetV3,
    "rlr-cnet": RlrCnet,
    "rlr-cnet-dual": RlrCnetDual,
    "shufflenet-v2": ShuffleNetV2,
}
Detector: TypeAlias = FaceFinder | DenseFaceFinder
DETECTORS: dict[str, type[FaceFinder] | type[DenseFaceFinder]] = {
    "dense-face-finder": DenseFaceFinder,
    "face-finder": FaceFinder,
}


def build_network(name: str, classes: int, in_channels: int, options: Mapping[str, Any]) -> Classifier:
    """A freshly initialised network; unknown names and options raise ExperimentError."""
    if name not in NETWORKS:
        raise ExperimentError(f"unknown network {name!r}; known: {', '.join(sorted(NETWORKS))}")
    network: Callable[..., Classifier] = NETWORKS[name]
    return network(classes, in_channels, validated(NETWORKS[name].options_class, options, f"network {name}"))


def build_detector(name: str, options: Mapping[str, Any]) -> Detector:
    """A freshly initialised face detector; unknown names and options raise ExperimentError."""
    if name not in DETECTORS:
        raise ExperimentError(f"unknown face detector {name!r}; known: {', '.join(sorted(DETECTORS))}")
    detector: Callable[..., Detector] = DETECTORS[name]
    return detector(validated(DETECTORS[name].options_class, options, f"network {name}"))


def count_multiply_adds(network: Classifier, channels: int, size_px: int) -> int:
    """Multiplications with addition of convolutions and linear layers for one face (C, S, S): torch's flops, halved."""
    device = next(network.parameters()).device
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        network.eval()(torch.zeros(1, channels, size_px, size_px, device=device))
    return int(counter.get_total_flops()) // 2

"""The networks, by name: classifiers of faces, and face detectors."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeAlias, get_args, get_origin, get_type_hints

import torch
from torch.utils.flop_counter import FlopCounterMode

from mien.errors import ExperimentError
from mien.models.ac_net import AcNet
from mien.models.classifier import Classifier
from mien.models.dense_face import DenseFace
from mien.models.dense_face_finder import DenseFaceFinder
from mien.models.face_finder import FaceFinder
from mien.models.fer_mobilenet_v3 import FerMobileNetV3
from mien.models.rlr_cnet import RlrCnet, RlrCnetDual
from mien.models.shufflenet_v2 import ShuffleNetV2

__all__ = ["DETECTORS", "NETWORKS", "Classifier", "Detector", "build_network", "count_multiply_adds"]

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
    network = NETWORKS[name]
    known = {
        parameter.name
        for parameter in inspect.signature(network).parameters.values()
        if parameter.kind is parameter.POSITIONAL_OR_KEYWORD
    } - {"classes", "in_channels"}
    if unknown := set(options) - known:
        raise ExperimentError(
            f"network {name}: unknown option {', '.join(sorted(unknown))}; known: {', '.join(sorted(known))}"
        )
    hints = get_type_hints(network.__init__)
    for option, value in options.items():
        choices = get_args(hints[option]) if get_origin(hints[option]) is Literal else ()
        if choices and value not in choices:
            raise ExperimentError(f"network {name}: {option} must be one of {', '.join(choices)}, not {value!r}")
    make: Callable[..., Classifier] = network
    try:
        return make(classes=classes, in_channels=in_channels, **options)
    except (TypeError, ValueError) as error:
        raise ExperimentError(f"network {name}: {error}") from error


def count_multiply_adds(network: Classifier, channels: int, size_px: int) -> int:
    """Multiplications with addition of convolutions and linear layers for one face (C, S, S): torch's flops, halved."""
    device = next(network.parameters()).device
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        network.eval()(torch.zeros(1, channels, size_px, size_px, device=device))
    return int(counter.get_total_flops()) // 2

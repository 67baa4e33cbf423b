"""A trained face detector as ONNX: pixels in, the maps of decoding.py out."""

import copy
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from mien.detection.decoding import STRIDES
from mien.errors import ModelError
from mien.export.encoding import Encoded, encode
from mien.models import Detector, build_detector
from mien.preprocessing import Preprocessing
from mien.session import open_session
from mien.training.averaged import load_average
from mien.training.checkpoint import Checkpoint
from mien.training.methods.detection import maps_of

STATED_PX = (320, 416)
"""Height and width for which multiply-adds are stated: a photograph of 4 to 3, as large as it is by default."""
OUTPUTS = [f"stride_{stride}" for stride in STRIDES]
TOLERANCE = 1e-3
"""Largest difference of maps to torch (chosen)."""


class _FromPixels(nn.Module):
    """The network behind its normalisation: uint8 (1, H, W, 3) to a map for each stride.

    The scale of the pixels is folded into the first convolution; the mean is not, since that pads with it.
    """

    def __init__(self, network: Detector, preprocessing: Preprocessing) -> None:
        super().__init__()
        self.network, self.mean = copy.deepcopy(network), 255 * preprocessing.mean
        with torch.no_grad():
            next(self.network.stem.parameters()).mul_(1 / (255 * preprocessing.std))

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        maps: tuple[Tensor, ...] = self.network(image.permute(0, 3, 1, 2).to(torch.float32) - self.mean)
        return maps


def trained_detector(checkpoint: Checkpoint) -> Detector:
    """The averaged network of a checkpoint, folded, in evaluation mode; CheckpointError where weights do not fit."""
    options = checkpoint.header.experiment.network
    network = build_detector(options.name, options.options)
    load_average(network, checkpoint)
    return network.folded()


def encode_detector(checkpoint: Checkpoint, name: str | None, licence: str) -> Encoded:
    """The detector of a checkpoint; see `export_checkpoint`."""
    header, network = checkpoint.header, trained_detector(checkpoint)
    data = header.experiment.data
    entry: dict[str, Any] = {
        "name": name or header.experiment.name,
        "dataset": f"{data.dataset} {data.training_split}",
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "multiply_adds": multiply_adds(network),
        "scores": {
            f"{data.selection_split} {column.removeprefix('selection_').replace('_', ' ')}": round(value, 6)
            for column, value in header.history[-1].items()
            if column.startswith("selection_")
        },
        "licence": licence,
        "paper": network.paper,
    }
    module = _FromPixels(network, header.preprocessing)
    example = torch.zeros(1, 96, 128, 3, dtype=torch.uint8)
    height, width = torch.export.Dim("rows", min=1, max=256), torch.export.Dim("columns", min=1, max=256)
    shapes = ({1: 32 * height, 2: 32 * width},)
    content = encode(module, example, "image", OUTPUTS, shapes, entry["name"], entry)
    return Encoded("detectors", content, entry, partial(check, network, header.preprocessing))


def check(network: Detector, preprocessing: Preprocessing, onnx_file: Path) -> float:
    """Torch against ONNX Runtime: the largest difference of maps over noise; ModelError beyond `TOLERANCE`."""
    image = np.random.default_rng(0).integers(0, 256, (160, 224, 3), np.uint8)
    session, entry = open_session(onnx_file.read_bytes(), str(onnx_file), 1)
    expected = maps_of(network, preprocessing)(image)
    found = session.run(OUTPUTS, {"image": image[None]})
    difference = max(float(np.abs(a[0] - b).max()) for a, b in zip(found, expected, strict=True))
    if not difference <= TOLERANCE:
        raise ModelError(f"{entry['name']}: expected ONNX Runtime within {TOLERANCE} of torch, found {difference}")
    return difference


def multiply_adds(network: Detector) -> int:
    """Multiplications with addition for one picture of `STATED_PX`: torch's flops, halved."""
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        network.eval()(torch.zeros(1, 3, *STATED_PX))
    return int(counter.get_total_flops()) // 2

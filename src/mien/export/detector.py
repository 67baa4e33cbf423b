"""A trained face detector as ONNX: pixels in, the maps of face_finder.py out."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from mien.atomic import replacing
from mien.detection.decoding import STRIDES
from mien.errors import ModelError
from mien.export.pipeline import TOLERANCE, encode, enter_into_manifest, read_manifest
from mien.models import DETECTORS, Detector
from mien.preprocessing import Preprocessing
from mien.session import open_session
from mien.training.averaged import load_average
from mien.training.checkpoint import Checkpoint, load_checkpoint

STATED_PX = (320, 416)
"""Height and width for which multiply-adds are stated: a photograph of 4 to 3, as large as it is by default."""


class _FromPixels(nn.Module):
    """The network behind its normalisation: uint8 (1, H, W, 3) to a map for each stride."""

    def __init__(self, network: Detector, preprocessing: Preprocessing) -> None:
        super().__init__()
        self.network, self.preprocessing = network, preprocessing

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        x = image.permute(0, 3, 1, 2).to(torch.float32) * (1 / (255 * self.preprocessing.deviation))
        maps: tuple[Tensor, ...] = self.network(x - self.preprocessing.mean / self.preprocessing.deviation)
        return maps


def is_detector(checkpoint: Path) -> bool:
    """Whether a checkpoint holds a face detector."""
    return bool(load_checkpoint(checkpoint).facts["experiment"]["method"]["name"] == "detection")


def trained_detector(checkpoint: Checkpoint) -> Detector:
    """The averaged network of a checkpoint, folded, in evaluation mode; CheckpointError where weights do not fit."""
    network = DETECTORS[checkpoint.facts["network"]](**checkpoint.facts["network_options"])
    load_average(network, checkpoint)
    return network.folded()


def export_detector(file: Path, out: Path, name: str | None, licence: str) -> float:
    """Write the detector of a checkpoint as ONNX and its entry into `manifest.json` beside it.

    Returns the largest difference of its maps to torch; raises ModelError where that is too large, and writes nothing.
    """
    checkpoint = load_checkpoint(file)
    facts = checkpoint.facts
    network, preprocessing = trained_detector(checkpoint), Preprocessing.from_dict(facts["preprocessing"])
    name = name or facts["experiment"]["name"]
    data, last = facts["experiment"]["data"], facts["history"][-1]
    entry = {
        "name": name,
        "dataset": f"{data['dataset']} {data['training_split']}",
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "multiply_adds": multiply_adds(network),
        "scores": {
            f"{data['selection_split']} {column.removeprefix('selection_').replace('_', ' ')}": round(value, 6)
            for column, value in last.items()
            if column.startswith("selection_")
        },
        "licence": licence,
        "paper": network.paper,
    }
    manifest = read_manifest(out.parent / "manifest.json")
    module = _FromPixels(network, preprocessing)
    example = torch.zeros(1, 96, 128, 3, dtype=torch.uint8)
    height, width = torch.export.Dim("rows", min=1, max=256), torch.export.Dim("columns", min=1, max=256)
    outputs = [f"stride_{stride}" for stride in STRIDES]
    encoded = encode(module, example, "image", outputs, ({1: 32 * height, 2: 32 * width},), name, entry)
    image = np.random.default_rng(0).integers(0, 256, (1, 160, 224, 3), np.uint8)
    session, _ = open_session(encoded, name, 1)
    with torch.inference_mode():
        expected = module(torch.from_numpy(image))
    found = session.run(outputs, {"image": image})
    difference = max(float(np.abs(a - b.numpy()).max()) for a, b in zip(found, expected, strict=True))
    if not difference <= TOLERANCE["fp32"] * 10:
        raise ModelError(f"{file}: expected ONNX Runtime within {TOLERANCE['fp32'] * 10} of torch, found {difference}")
    out.parent.mkdir(parents=True, exist_ok=True)
    with replacing(out) as temporary:
        temporary.write_bytes(encoded)
    enter_into_manifest(manifest, out, encoded, entry, "detectors")
    return difference


def multiply_adds(network: Detector) -> int:
    """Multiplications with addition for one picture of `STATED_PX`: torch's flops, halved."""
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        network.eval()(torch.zeros(1, 3, *STATED_PX))
    return int(counter.get_total_flops()) // 2

"""The forms of a network, side by side; the last line of stdout is JSON.

    python benchmarks/forms.py fer-mobilenet|affinity [--repeats 30] [--out reports/fer-mobilenet/forms.json]

Prediction is one face on one thread of ONNX Runtime, training one step of 32 faces on one thread of torch; the forms
take turns, so that the ratios hold where the machine is noisy. Weights are random: they do not matter here.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from mien.export.classifier import to_onnx
from mien.expressions import FERPLUS_8
from mien.models import build_network, count_multiply_adds
from mien.preprocessing import Preprocessing
from mien.session import open_session
from mien.training.machine import keep_freed_memory
from mien.weights import ModelCard

FORMS: dict[str, dict[str, tuple[str, int, int, dict[str, Any]]]] = {
    "fer-mobilenet": {
        "224 px, as published": ("fer-mobilenet-v3", 224, 3, {}),
        "96 px, as published": ("fer-mobilenet-v3", 96, 1, {}),
        "48 px, no stride in the stem": ("fer-mobilenet-v3", 48, 1, {"resolution": "no-stride-in-stem"}),
        "48 px, no stride in row 2": ("fer-mobilenet-v3", 48, 1, {"resolution": "no-stride-in-row-2"}),
    },
    "affinity": {
        "plain": ("ac-net", 48, 1, {"affinity": "none"}),
        **{name: ("ac-net", 48, 1, {"affinity": name}) for name in ("depthwise", "affine", "channel")},
    },
}
"""Network, size in pixels, channels and options, by series and form."""


class Form:
    """One form, ready to predict and to train."""

    def __init__(self, network: str, size_px: int, channels: int, options: dict[str, Any]) -> None:
        torch.manual_seed(0)
        self.size_px = size_px
        self.network = build_network(network, 8, channels, options)
        self.parameters = sum(each.numel() for each in self.network.parameters())
        self.multiply_adds = count_multiply_adds(self.network, channels, size_px)
        preprocessing = Preprocessing(size_px, channels)
        card = ModelCard("form", FERPLUS_8, preprocessing, "", self.parameters, self.multiply_adds, {}, "", "")
        self.session, _ = open_session(to_onnx(self.network, card), "form", threads=1)
        self.face = np.random.default_rng(0).normal(size=(1, channels, size_px, size_px)).astype(np.float32)
        self.network.train().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.batch = torch.randn(32, channels, size_px, size_px).contiguous(memory_format=torch.channels_last)
        self.predictions: list[float] = []
        self.steps: list[float] = []

    def predict(self) -> None:
        self.session.run(None, {"faces": self.face})

    def train(self) -> None:
        loss = functional.cross_entropy(self.network(self.batch), torch.zeros(32, dtype=torch.long))
        loss.backward()  # type: ignore[no-untyped-call]


def seconds(function: Callable[[], None]) -> float:
    started = time.perf_counter()
    function()
    return time.perf_counter() - started


def main() -> None:
    arguments = argparse.ArgumentParser(description="Speed of a network's forms.")
    arguments.add_argument("series", choices=FORMS)
    arguments.add_argument("--repeats", type=int, default=30, help="predictions measured for each form")
    arguments.add_argument("--out", type=Path, help="also write the JSON here")
    wanted = arguments.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    forms = {name: Form(*values) for name, values in FORMS[wanted.series].items()}
    for round_ in range(wanted.repeats + 3):
        for form in forms.values():
            taken = seconds(form.predict)
            if round_ >= 3:
                form.predictions.append(taken)
    for round_ in range(4):
        for form in forms.values():
            taken = seconds(form.train)
            if round_:
                form.steps.append(taken)
    found = {
        name: {
            "size_px": form.size_px,
            "parameters": form.parameters,
            "multiply_adds": form.multiply_adds,
            "predict_ms": round(statistics.median(form.predictions) * 1e3, 2),
            "train_images_per_second": round(32 / statistics.median(form.steps), 1),
        }
        for name, form in forms.items()
    }
    for name, values in found.items():
        print(f"{name}: {values}", file=sys.stderr)
    if wanted.out:
        wanted.out.write_text(json.dumps(found) + "\n", encoding="utf-8")
    print(json.dumps(found))


if __name__ == "__main__":
    main()

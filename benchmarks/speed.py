"""Speed of training and of prediction, side by side in one run; the last line of stdout is JSON.

    python benchmarks/speed.py [--steps 12] [--threads 2] [--out FILE]

Machines differ and are noisy: only ratios within one run mean something. Training is measured on drawn faces
(which need no data), interleaved between networks; prediction on the example photographs with one thread.
"""

import argparse
import functools
import io
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from PIL import Image

from mien import Recognizer
from mien.datasets import Dataset, Sample
from mien.detection.haar import HaarDetector
from mien.expressions import BASIC_7
from mien.images import read_image
from mien.models import blocks
from mien.preprocessing import crop_face
from mien.training.config import Experiment, experiment_from_dict
from mien.training.machine import keep_freed_memory
from mien.training.state import Training

EXAMPLES = Path(__file__).parents[1] / "examples"


class DrawnFaces(Dataset):
    """Noise of the size of FER2013's faces."""

    name, split = "drawn", "training"
    expressions: tuple[str, ...] = BASIC_7

    def __init__(self, count: int) -> None:
        self._images = np.random.default_rng(0).integers(0, 256, (count, 48, 48, 1)).astype(np.uint8)

    def __len__(self) -> int:
        return len(self._images)

    def sample(self, index: int) -> Sample:
        return Sample(self._images[index], index % 7, f"drawn {index}")


def experiment(network: str) -> Experiment:
    augmentation = {"rotation_degrees": 12, "scale": 0.1, "translation": 0.06, "contrast": 0.2, "erasing": 0.2}
    return experiment_from_dict(
        {
            "name": network,
            "data": {"dataset": "drawn"},
            "network": {"name": network},
            "schedule": {"epochs": 1000},
            "augmentation": {**augmentation, "brightness": 0.1},
        },
        "benchmark",
    )


class Stopwatch:
    """Sums up the time spent in functions that it wraps."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def around(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def timed(*arguments: Any, **options: Any) -> Any:
            started = time.perf_counter()
            try:
                return function(*arguments, **options)
            finally:
                self.seconds += time.perf_counter() - started

        return timed


class TrainingBench:
    """One network's training, step by step, with the time inside forward, backward and optimizer apart."""

    def __init__(self, wanted: Experiment, faces: DrawnFaces) -> None:
        """wanted: an experiment at full input size; its smaller first sizes are left out."""
        schedule = replace(wanted.schedule, epochs=1000, progressive_size_px=(), progressive_epochs=0.0)
        self.state = Training(replace(wanted, schedule=schedule), faces, None, torch.device("cpu"))
        self.inside = Stopwatch()
        self.state.method.loss = self.inside.around(self.state.method.loss)  # type: ignore[method-assign]
        self.state.optimizer.step = self.inside.around(self.state.optimizer.step)  # type: ignore[method-assign]
        self.batches = self._endless()
        self.step_seconds: list[float] = []
        self.outside_shares: list[float] = []

    def _endless(self) -> Iterator[Any]:
        for epoch in range(1000):
            self.state.network.train()
            yield from self.state.method.batches(epoch)

    def step(self, record: bool) -> None:
        self.inside.seconds = 0.0
        started = time.perf_counter()
        self.state.take_step(next(self.batches), 0, self.state.method.steps_per_epoch())
        elapsed = time.perf_counter() - started
        if record:
            self.step_seconds.append(elapsed)
            self.outside_shares.append(1 - self.inside.seconds / elapsed)


def measure_training(steps: int, threads: int) -> dict[str, Any]:
    torch.set_num_threads(threads)
    keep_freed_memory()
    faces = DrawnFaces(1024)
    benches = {name: TrainingBench(experiment(name), faces) for name in ("rlr-cnet", "shufflenet-v2")}
    benches["rlr-cnet, plain β-Mish"] = TrainingBench(experiment("rlr-cnet"), faces)
    backward = torch.Tensor.backward
    fused = blocks.BetaMish.forward

    def plain(self: blocks.BetaMish, x: torch.Tensor) -> torch.Tensor:
        return x * torch.tanh(self.beta * torch.nn.functional.softplus(x))

    for round_ in range(steps + 2):
        for name, bench in benches.items():
            blocks.BetaMish.forward = plain if "plain" in name else fused  # type: ignore[method-assign]
            torch.Tensor.backward = bench.inside.around(backward)  # type: ignore[method-assign]
            bench.step(record=round_ >= 2)
    blocks.BetaMish.forward = fused  # type: ignore[method-assign]
    torch.Tensor.backward = backward  # type: ignore[method-assign]
    reference = statistics.median(benches["rlr-cnet"].step_seconds)
    found = {}
    for name, bench in benches.items():
        seconds = statistics.median(bench.step_seconds)
        found[name] = {
            "images_per_second": round(bench.state.experiment.schedule.batch_size / seconds, 1),
            "speed_relative_to_rlr_cnet": round(reference / seconds, 3),
            "share_outside_forward_backward_optimizer": round(statistics.median(bench.outside_shares), 4),
        }
        print(f"{name}: {found[name]}", file=sys.stderr)
    return {"threads": threads, "batch_size": 128, "size_px": 48, "networks": found}


def vga_portrait() -> bytes:
    """One face in a JPEG of 640x480."""
    portrait = Image.open(EXAMPLES / "eileen-collins.jpg").convert("RGB").resize((480, 480))
    stream = io.BytesIO()
    Image.fromarray(np.pad(np.asarray(portrait), ((0, 0), (80, 80), (0, 0)), mode="edge")).save(stream, "JPEG")
    return stream.getvalue()


def measure_prediction(repeats: int) -> dict[str, Any]:
    """Medians over rounds in which each part runs once, on one thread."""
    cv2.setNumThreads(1)
    recognizer = Recognizer(threads=1)
    encoded = vga_portrait()
    image = read_image(encoded)
    detections, faces = recognizer.find_faces(image)
    (found,) = detections
    haar = HaarDetector()
    preprocessing = recognizer.scorer.card.preprocessing
    box = found.upright_box_xyxy or found.box_xyxy
    batch = np.repeat(faces, 32, axis=0)
    parts: dict[str, Callable[[], Any]] = {
        "decode": lambda: read_image(encoded),
        "detect": lambda: recognizer.detector.detect(image),
        "detect_haar": lambda: haar.detect(image),
        "crop": lambda: crop_face(image, box, preprocessing, found.roll_degrees),
        "classify": lambda: recognizer.score_faces(faces),
        "classify_32": lambda: recognizer.score_faces(batch),
        "whole": lambda: recognizer.recognize(encoded),
    }
    times: dict[str, list[float]] = {name: [] for name in parts}
    for round_ in range(repeats + 3):
        for name, part in parts.items():
            started = time.perf_counter()
            part()
            if round_ >= 3:
                times[name].append(time.perf_counter() - started)
    median = {name: statistics.median(each) * 1e3 for name, each in times.items()}
    values = {
        "image": "640x480, one face",
        **{f"{name}_ms": round(value, 3) for name, value in median.items()},
        "haar_relative_to_detect": round(median["detect_haar"] / median["detect"], 2),
        "whole_relative_to_decode_and_classify": round(median["whole"] / (median["decode"] + median["classify"]), 2),
    }
    print(f"prediction, 1 thread: {values}", file=sys.stderr)
    return values


def main() -> None:
    arguments = argparse.ArgumentParser(description="Speed of training and prediction.")
    arguments.add_argument("--steps", type=int, default=12, help="training steps measured for each network")
    arguments.add_argument("--out", type=Path, help="also write the JSON here")
    arguments.add_argument("--threads", type=int, default=torch.get_num_threads(), help="threads of training")
    wanted = arguments.parse_args()
    prediction = measure_prediction(40)
    values = {"prediction": prediction, "training": measure_training(wanted.steps, wanted.threads)}
    if wanted.out:
        wanted.out.write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(values))


if __name__ == "__main__":
    main()

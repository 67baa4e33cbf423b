"""Training speed of the ladder's rungs, step by step in turn; the last line of stdout is JSON.

    python benchmarks/ladder.py [--steps 12] [--out reports/ladder/speed.json]

Full-size faces; images/s count what the network sees, which for two branches is both halves of a batch.
"""

import argparse
import json
import statistics
import sys
from pathlib import Path

import torch
from speed import DrawnFaces, TrainingBench

from mien.evaluation.series import find_series
from mien.training.config import read_experiment
from mien.training.machine import keep_freed_memory

EXPERIMENTS = Path(__file__).parents[1] / "experiments"


def main() -> None:
    arguments = argparse.ArgumentParser(description="Training speed of the ladder's rungs.")
    arguments.add_argument("--steps", type=int, default=12, help="steps measured for each rung")
    arguments.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments.add_argument("--out", type=Path, help="also write the JSON here")
    wanted = arguments.parse_args()
    torch.set_num_threads(wanted.threads)
    keep_freed_memory()
    faces = DrawnFaces(1024)
    arms = find_series(EXPERIMENTS)["ladder"].arms
    benches = {name: TrainingBench(read_experiment(EXPERIMENTS / "ladder" / f"{name}.toml"), faces) for name in arms}
    for round_ in range(wanted.steps + 2):
        for bench in benches.values():
            bench.step(record=round_ >= 2)
    speeds = {}
    for name, bench in benches.items():
        seconds = statistics.median(bench.step_seconds)
        speeds[name] = round(bench.state.experiment.schedule.batch_size / seconds, 1)
        print(f"{name}: {speeds[name]} images/s", file=sys.stderr)
    found = json.dumps({"threads": wanted.threads, "images_per_second": speeds})
    if wanted.out:
        wanted.out.write_text(found + "\n", encoding="utf-8")
    print(found)


if __name__ == "__main__":
    main()

"""mien's networks beside the peers that are installed, on the same faces, in one run; the last line of stdout is JSON.

    python benchmarks/peers.py [--dataset fer2013 --root fer2013.parquet --split public_test] [--model FILE.onnx]
                               [--rounds 20] [--json FILE] [--picture FILE.png]

Accuracy is that of `mien evaluate`: the expressions that data set and network share, one pass a face, every system on
the same pictures. Latency is from 48x48 pixels to scores, for one face and for 32, on one processor: in each round
every system runs once in turn; medians over the rounds, and medians of each round's ratio to the first system. Where
other programs keep the machine busy, the time of the processor is the one to read. Machines differ: of all times only
ratios within one run mean something. mini_XCEPTION, the network in `fer`, is always there with random weights, in the
same engine as mien's networks: for its latency and size, not for its answers. Peers that are not installed, or whose
weights are not here, are named with the reason. Nothing is downloaded.
"""

import argparse
import json
import os
import platform
import statistics
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

from package_costs import installed_size, start_times
from peer_picture import draw
from peer_systems import System, mien_systems, open_peers, stand_in

from mien.datasets import Dataset, Sample, as_faces, open_dataset, training_pixel_keys
from mien.evaluation.report import evaluate
from mien.export.drawn_faces import drawn_faces
from mien.preprocessing import Preprocessing

BATCHES = (1, 32)
WARM_UP = 2
"""Rounds that are not counted."""
CLOCKS = {"latency": time.perf_counter, "processor": time.process_time}
"""Time that passed, and time in which this process had the processor: on one, the same unless others use it too."""
STARTS = 5
"""Fresh processes that are timed for each package."""


def measured_accuracy(systems: list[System], samples: Dataset, learned: set[str]) -> dict[str, dict[str, Any]]:
    """Accuracy of each system, with its interval, on the split and without the pictures of the training split."""
    found = {}
    for system in systems:
        started = time.perf_counter()
        values = evaluate(system.score, samples, system.card, learned).values
        clean = values["without_training_duplicates"] or {"n": None, "accuracy": None}
        found[system.card.name] = {
            "accuracy": round(values["accuracy"], 4),
            "accuracy_interval": [round(each, 4) for each in values["accuracy_interval"]],
            "n": values["n"],
            "expressions": values["expressions"],
            "accuracy_without_training_duplicates": clean["accuracy"] and round(clean["accuracy"], 4),
            "n_without_training_duplicates": clean["n"],
        }
        taken = time.perf_counter() - started
        print(f"{system.card.name}: accuracy {values['accuracy']:.4f} in {taken:.0f} s", file=sys.stderr)
    return found


def measured_latency(systems: list[System], samples: list[Sample], rounds: int) -> dict[str, dict[str, Any]]:
    """Milliseconds for one face and for 32, by the clock and of the processor, and ratios to the first system."""
    batches = {count: [samples[index % len(samples)] for index in range(count)] for count in BATCHES}
    seconds: dict[tuple[str, int], list[tuple[float, ...]]] = {
        (system.card.name, count): [] for system in systems for count in BATCHES
    }
    for round_ in range(rounds + WARM_UP):
        for count, batch in batches.items():
            for system in systems:
                started = [clock() for clock in CLOCKS.values()]
                system.score(as_faces(batch, system.card.preprocessing)[0])
                ended = [clock() for clock in CLOCKS.values()]
                if round_ >= WARM_UP:
                    taken = tuple(end - start for end, start in zip(ended, started, strict=True))
                    seconds[system.card.name, count].append(taken)
    first, found = systems[0].card.name, {}
    for name in (system.card.name for system in systems):
        values: dict[str, Any] = {}
        for count in BATCHES:
            for index, clock in enumerate(CLOCKS):
                own, other = ([each[index] for each in seconds[key, count]] for key in (name, first))
                ratios = [mine / its for mine, its in zip(own, other, strict=True)]
                values[f"{clock}_{count}_ms"] = round(statistics.median(own) * 1e3, 3)
                values[f"{clock}_{count}_relative"] = round(statistics.median(ratios), 3)
        found[name] = values
    return found


def use_one_processor() -> bool:
    """Bind all threads of this process to one processor, those that engines started too; False where that cannot be."""
    if not hasattr(os, "sched_setaffinity"):
        return False
    processor = {min(os.sched_getaffinity(0))}
    for thread in os.listdir("/proc/self/task"):
        os.sched_setaffinity(int(thread), processor)
    return True


def facts(system: System) -> dict[str, Any]:
    """What is known of a system before anything is measured."""
    card = system.card
    return {
        "kind": system.kind,
        "what": system.what,
        "parameters": card.parameters or None,
        "model_bytes": card.model_bytes,
    }


def read_arguments() -> argparse.Namespace:
    """The command line; a data set comes with its root and split or not at all."""
    arguments = argparse.ArgumentParser(description="mien's networks beside those of other packages.")
    arguments.add_argument("--dataset", help="a labelled data set, as for mien evaluate")
    arguments.add_argument("--root", type=Path, help="where it is")
    arguments.add_argument("--split", help="the part to measure on")
    arguments.add_argument(
        "--model", type=Path, action="append", default=[], help="an ONNX file of one's own; repeatable"
    )
    arguments.add_argument("--rounds", type=int, default=20, help="rounds in which every system is timed once")
    arguments.add_argument("--json", type=Path, help="also write the JSON here")
    arguments.add_argument("--picture", type=Path, help="draw accuracy against latency and size (PNG)")
    wanted = arguments.parse_args()
    given = [value is not None for value in (wanted.dataset, wanted.root, wanted.split)]
    if any(given) and not all(given):
        arguments.error("expected --dataset, --root and --split together")
    if wanted.picture and not wanted.dataset:
        arguments.error("expected --dataset, --root and --split for --picture: it shows measured accuracy")
    if wanted.rounds < 1:
        arguments.error(f"expected --rounds of at least 1, found {wanted.rounds}")
    return wanted


def main() -> None:
    wanted = read_arguments()
    own = [*mien_systems(wanted.model), stand_in()]
    peers, absent = open_peers()
    for name, reason in absent.items():
        print(f"{name}: {reason}", file=sys.stderr)
    systems = [*own, *peers]
    rows = {system.card.name: facts(system) for system in systems}
    samples = [Sample(face, -1, "drawn") for face in drawn_faces(Preprocessing(48, 1), max(BATCHES))]
    if wanted.dataset:
        faces = open_dataset(wanted.dataset, wanted.root, wanted.split)
        learned = training_pixel_keys(wanted.dataset, wanted.root, wanted.split)
        answering = [system for system in systems if system.kind != "stand-in"]
        for name, values in measured_accuracy(answering, faces, learned).items():
            rows[name] |= values
        samples = faces[: max(BATCHES)]
    packages = {system.distribution: system for system in systems if system.distribution}
    starts = start_times({name: (each.imports, each.loads) for name, each in packages.items()}, STARTS)
    one_processor = use_one_processor()
    for name, values in measured_latency(systems, samples, wanted.rounds).items():
        rows[name] |= values
    found = {
        "dataset": wanted.dataset,
        "split": wanted.split,
        "rounds": wanted.rounds,
        "one_processor": one_processor,
        "machine": {"processor": platform.machine(), "processors": os.cpu_count(), "python": platform.python_version()},
        "onnxruntime": version("onnxruntime"),
        "systems": rows,
        "packages": {name: {**starts[name], **installed_size(name)} for name in packages},
        "absent": absent,
    }
    for name, values in (rows | found["packages"]).items():
        print(f"{name}: {values}", file=sys.stderr)
    if wanted.json:
        wanted.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    if wanted.picture:
        draw(found, wanted.picture)
    print(json.dumps(found))


if __name__ == "__main__":
    main()

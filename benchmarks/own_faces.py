"""Own classes from few faces: `mien finetune` beside a training from random weights.

Three expressions with 50 faces each, drawn from a tenth of FER2013's Training that the packaged weights have not
learned from, and 600 more of its faces without labels; measured on all PublicTest faces of these classes whose pixels
stand nowhere in Training. Each arm is what a person would type. Seconds are those of the whole command, CPU seconds
those of its threads together, which other work on the machine changes little.

Run with fer2013.parquet as argument; reports and own-faces.json go to reports/own-faces/, and the last line is JSON.
"""

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from mien.datasets import Dataset, Sample, open_dataset, pixel_key

REPOSITORY = Path(__file__).parents[1]
REPORTS = REPOSITORY / "reports" / "own-faces"
EXPRESSIONS = ("happiness", "sadness", "surprise")
OTHER_NAMES = ("class-a", "class-b", "class-c")
LABELLED, UNLABELLED = 50, 600

FINETUNE = ("finetune", "{faces}", "--out", "{model}", "--weights", "mien-1m")
RANDOM = ("train", str(REPOSITORY / "experiments" / "own-faces-random.toml"), "--root", "{faces}", "--out", "{run}")
ARMS: dict[str, tuple[Sequence[str], Sequence[str]]] = {
    "finetune": (FINETUNE, EXPRESSIONS),
    "finetune-other-names": (FINETUNE, OTHER_NAMES),
    "finetune-unlabelled": ((*FINETUNE, "--unlabelled", "{more}"), EXPRESSIONS),
    "random": ((*RANDOM, "--unlabelled", "{more}", "--export", "{model}"), EXPRESSIONS),
}
"""The command of each arm, and what its classes are called: names that the packaged head does not know, too."""


def write_pictures(fer2013: Path, folder: Path, names: Sequence[str], seed: int) -> None:
    """The labelled, unlabelled and test faces as folders of pictures."""
    tenth = open_dataset("fer2013", fer2013, "tenth-of-training")
    missing = dict.fromkeys(EXPRESSIONS, LABELLED)
    rest = []
    for index in np.random.default_rng(seed).permutation(len(tenth)).tolist():
        expression = tenth.expressions[tenth[index].label]
        if missing.get(expression):
            missing[expression] -= 1
            save(tenth[index], folder / "faces" / names[EXPRESSIONS.index(expression)])
        else:
            rest.append(index)
    for index in rest[:UNLABELLED]:
        save(tenth[index], folder / "more")
    learned = {pixel_key(sample.image) for sample in open_dataset("fer2013", fer2013, "training")}
    test = open_dataset("fer2013", fer2013, "public_test")
    for sample in of_expressions(test):
        if pixel_key(sample.image) not in learned:
            save(sample, folder / "test" / "public_test" / names[EXPRESSIONS.index(test.expressions[sample.label])])


def of_expressions(faces: Dataset) -> list[Sample]:
    return [sample for sample in faces if faces.expressions[sample.label] in EXPRESSIONS]


def save(sample: Sample, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    Image.fromarray(sample.image[:, :, 0]).save(folder / f"{pixel_key(sample.image)[:16]}.png")


def run(arm: str, fer2013: Path, seed: int, threads: int) -> dict[str, Any]:
    command, names = ARMS[arm]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_pictures(fer2013, folder, names, seed)
        places = {
            "faces": folder / "faces",
            "more": folder / "more",
            "model": folder / "own.onnx",
            "run": folder / "run",
        }
        words = [word.format(**places) for word in command]
        report = REPORTS / f"{arm}.json"
        started, used = time.perf_counter(), cpu_seconds()
        mien(words, threads)
        seconds, cpu = time.perf_counter() - started, cpu_seconds() - used
        measured = ("--dataset", "folder", "--root", str(folder / "test"), "--split", "public_test")
        mien(["evaluate", "--model", str(places["model"]), *measured, "--json", str(report)], threads)
    values = json.loads(report.read_text(encoding="utf-8"))
    return {
        "command": " ".join(("mien", *(Path(word).name if "/" in word else word for word in words))),
        "classes": list(names),
        "accuracy": values["accuracy"],
        "accuracy_interval": values["accuracy_interval"],
        "mean_class_accuracy": values["mean_class_accuracy"],
        "n": values["n"],
        "seconds": round(seconds, 1),
        "cpu_seconds": round(cpu, 1),
    }


def mien(words: Sequence[str], threads: int) -> None:
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    subprocess.run([sys.executable, "-m", "mien", *words], check=True, stdout=subprocess.DEVNULL, env=environment)


def cpu_seconds() -> float:
    """Of all finished commands together."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("fer2013", type=Path, help="the csv or packed parquet")
    parser.add_argument("--arm", choices=ARMS, action="append", help="this one alone; can be repeated")
    parser.add_argument("--seed", type=int, default=0, help="which faces are drawn")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    REPORTS.mkdir(parents=True, exist_ok=True)
    file = REPORTS / "own-faces.json"
    kept = json.loads(file.read_text(encoding="utf-8"))["arms"] if file.exists() else {}
    for arm in arguments.arm or ARMS:
        kept[arm] = {**run(arm, arguments.fer2013.resolve(), arguments.seed, arguments.threads), "seed": arguments.seed}
        machine = f"{platform.machine()}, {arguments.threads} thread(s)"
        whole = {"protocol": " ".join((__doc__ or "").split("\n\n")[1].split()), "machine": machine, "arms": kept}
        file.write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(kept))


if __name__ == "__main__":
    main()

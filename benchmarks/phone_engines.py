"""Networks for phones beside ONNX Runtime: what they answer and how fast; the last line of stdout is JSON.

    python benchmarks/phone_engines.py FOLDER [FOLDER ...] [--root fer2013.parquet] [--faces 3589] [--repeats 60]
        [--only NAME ...] [--out reports/phones/artefacts.json]

FOLDER: from scripts/phones. Needs the engines `openvino`, `ncnn`, `ai-edge-litert`; artefacts without theirs are left
out. Accuracy, calibration error and agreement with the packaged ONNX file are on PublicTest, of FERPlus for networks
with contempt, else of FER2013. Latencies are the shortest of one face or one picture on one thread; all artefacts of a
network and ONNX Runtime take turns in one run, so that the ratios hold better where the machine is noisy.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from mien.datasets import as_faces, open_dataset
from mien.evaluation.metrics import expected_calibration_error
from mien.export.phones.engines import ENGINES, Engine, FloatArray
from mien.export.phones.formats import SUFFIXES
from mien.preprocessing import Preprocessing, to_network_input
from mien.scorer import softmax
from mien.weights import read_model

ONNX = "onnx"
WARM_UP = 3
Values = dict[str, Any]


def onnx_engine(name: str, is_detector: bool) -> Engine:
    """The packaged network on one thread of ONNX Runtime; a detector takes pixels as floats here too."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    content = read_model(name, "detectors" if is_detector else "models")
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    given = session.get_inputs()[0].name
    if not is_detector:
        return lambda inputs: session.run(None, {given: inputs})
    return lambda inputs: session.run(None, {given: inputs.transpose(0, 2, 3, 1).astype(np.uint8)})


def described(folders: list[Path]) -> dict[str, tuple[Values, list[tuple[Path, Values]]]]:
    """By name of specification: it, and its artefacts with their folders."""
    found: dict[str, tuple[Values, list[tuple[Path, Values]]]] = {}
    for folder in folders:
        for file in sorted(folder.glob("*.json")):
            told = json.loads(file.read_text(encoding="utf-8"))
            _, artefacts = found.setdefault(file.stem, (told, []))
            artefacts += [(folder, each) for each in told["artefacts"] if each["format"] in ENGINES]
    return found


def best_ms(runs: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """The shortest time of each in milliseconds; they take turns."""
    best = dict.fromkeys(runs, float("inf"))
    for _ in range(WARM_UP + repeats):
        for name, run in runs.items():
            started = time.perf_counter()
            run()
            best[name] = min(best[name], 1000 * (time.perf_counter() - started))
    return best


def answers(engine: Engine, inputs: FloatArray) -> FloatArray:
    """Probabilities (N, K) of the network's inputs (N, C, S, S), one after the other."""
    return softmax(np.concatenate([engine(each[None])[0] for each in inputs]))


def quality(probabilities: FloatArray, expected: FloatArray, labels: NDArray[np.int64]) -> Values:
    """Accuracy and calibration error, and how often the answer is that of the packaged ONNX file."""
    chosen = probabilities.argmax(axis=1)
    return {
        "accuracy": round(float((chosen == labels).mean()), 4),
        "ece": round(float(expected_calibration_error(probabilities, labels)), 4),
        "agreement": round(float((chosen == expected.argmax(axis=1)).mean()), 4),
    }


def measured(told: Values, artefacts: list[tuple[Path, Values]], wanted: argparse.Namespace) -> list[Values]:
    """A row for ONNX Runtime, and for each artefact whose engine is installed."""
    is_detector = "expressions" not in told
    engines, rows = {ONNX: onnx_engine(told["network"], is_detector)}, []
    for folder, each in artefacts:
        called = f"{each['format']} {each['precision']}"
        try:
            file = folder / next(name for name in each["files"] if name.endswith(SUFFIXES[each["format"]][0]))
            engines[called] = ENGINES[each["format"]](file, 1)
        except ModuleNotFoundError as error:
            print(f"{told['network']}, {called}: left out, {error}", file=sys.stderr)
            continue
        rows.append({key: each[key] for key in ("format", "precision", "bytes", "largest_difference")})
    source = len(read_model(told["network"], "detectors" if is_detector else "models"))
    rows.insert(0, {"format": ONNX, "precision": "as packaged", "bytes": source, "largest_difference": 0.0})
    example = np.random.default_rng(0).integers(0, 256, told["input"]["shape"]).astype(np.float32)
    inputs, labels = None, None
    if not is_detector and wanted.root:
        values = {name: value for name, value in told["preprocessing"].items() if name != "flat_std"}
        dataset = "ferplus" if "contempt" in told["expressions"] else "fer2013"
        samples = open_dataset(dataset, wanted.root, "public_test")
        faces, known = as_faces(samples, Preprocessing.from_dict(values))
        labels = known[: wanted.faces]
        inputs = to_network_input(faces[: wanted.faces], Preprocessing.from_dict(values))
        example = inputs[:1]
    taken = best_ms({name: partial(run, example) for name, run in engines.items()}, wanted.repeats)
    expected = None
    for row, (name, engine) in zip(rows, engines.items(), strict=True):
        row |= {"latency_ms": round(taken[name], 3), "relative_latency": round(taken[name] / taken[ONNX], 3)}
        if inputs is not None and labels is not None:
            found = answers(engine, inputs)
            expected = found if expected is None else expected
            row |= quality(found, expected, labels) | {"faces": len(labels), "dataset": f"{dataset} public_test"}
        print(f"{told['network']}: {json.dumps(row)}", file=sys.stderr, flush=True)
    return rows


def main() -> None:
    arguments = argparse.ArgumentParser(description="Networks for phones beside ONNX Runtime.")
    arguments.add_argument("folders", type=Path, nargs="+")
    arguments.add_argument("--root", type=Path, help="FER2013 with FERPlus votes; without it, nothing is answered")
    arguments.add_argument("--faces", type=int, default=3589, help="so many faces of PublicTest at most")
    arguments.add_argument("--repeats", type=int, default=60)
    arguments.add_argument("--only", nargs="+", metavar="NAME", help="of specifications, such as face-finder-416")
    arguments.add_argument("--out", type=Path)
    wanted = arguments.parse_args()
    networks: dict[str, list[Values]] = {}
    report = {
        "what": "networks for phones, one thread, batch 1, in turns with ONNX Runtime",
        "versions": {name: version(name) for name in ("onnxruntime", "openvino", "ncnn", "ai-edge-litert")},
        "networks": networks,
    }
    for name, (told, artefacts) in described(wanted.folders).items():
        if not wanted.only or name in wanted.only:
            networks[name] = measured(told, artefacts, wanted)
            if wanted.out:
                wanted.out.parent.mkdir(parents=True, exist_ok=True)
                wanted.out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(report))


if __name__ == "__main__":
    main()

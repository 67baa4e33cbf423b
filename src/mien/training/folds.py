"""Cross-validation: one training for each fold, each measured on the faces that it did not see."""

import json
import logging
import statistics
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from mien.atomic import replacing
from mien.datasets import Dataset, pixel_key
from mien.datasets.splits import make_split, parse_split
from mien.evaluation.metrics import accuracy, confusion_matrix, mean_class_accuracy
from mien.evaluation.report import Report, evaluate
from mien.training.checkpoint import load_checkpoint
from mien.training.config import Experiment
from mien.training.deployment import deployable_network, make_card
from mien.training.loop import LAST, train
from mien.training.torch_scorer import TorchScorer

LOGGER = logging.getLogger("mien")
REPORT, SUMMARY = "report.json", "folds.json"


def train_folds(
    experiment: Experiment, whole: Dataset, out: Path, resume: bool = False, device: str | None = None
) -> dict[str, Any]:
    """Train and measure all folds of an experiment (`data.folds`); the summary, also written to `out/folds.json`.

    whole: the data set, opened as `all`. Nothing is selected on the held-out fold: each training takes its last
    epoch. `out` gets a folder for each fold; with resume, finished folds are kept.
    """
    count = experiment.data.folds
    reports = []
    for index in range(1, count + 1):
        name = f"fold-{index}-of-{count}"
        LOGGER.info("%s: %s", experiment.name, name)
        reports.append(_train_fold(experiment, whole, name, out / name, resume, device).values)
    summary = summarise(experiment.name, f"images of equal {whole.group_is}", reports)
    with replacing(out / SUMMARY) as temporary:
        temporary.write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")
    return summary


def _train_fold(
    experiment: Experiment, whole: Dataset, name: str, out: Path, resume: bool, device: str | None
) -> Report:
    held_out, rest = (_part(whole, split) for split in (name, f"{name}-training"))
    data = replace(experiment.data, training_split=rest.split, selection_split="none", folds=0)
    train(replace(experiment, data=data), rest, None, out, resume and (out / LAST).exists(), device)
    checkpoint = load_checkpoint(out / LAST)
    network = deployable_network(checkpoint)
    card = make_card(checkpoint, network, None, "not stated")
    keys = {pixel_key(sample.image) for sample in rest}
    report = evaluate(TorchScorer(network, card.preprocessing), held_out, card, keys)
    report.write(out / REPORT)
    return report


def _part(whole: Dataset, name: str) -> Dataset:
    split = parse_split(name)
    assert split is not None
    return make_split(whole, split)


def summarise(name: str, side: str, reports: list[dict[str, Any]]) -> dict[str, Any]:
    """Mean and sample standard deviation over folds, and the measures of all held-out faces together.

    side: what stays on one side of a fold.
    """
    labels = np.concatenate([report["labels"] for report in reports])
    predictions = np.concatenate([report["predictions"] for report in reports])
    matrix = confusion_matrix(labels, predictions, len(reports[0]["expressions"]))
    summary: dict[str, Any] = {
        "experiment": name,
        "protocol": f"{len(reports)} folds, {side} on one side, last epoch, nothing selected on the held-out fold",
        "dataset": reports[0]["dataset"],
        "expressions": reports[0]["expressions"],
        "folds": [
            {key: report[key] for key in ("split", "n", "accuracy", "mean_class_accuracy")} for report in reports
        ],
    }
    for key in ("accuracy", "mean_class_accuracy"):
        values = [report[key] for report in reports]
        summary[f"{key}_mean"] = statistics.mean(values)
        summary[f"{key}_deviation"] = statistics.stdev(values)
    return {
        **summary,
        "n": len(labels),
        "accuracy_of_all_images": accuracy(matrix),
        "mean_class_accuracy_of_all_images": mean_class_accuracy(matrix),
        "confusion_matrix": matrix.tolist(),
        "parameters": reports[0]["parameters"],
    }

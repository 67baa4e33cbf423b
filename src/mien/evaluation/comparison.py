"""Two evaluations on the same images, compared: differences with paired bootstrap intervals."""

import json
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import mien.evaluation.metrics as metrics
from mien.errors import DatasetError

RESAMPLES = 1000

Difference = tuple[float, float, float]
"""The second minus the first, and its 95 % interval."""


def read_report(file: Path) -> dict[str, Any]:
    """A report that `mien evaluate --json` wrote; DatasetError for another file."""
    try:
        values: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        values["labels"], values["predictions"], values["expressions"]
    except (ValueError, KeyError, TypeError) as error:
        raise DatasetError(f"{file}: expected a report of mien evaluate --json") from error
    return values


def compare(first: Sequence[dict[str, Any]], second: Sequence[dict[str, Any]]) -> dict[str, Difference]:
    """Differences in accuracy, mean class accuracy, macro F1 and the recall of each class (`recall of NAME`).

    first and second: reports of one network each; several are seeds, whose measures are averaged. Images are
    drawn anew, the same ones for all reports, so that the interval tells the chance of the test images; that of
    the seeds it does not. Raises DatasetError unless all have the same labels.
    """
    labels = np.array(first[0]["labels"], np.int64)
    names = first[0]["expressions"]
    for report in (*first, *second):
        if report["expressions"] != names or not np.array_equal(report["labels"], labels):
            raise DatasetError(
                f"expected reports on the same images: {first[0]['dataset']} {first[0]['split']} (n = {len(labels)}), "
                f"found {report['dataset']} {report['split']} (n = {report['n']})"
            )
    predictions = [[np.array(report["predictions"], np.int64) for report in side] for side in (first, second)]

    def differences(drawn: NDArray[np.int64]) -> NDArray[np.float64]:
        means = [
            np.mean([_measures(metrics.confusion_matrix(labels[drawn], each[drawn], len(names))) for each in side], 0)
            for side in predictions
        ]
        difference: NDArray[np.float64] = means[1] - means[0]
        return difference

    found = differences(np.arange(len(labels)))
    generator = np.random.default_rng(0)
    resampled = [differences(generator.integers(0, len(labels), len(labels))) for _ in range(RESAMPLES)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a class without images has no recall
        low, high = np.nanpercentile(np.array(resampled), [2.5, 97.5], axis=0)
    measures = ("accuracy", "mean class accuracy", "macro F1", *(f"recall of {name}" for name in names))
    return {name: (float(found[i]), float(low[i]), float(high[i])) for i, name in enumerate(measures)}


def _measures(matrix: metrics.Matrix) -> NDArray[np.float64]:
    over_all = (metrics.accuracy(matrix), metrics.mean_class_accuracy(matrix), metrics.macro_f1(matrix))
    return np.array([*over_all, *metrics.recalls(matrix)])

"""Honest evaluation: any scorer on any data set gives one report, with intervals and without leaked images."""

import json
import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import mien.evaluation.calibration as calibration
import mien.evaluation.metrics as metrics
from mien.atomic import replacing
from mien.datasets import Dataset
from mien.datasets.ferplus import vote_shares
from mien.evaluation.face_batches import face_batches, join_batches, shared_classes, shared_scores
from mien.evaluation.markdown import markdown_table
from mien.expressions import FERPLUS_8
from mien.scorer import Scorer
from mien.weights import ModelCard

RESAMPLES = 1000
MEASURES = ("accuracy", "mean_class_accuracy", "macro_f1", "ece", "negative_log_likelihood", "brier_score")
NO_AUGMENTATION = "one forward pass, no test-time augmentation"
MIRRORED = "mean of each face and its mirror image (two forward passes)"
SMALLEST_CLASS = 50
"""Classes with fewer images carry no claim of their own."""


@dataclass(frozen=True)
class Report:
    """What an evaluation found; `values` is what `mien evaluate --json` writes."""

    values: dict[str, Any]

    def to_json(self) -> str:
        """The report as a JSON document, one line a value; undefined measures are null."""
        lines = [f"{json.dumps(key)}: {json.dumps(value)}" for key, value in _without_nan(self.values).items()]
        return "{\n" + ",\n".join(lines) + "\n}\n"

    def write(self, file: Path) -> None:
        """Write the JSON document, atomically."""
        with replacing(file) as temporary:
            temporary.write_text(self.to_json(), encoding="utf-8")

    def to_markdown(self) -> str:
        """The report as a page for people."""
        values = self.values
        others = values["without_training_duplicates"]
        rows = [("images", f"{values['n']}", f"{others['n']}" if others else "-")]
        rows += [
            (key.replace("_", " "), _with_interval(values, key), _with_interval(others, key) if others else "-")
            for key in MEASURES
        ]
        lines = [f"# {values['model']} on {values['dataset']}, {values['split']}", "", f"{values['protocol']}", ""]
        lines += [markdown_table(("measure", "whole split", "without images of the training split"), rows), ""]
        classes = [
            (
                name,
                f"{found['n']}" if found["n"] >= SMALLEST_CLASS else f"{found['n']} (too few for a claim)",
                _with_interval(found, "recall"),
                _with_interval(found, "precision"),
                f"{found['f1']:.3f}",
            )
            for name, found in values["per_class"].items()
        ]
        lines.append(markdown_table(("class", "images", "recall", "precision", "F1"), classes))
        if votes := values["votes"]:
            lines += ["", f"Against {votes['n']} distributions of people's votes: "]
            lines[-1] += f"KL divergence {_with_interval(votes, 'kl_divergence')} nats; "
            lines[-1] += f"voters who chose the network's answer {_with_interval(votes, 'votes_for_answer')}, "
            lines[-1] += f"the label {_with_interval(votes, 'votes_for_label')}."
            lines[-1] += f" Calibration error against the share of voters {_with_interval(votes, 'ece')}, "
            lines[-1] += f"cross entropy {_with_interval(votes, 'negative_log_likelihood')} nats, "
            lines[-1] += f"Brier score {_with_interval(votes, 'brier_score')}."
        if unsure := values["unsure"]:
            lines += ["", f"Unsure, below a confidence of {unsure['below']:.3f}: {unsure['share']:.1%} of the faces, "]
            lines[-1] += (
                f"accuracy {unsure['accuracy_of_unsure']:.4f}; {unsure['accuracy_of_others']:.4f} on the others."
            )
        names = values["expressions"]
        lines += ["", "Confusion: rows are labels, columns answers.", ""]
        matrix = ([name, *map(str, row)] for name, row in zip(names, values["confusion_matrix"], strict=True))
        lines.append(markdown_table(["", *names], matrix))
        return "\n".join(lines) + "\n"

    def draw(self, file: Path) -> None:
        """Write the confusion matrix as a picture (PNG); needs matplotlib."""
        from mien.evaluation.plots import draw_confusion_matrix

        title = (
            f"{self.values['model']} on {self.values['dataset']} {self.values['split']}: "
            f"accuracy {self.values['accuracy']:.3f}"
        )
        matrix = np.array(self.values["confusion_matrix"])
        draw_confusion_matrix(matrix, self.values["expressions"], title, file)


def evaluate(
    score_faces: Scorer,
    dataset: Dataset,
    card: ModelCard,
    training_keys: Collection[str] = (),
    show_progress: Callable[[int, int], None] = lambda done, total: None,
    augmentation: str = NO_AUGMENTATION,
) -> Report:
    """Measure a scorer on a data set.

    score_faces: from faces uint8 (N, S, S, C) to probabilities (N, K), as `card` describes them.
    training_keys: pixel keys of the training split; a second set of figures leaves these images out.
    show_progress: called with the number of faces done and in all.
    augmentation: how the scorer looks at a face, for the report's protocol.

    Where data set and network have different classes, only those that both have are used: images of other
    classes are left out, scores renormalised, and the report says so. Raises DatasetError when they
    share fewer than two.
    """
    shared = shared_classes(dataset, card)
    parts, known = [], []
    for batch in face_batches(dataset, card, training_keys):
        parts.append(shared_scores(score_faces(batch.faces), card, shared))
        known.append(batch.without_pixels())
        show_progress(batch.done, len(dataset))
    scores, faces = np.concatenate(parts), join_batches(known)
    truth, clean = faces.labels, None
    if len(training_keys) > 0 and not faces.in_training.all():
        clean = classification_measures(scores[~faces.in_training], truth[~faces.in_training], shared)
    return Report(
        {
            "model": card.name,
            "dataset": dataset.name,
            "split": dataset.split,
            "protocol": protocol_of(dataset, card, shared, augmentation),
            **classification_measures(scores, truth, shared),
            "reliability": calibration.reliability(scores, truth),
            "risk_coverage": calibration.risk_coverage(scores, truth),
            "unsure": calibration.unsure_measures(scores, truth, card.unsure_below) if card.unsure_below else None,
            "without_training_duplicates": clean,
            "votes": vote_measures(dataset, faces.positions, shared, scores, truth),
            "parameters": card.parameters,
            "multiply_adds": card.multiply_adds,
            "model_bytes": card.model_bytes,
            "preprocessing": card.preprocessing.to_dict(),
            "labels": truth.tolist(),
            "predictions": scores.argmax(axis=1).tolist(),
        }
    )


def protocol_of(dataset: Dataset, card: ModelCard, shared: Sequence[str], augmentation: str) -> str:
    """How a scorer is measured on a data set, in words."""
    protocol = f"{dataset.split_is}, {augmentation}; 95 % bootstrap intervals ({RESAMPLES} resamples)."
    if not set(shared) == set(dataset.expressions) == set(card.expressions):
        protocol += f" Only the classes both have: {', '.join(shared)}; scores renormalised."
    if card.calibration:
        fitted = f"temperature {card.temperature:.3f}, unsure below {card.unsure_below:.3f}"
        protocol += f" Calibrated on {card.calibration}: {fitted}."
    return protocol


def classification_measures(
    scores: NDArray[np.float32], labels: NDArray[np.int64], names: Sequence[str]
) -> dict[str, Any]:
    """All measures of probabilities (N, K) against labels (N,), with their intervals."""
    predictions = scores.argmax(axis=1)
    matrix = metrics.confusion_matrix(labels, predictions, len(names))
    resampled = _bootstrap_matrices(matrix)
    over_all: dict[str, Any] = {"expressions": list(names), "n": len(labels)}
    for key, measure in (
        ("accuracy", metrics.accuracy),
        ("mean_class_accuracy", metrics.mean_class_accuracy),
        ("macro_f1", metrics.macro_f1),
    ):
        over_all[key] = measure(matrix)
        over_all[f"{key}_interval"] = _interval([measure(each) for each in resampled])
    over_all["ece"] = metrics.expected_calibration_error(scores, labels)
    over_all["ece_interval"] = metrics.bootstrap_interval(
        lambda drawn: metrics.expected_calibration_error(scores[drawn], labels[drawn]),
        len(labels),
        RESAMPLES,
    )
    targets = np.eye(len(names))[labels]
    over_all |= _means(
        {
            "negative_log_likelihood": metrics.cross_entropies(targets, scores),
            "brier_score": metrics.brier_scores(targets, scores),
        }
    )
    recalls, precisions = metrics.recalls(matrix), metrics.precisions(matrix)
    f1_scores = metrics.f1_scores(matrix)
    recall_intervals = np.array([metrics.recalls(each) for each in resampled])
    precision_intervals = np.array([metrics.precisions(each) for each in resampled])
    over_all["per_class"] = {
        name: {
            "n": int(matrix[index].sum()),
            "recall": float(recalls[index]),
            "recall_interval": _interval(recall_intervals[:, index]),
            "precision": float(precisions[index]),
            "precision_interval": _interval(precision_intervals[:, index]),
            "f1": float(f1_scores[index]),
        }
        for index, name in enumerate(names)
    }
    over_all["confusion_matrix"] = matrix.tolist()
    return over_all


def vote_measures(
    dataset: Dataset,
    kept: NDArray[np.int64],
    names: Sequence[str],
    scores: NDArray[np.float32],
    labels: NDArray[np.int64],
) -> dict[str, Any] | None:
    """How probabilities (N, K) of the kept images agree with people's votes, where labels come from these."""
    votes = dataset.votes() if dataset.labelled_by_votes else None
    if votes is None:
        return None
    shares = vote_shares(votes[kept])[:, [FERPLUS_8.index(name) for name in names]]
    shares /= shares.sum(axis=1, keepdims=True)
    each = np.arange(len(kept))
    confidence, votes_for_answer = scores.max(axis=1), shares[each, scores.argmax(axis=1)]
    return {
        "n": len(kept),
        **_means(
            {
                "kl_divergence": metrics.kl_divergences(shares, scores),
                "votes_for_answer": votes_for_answer,
                "votes_for_label": shares[each, labels],
                "negative_log_likelihood": metrics.cross_entropies(shares, scores),
                "brier_score": metrics.brier_scores(shares, scores),
            }
        ),
        "ece": metrics.calibration_error(confidence, votes_for_answer),
        "ece_interval": metrics.bootstrap_interval(
            lambda drawn: metrics.calibration_error(confidence[drawn], votes_for_answer[drawn]), len(kept), RESAMPLES
        ),
    }


def _means(measured: dict[str, NDArray[np.floating]]) -> dict[str, Any]:
    """The mean of each measure (N,) over the faces, and its interval."""
    found: dict[str, Any] = {}
    for key, values in measured.items():
        found[key] = float(values.mean())
        mean_of = partial(_mean_of, values.astype(np.float64))
        found[f"{key}_interval"] = list(metrics.bootstrap_interval(mean_of, len(values), RESAMPLES))
    return found


def _mean_of(values: NDArray[np.float64], drawn: NDArray[np.int64]) -> float:
    return float(values[drawn].mean())


def _bootstrap_matrices(matrix: metrics.Matrix) -> list[metrics.Matrix]:
    """Confusion matrices of resampled images: drawing images anew is a multinomial draw over the cells."""
    count = int(matrix.sum())
    shares = matrix.ravel() / max(1, count)
    drawn = np.random.default_rng(0).multinomial(count, shares, RESAMPLES)
    return [each.reshape(matrix.shape) for each in drawn]


def _interval(values: Sequence[float] | NDArray[np.float64]) -> list[float]:
    found = np.asarray(values, np.float64)
    if np.isnan(found).all():
        return [math.nan, math.nan]
    return [float(value) for value in np.nanpercentile(found, [2.5, 97.5])]


def _with_interval(values: dict[str, Any], key: str) -> str:
    low, high = values[f"{key}_interval"]
    return f"{values[key]:.4f} [{low:.4f}, {high:.4f}]"


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(each) for each in value]
    return None if isinstance(value, float) and math.isnan(value) else value

"""Robustness as a report: a scorer on a data set whose faces are corrupted, beside the untouched ones."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.datasets import Dataset
from mien.evaluation.corruptions import CORRUPTIONS, SEVERITIES, corrupt, require_corruption
from mien.evaluation.face_batches import FaceBatch, face_batches, join_batches, shared_classes, shared_scores
from mien.evaluation.markdown import markdown_table
from mien.evaluation.report import NO_AUGMENTATION, Report, classification_measures, protocol_of, vote_measures
from mien.scorer import Scorer
from mien.weights import ModelCard

MEASURES = ("accuracy", "drop", "accuracy_without_training_duplicates", "ece", "kl_divergence")
"""What is averaged over severities and corruptions."""

Variant = tuple[str, int]
"""A corruption and its severity."""
UNTOUCHED: Variant = ("untouched", 0)


@dataclass(frozen=True)
class RobustnessReport:
    """What was measured; `values` is what `mien evaluate --corruptions --json` writes."""

    values: dict[str, Any]

    def write(self, file: Path) -> None:
        """Write the JSON document, atomically."""
        Report(self.values).write(file)

    def to_markdown(self) -> str:
        """The report as a page for people: a row a corruption."""
        values, mean, untouched = self.values, self.values["mean"], self.values["untouched"]
        low, high = untouched["accuracy_interval"]
        severities = [f"severity {severity}" for severity in SEVERITIES]
        blank = ["-"] * len(SEVERITIES)
        rows = [["untouched", *blank, *_cells(untouched)]]
        rows += [
            [name, *(f"{each['accuracy']:.3f}" for each in found["severities"]), *_cells(found["mean"])]
            for name, found in values["corruptions"].items()
        ]
        rows.append(["all", *(f"{accuracy:.3f}" for accuracy in mean["accuracy_by_severity"]), *_cells(mean)])
        header = ["accuracy under", *severities, "mean", "mean KL", "mean ECE"]
        lines = [
            f"# {values['model']} on {values['dataset']}, {values['split']}, under corruptions",
            "",
            values["protocol"],
            "",
            f"{values['n']} images; untouched accuracy {untouched['accuracy']:.4f} [{low:.4f}, {high:.4f}].",
            "",
            markdown_table(header, rows),
        ]
        return "\n".join(lines) + "\n"


def measure_robustness(
    score_faces: Scorer,
    dataset: Dataset,
    card: ModelCard,
    names: Sequence[str] = tuple(CORRUPTIONS),
    training_keys: Collection[str] = (),
    show_progress: Callable[[int, int], None] = lambda done, total: None,
    augmentation: str = NO_AUGMENTATION,
) -> RobustnessReport:
    """Measure a scorer on a data set under corruptions, each at all severities.

    names: of corruptions; an unknown one raises DatasetError. show_progress: called with the number of faces done, each
    counted once a corruption and severity, and in all. The rest is as in `mien.evaluation.report.evaluate`.
    """
    for name in names:
        require_corruption(name)
    names, shared = tuple(dict.fromkeys(names)), shared_classes(dataset, card)
    variants = [UNTOUCHED, *((name, severity) for name in names for severity in SEVERITIES)]
    scores, faces = _score_variants(score_faces, dataset, card, variants, training_keys, show_progress)
    is_clean = ~faces.in_training if len(training_keys) > 0 and not faces.in_training.all() else None

    def measure(variant: Variant) -> dict[str, Any]:
        right = scores[variant].argmax(axis=1) == faces.labels
        found = classification_measures(scores[variant], faces.labels, shared)
        votes = vote_measures(dataset, faces.positions, shared, scores[variant], faces.labels)
        return {
            **{key: found[key] for key in ("accuracy", "accuracy_interval", "ece", "ece_interval")},
            **{key: votes and votes[key] for key in ("kl_divergence", "kl_divergence_interval")},
            "accuracy_without_training_duplicates": None if is_clean is None else float(right[is_clean].mean()),
        }

    untouched = measure(UNTOUCHED)
    corruptions: dict[str, dict[str, Any]] = {}
    for name in names:
        cells = [{"severity": severity, **measure((name, severity))} for severity in SEVERITIES]
        cells = [{**cell, "drop": untouched["accuracy"] - cell["accuracy"]} for cell in cells]
        corruptions[name] = {"severities": cells, "mean": _means(cells)}
    by_severity = zip(*(found["severities"] for found in corruptions.values()), strict=True)
    return RobustnessReport(
        {
            "model": card.name,
            "dataset": dataset.name,
            "split": dataset.split,
            "protocol": f"{protocol_of(dataset, card, shared, augmentation)} {_made_by(dataset, card, names)}",
            "expressions": list(shared),
            "n": len(faces.labels),
            "untouched": untouched,
            "mean": {
                **_means([found["mean"] for found in corruptions.values()]),
                "accuracy_by_severity": [_means(cells)["accuracy"] for cells in by_severity],
            },
            "corruptions": corruptions,
            "parameters": card.parameters,
            "multiply_adds": card.multiply_adds,
            "model_bytes": card.model_bytes,
            "preprocessing": card.preprocessing.to_dict(),
        }
    )


def _score_variants(
    score_faces: Scorer,
    dataset: Dataset,
    card: ModelCard,
    variants: Sequence[Variant],
    training_keys: Collection[str],
    show_progress: Callable[[int, int], None],
) -> tuple[dict[Variant, NDArray[np.float32]], FaceBatch]:
    """Probabilities (N, K) of the shared classes by variant, and what is known of the N faces, without their pixels."""
    shared = shared_classes(dataset, card)
    parts: dict[Variant, list[NDArray[np.float32]]] = {variant: [] for variant in variants}
    known: list[FaceBatch] = []
    done = read = 0
    for batch in face_batches(dataset, card, training_keys):
        for variant in variants:
            faces = batch.faces if variant == UNTOUCHED else corrupt(batch.faces, batch.positions, *variant)
            parts[variant].append(shared_scores(score_faces(faces), card, shared))
            done += batch.done - read
            show_progress(done, len(dataset) * len(variants))
        read = batch.done
        known.append(batch.without_pixels())
    return {variant: np.concatenate(part) for variant, part in parts.items()}, join_batches(known)


def _made_by(dataset: Dataset, card: ModelCard, names: Sequence[str]) -> str:
    size_px = card.preprocessing.size_px
    chosen = "".join(f" --corruption {name}" for name in names) if set(names) != set(CORRUPTIONS) else ""
    return (
        f"Corruptions of mien.evaluation.corruptions, on face crops of {size_px} x {size_px} pixels; what is drawn "
        f"depends on an image's position and the corruption's name alone. By: mien evaluate --model {card.name} "
        f"--dataset {dataset.name} --root PATH --split {dataset.split} --corruptions{chosen}"
    )


def _means(cells: Sequence[dict[str, Any]]) -> dict[str, float | None]:
    """The mean of each measure; None where it is not known."""
    columns = {key: [each[key] for each in cells] for key in MEASURES}
    return {key: None if None in values else float(np.mean(values)) for key, values in columns.items()}


def _cells(values: dict[str, Any]) -> list[str]:
    keys = ("accuracy", "kl_divergence", "ece")
    return ["-" if values[key] is None else f"{values[key]:.3f}" for key in keys]

"""Expression-guided deep joint learning: train, label unlabelled faces, fine-tune with them, and again.

A reconstruction (models/ac_net.py says of which paper, clustering.py how faces get labels). Each round is a training by
the one loop in a folder of its own, so that it resumes inside rounds and between them.
"""

import hashlib
import json
import os
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.clustering import (
    Embeddings,
    Guidance,
    Indices,
    Labelling,
    embed,
    keep_most_similar,
    label_clusters,
    nearest_neighbours,
    rank_order_clusters,
    require_neighbours,
    seeded_k_means,
)
from mien.contact_sheet import write_sheets
from mien.datasets import Dataset, as_faces
from mien.datasets.joined import Joined
from mien.errors import CheckpointError, DatasetError, ImageError
from mien.preprocessing import ImageArray, Preprocessing, whole_image_face
from mien.scorer import softmax
from mien.training.checkpoint import load_checkpoint
from mien.training.config import Experiment
from mien.training.deployment import deployable_network
from mien.training.loop import BEST, LAST, TrainingResult, train
from mien.training.machine import find_device
from mien.training.options import JointOptions
from mien.training.torch_scorer import TorchScorer

LABELS, SUMMARY = "labels.npz", "round.json"


@dataclass(frozen=True)
class Unlabelled:
    """The faces that can be read, and which of the data set they are."""

    faces: ImageArray
    """uint8 (M, S, S, C)."""
    indices: Indices
    """(M,) positions in the data set."""
    skipped: list[str]
    """Why others could not be read."""

    def digest(self) -> str:
        """The same for the same faces in the same places."""
        return hashlib.sha256(self.indices.tobytes() + self.faces.tobytes()).hexdigest()


def train_rounds(
    experiment: Experiment,
    labelled: Dataset,
    unlabelled: Dataset,
    selection: Dataset | None,
    out: Path,
    resume: bool = False,
    device: str | None = None,
) -> TrainingResult:
    """Train an experiment with `joint` rounds; the result of the last round.

    `out` gets a folder for each round, `round-0` for the training on labelled faces alone. Later ones also hold the
    labels that faces got (labels.npz), a summary (round.json) and a picture of each class's new faces.
    """
    joint = experiment.joint
    assert joint is not None
    data = experiment.data
    preprocessing = Preprocessing(data.size_px, data.channels, data.margin, data.mean, data.deviation)
    found = read_unlabelled(unlabelled, preprocessing)
    for line in found.skipped:
        print(f"mien: skipped {line}", file=sys.stderr)
    print(f"{len(labelled)} labelled faces, {len(found.indices)} unlabelled", file=sys.stderr, flush=True)
    if joint.labelling == "rank-order":
        require_neighbours(len(labelled) + len(found.indices), joint.neighbours)
    folder = out / "round-0"
    alone = replace(experiment, joint=None)
    result = train(alone, labelled, selection, folder, resume and (folder / LAST).exists(), device)
    for number in range(1, joint.rounds + 1):
        folder, before = out / f"round-{number}", folder
        labels = _label(experiment, joint, labelled, found, before, folder, resume, device)
        new = np.flatnonzero(labels >= 0)
        joined = Joined(labelled, unlabelled, found.indices[new], labels[new], joint.weight)
        schedule = replace(
            experiment.schedule,
            epochs=joint.epochs,
            learning_rate=joint.learning_rate,
            warmup_epochs=min(experiment.schedule.warmup_epochs, joint.epochs / 4),
            progressive_size_px=(),
            progressive_epochs=0.0,
        )
        tuning = replace(experiment, schedule=schedule, seed=experiment.seed + number)
        resumed = resume and (folder / LAST).exists()
        result = train(tuning, joined, selection, folder, resumed, device, str(before / BEST))
    return result


def read_unlabelled(dataset: Dataset, preprocessing: Preprocessing) -> Unlabelled:
    """Read all faces; those that cannot be read are left out and told. DatasetError when none is left."""
    faces, indices, skipped = [], [], []
    for index in range(len(dataset)):
        try:
            faces.append(whole_image_face(dataset.sample(index).image, preprocessing))
            indices.append(index)
        except ImageError as error:
            skipped.append(str(error))
    if not faces:
        raise DatasetError(f"{dataset.name}: expected faces that can be read, found none of {len(dataset)}")
    return Unlabelled(np.stack(faces), np.array(indices, np.int64), skipped)


def _label(
    experiment: Experiment,
    joint: JointOptions,
    labelled: Dataset,
    found: Unlabelled,
    before: Path,
    folder: Path,
    resume: bool,
    device: str | None,
) -> Indices:
    """The label (M,) of each unlabelled face, -1 for none; from the folder, if an interrupted round left it there."""
    if resume and (folder / LABELS).exists():
        return _read_labels(folder / LABELS, found)
    checkpoint = load_checkpoint(before / BEST)
    network = deployable_network(checkpoint).to(find_device(device))
    scorer = TorchScorer(network, Preprocessing.from_dict(checkpoint.facts["preprocessing"]))
    own_faces, own_labels = as_faces(labelled, scorer.preprocessing)
    logits, features = scorer.logits_and_features(np.concatenate((own_faces, found.faces)))
    given = np.concatenate((own_labels, np.full(len(found.faces), -1)))
    labelling = propose(joint, embed(features), softmax(logits), given, len(labelled.expressions), experiment.seed)
    labels, similarity = labelling.labels[len(own_labels) :], labelling.similarity[len(own_labels) :]
    folder.mkdir(parents=True, exist_ok=True)
    summary = _summarise(labelled.expressions, labels, labelling, before, found)
    print("\n".join(_tell(folder.name, summary)), file=sys.stderr, flush=True)
    write_sheets(folder / "new", found.faces, labels, similarity, labelled.expressions)
    temporary = folder / f"{SUMMARY}.part"
    temporary.write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")
    os.replace(temporary, folder / SUMMARY)
    temporary = folder / f"part-{LABELS}"
    np.savez(temporary, labels=labels, similarity=similarity, indices=found.indices, faces=found.digest())
    os.replace(temporary, folder / LABELS)
    return labels


def _read_labels(file: Path, found: Unlabelled) -> Indices:
    with np.load(file) as kept:
        labels: Indices = kept["labels"]
        if str(kept["faces"]) != found.digest():
            raise CheckpointError(f"{file}: expected the unlabelled faces that it was made from, found others")
    return labels


def propose(
    joint: JointOptions,
    embeddings: Embeddings,
    probabilities: NDArray[np.float32],
    labels: Indices,
    classes: int,
    seed: int,
) -> Labelling:
    """Labels for unlabelled faces: embeddings (N, D), probabilities (N, K), labels (N,) with -1 for unlabelled."""
    guidance = Guidance(
        joint.fewest_labelled, joint.purity, joint.similarity, joint.margin, joint.cap if joint.cap else None
    )
    if joint.labelling == "rank-order":
        neighbours = nearest_neighbours(embeddings, joint.neighbours, seed=seed)
        clusters = rank_order_clusters(neighbours, joint.threshold)
        return label_clusters(embeddings, clusters, labels, classes, guidance)
    if joint.labelling == "seeded-k-means":
        found = seeded_k_means(embeddings, labels, classes, joint.kept_share)
        return _capped(found, labels, joint.cap)
    sure = (labels < 0) & (probabilities.max(axis=1) >= joint.confidence)
    answers = np.where(sure, probabilities.argmax(axis=1), labels)
    nearness = np.where(answers >= 0, probabilities.max(axis=1), 0).astype(np.float32)
    reasons = {
        "named, the network is sure": int(sure.sum()),
        "discarded, it is not": int(((labels < 0) & ~sure).sum()),
    }
    return _capped(Labelling(answers, nearness, reasons), labels, joint.cap)


def _capped(found: Labelling, given: Indices, cap: int) -> Labelling:
    """The nearest new faces of each class, `cap` at most; 0 for as many as the largest labelled class has."""
    proposed = np.where(given >= 0, -1, found.labels)
    largest = int(np.bincount(given[given >= 0]).max())
    kept = keep_most_similar(proposed, found.similarity, cap or largest)
    full = int(((proposed >= 0) & (kept < 0)).sum())
    named, *others = found.reasons.items()
    reasons = {named[0]: named[1] - full, **dict(others), "discarded, class is full": full}
    return Labelling(np.where(given >= 0, given, kept), found.similarity, reasons)


def _summarise(
    expressions: tuple[str, ...], labels: Indices, labelling: Labelling, before: Path, found: Unlabelled
) -> dict[str, Any]:
    """What a round did, as it is written to round.json."""
    counts = np.bincount(labels[labels >= 0], minlength=len(expressions))
    agreement = None
    if (before / LABELS).exists():
        with np.load(before / LABELS) as kept:
            both = (kept["labels"] >= 0) & (labels >= 0)
            agreement = float((kept["labels"] == labels)[both].mean()) if both.any() else None
    return {
        "unlabelled": len(labels),
        "skipped": len(found.skipped),
        "clusters": labelling.clusters,
        "named": int((labels >= 0).sum()),
        "by_class": dict(zip(expressions, counts.tolist(), strict=True)),
        "reasons": labelling.reasons,
        "agreement_with_the_round_before": agreement,
    }


def _tell(name: str, summary: dict[str, Any]) -> list[str]:
    """A round's summary in lines for people."""
    lines = [f"{name}: {summary['named']} of {summary['unlabelled']} unlabelled faces got a label"]
    if summary["clusters"]:
        lines[0] += f", from {summary['clusters']} clusters"
    lines += [f"  {reason}: {count}" for reason, count in summary["reasons"].items() if count]
    lines.append("  new faces: " + ", ".join(f"{count} {name}" for name, count in summary["by_class"].items()))
    if summary["agreement_with_the_round_before"] is not None:
        lines.append(f"  same label as in the round before: {summary['agreement_with_the_round_before']:.3f}")
    if not summary["named"]:
        lines.append("  no face got a label; training goes on with the labelled faces alone")
    return lines

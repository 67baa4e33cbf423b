"""Labels for unlabelled faces in a round of joint learning: what is proposed, written down and told."""

import csv
import hashlib
import json
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.atomic import replacing
from mien.datasets import Dataset, as_faces
from mien.errors import CheckpointError
from mien.labelling.clustering import (
    Embeddings,
    Indices,
    embed,
    nearest_neighbours,
    neighbours_among,
    normalise,
    rank_order_clusters,
)
from mien.labelling.contact_sheet import write_sheets
from mien.labelling.guidance import (
    Guidance,
    Labelling,
    Reason,
    cap_classes,
    cluster_distributions,
    label_clusters,
    seeded_k_means,
)
from mien.preprocessing import ImageArray
from mien.scorer import score_with_mirror
from mien.training.checkpoint import load_checkpoint, read_header
from mien.training.config import Experiment
from mien.training.deployment import deployable_network
from mien.training.joint.round_summary import summarise, tell
from mien.training.machine import find_device
from mien.training.options import JointOptions
from mien.training.torch_scorer import TorchScorer
from mien.training.unlabelled import Unlabelled

LOGGER = logging.getLogger("mien")
LABELS, TABLE, SUMMARY = "labels.npz", "labels.csv", "round.json"


@dataclass(frozen=True)
class PseudoLabels:
    """What M unlabelled faces are learned as."""

    labels: Indices
    """(M,) index of the class, -1 for none."""
    distributions: NDArray[np.float32] | None
    """(M, K), where the experiment asks for more than the label."""


def label_unlabelled(
    experiment: Experiment,
    labelled: Dataset,
    found: Unlabelled,
    before: Sequence[Path],
    folder: Path,
    resume: bool,
    device: str | None,
) -> PseudoLabels:
    """Labels of the unlabelled faces by the mean answers of the networks in the checkpoints `before`.

    The networks' features side by side are what is clustered. The labels are written into the folder; with `resume`,
    they are read from there if they were made from the same.
    """
    joint = experiment.joint
    assert joint is not None
    preprocessing = read_header(before[0]).preprocessing
    own_faces, own_labels = as_faces(labelled, preprocessing)
    made_from = _made_from(experiment, joint, own_faces, own_labels, found, before)
    if resume and (folder / LABELS).exists():
        with np.load(folder / LABELS) as kept:
            if str(kept["made_from"]) != made_from:
                raise CheckpointError(
                    f"{folder / LABELS}: expected labels made with these [joint] options from these faces by "
                    f"{' and '.join(map(str, before))}, found others; remove {folder} to make them anew"
                )
            return PseudoLabels(kept["labels"], kept["distributions"] if joint.soft else None)
    probabilities, embeddings = answers_and_embeddings(before, np.concatenate((own_faces, found.faces)), device)
    given = np.concatenate((own_labels, np.full(len(found.faces), -1)))
    labelling = propose(joint, embeddings, probabilities, given, len(labelled.expressions), experiment.seed)
    labels, similarity = labelling.labels[len(own_labels) :], labelling.similarity[len(own_labels) :]
    distributions = probabilities
    if labelling.clusters is not None:
        distributions = cluster_distributions(labelling.clusters, probabilities, given)
    soft_labels = distributions[len(own_labels) :] if joint.soft else None
    answers = probabilities[len(own_labels) :].argmax(axis=1)
    folder.mkdir(parents=True, exist_ok=True)
    summary = summarise(labelled, own_labels, labels, answers, labelling, before[0].parent / LABELS, found)
    LOGGER.info("\n".join(tell(folder.name, summary)))
    with replacing(folder / SUMMARY) as temporary:
        temporary.write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")
    write_sheets(folder / "new", found.faces, labels, similarity, labelled.expressions)
    with replacing(folder / TABLE) as temporary:
        _write_table(temporary, found, labels, similarity, labelled.expressions)
    kept = {"labels": labels, "indices": found.indices, "made_from": made_from}
    kept["distributions"] = np.empty((0, 0), np.float32) if soft_labels is None else soft_labels
    with replacing(folder / LABELS) as temporary:  # last: what is resumed from
        np.savez(temporary, **kept)
    return PseudoLabels(labels, soft_labels)


def answers_and_embeddings(
    checkpoints: Sequence[Path], faces: ImageArray, device: str | None
) -> tuple[NDArray[np.float32], Embeddings]:
    """Mean probabilities (N, K) and embeddings side by side (N, D) of networks, for faces uint8 (N, S, S, C)."""
    scored = [score_with_mirror(_scorer(file, device).logits_and_features, faces) for file in checkpoints]
    probabilities = np.stack([each[0] for each in scored]).mean(axis=0, dtype=np.float32)
    return probabilities, normalise(np.concatenate([embed(each[1]) for each in scored], axis=1))


def _scorer(checkpoint: Path, device: str | None) -> TorchScorer:
    found = load_checkpoint(checkpoint)
    network = deployable_network(found).to(find_device(device))
    return TorchScorer(network, found.header.preprocessing)


def _write_table(
    file: Path, found: Unlabelled, labels: Indices, similarity: NDArray[np.float32], expressions: Sequence[str]
) -> None:
    """A csv row for each face: where it was found, its expression (empty for none), and how near it is."""
    with file.open("w", newline="", encoding="utf-8-sig", errors="backslashreplace") as stream:
        writer = csv.writer(stream)
        writer.writerow(["source", "expression", "similarity"])
        for source, label, near in zip(found.sources, labels, similarity, strict=True):
            writer.writerow([source, expressions[label] if label >= 0 else "", f"{near:.4f}"])


def _made_from(
    experiment: Experiment,
    joint: JointOptions,
    own_faces: ImageArray,
    own_labels: Indices,
    found: Unlabelled,
    before: Sequence[Path],
) -> str:
    """A digest of all that labels depend on."""
    own = hashlib.sha256(own_faces.tobytes() + own_labels.tobytes()).hexdigest()
    weights = [hashlib.sha256(file.read_bytes()).hexdigest() for file in before]
    options = {name: value for name, value in asdict(joint).items() if name != "check"}  # which changes nothing
    text = json.dumps([options, experiment.seed, own, found.digest(), weights], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def propose(
    joint: JointOptions,
    embeddings: Embeddings,
    probabilities: NDArray[np.float32],
    labels: Indices,
    classes: int,
    seed: int,
) -> Labelling:
    """Labels for unlabelled faces: embeddings (N, D), probabilities (N, K), labels (N,) with -1 for unlabelled."""
    if joint.labelling == "rank-order":
        guidance = Guidance(joint.fewest_labelled, joint.purity, joint.similarity, joint.margin)
        neighbours = nearest_neighbours(embeddings, neighbours_among(len(labels), joint.neighbours), seed=seed)
        clusters = rank_order_clusters(neighbours, joint.threshold)
        found = label_clusters(embeddings, clusters, labels, classes, guidance)
    elif joint.labelling == "seeded-k-means":
        found = seeded_k_means(embeddings, labels, classes, joint.kept_share)
    else:
        found = _sure_answers(probabilities, labels, joint.confidence)
    if not joint.cap_share:
        return found
    scores = probabilities[np.arange(len(labels)), np.maximum(found.labels, 0)]
    most = np.round(joint.cap_share * np.bincount(labels[labels >= 0], minlength=classes)).astype(np.int64)
    return cap_classes(found, scores, most)


def _sure_answers(probabilities: NDArray[np.float32], labels: Indices, confidence: float) -> Labelling:
    """What the network itself says where it is sure; its probability takes the place of a similarity."""
    best = probabilities.max(axis=1)
    reasons = np.select([labels >= 0, best >= confidence], [Reason.GIVEN, Reason.SURE], Reason.UNSURE).astype(np.int8)
    answers = np.select([labels >= 0, best >= confidence], [labels, probabilities.argmax(axis=1)], -1)
    return Labelling(answers, np.where(answers >= 0, best, 0).astype(np.float32), reasons)

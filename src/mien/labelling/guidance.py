"""Expressions for clusters of faces, guided by labelled ones: pure functions on arrays, without torch.

How labelled expressions guide the clusters is a reconstruction (models/ac_net.py says of which paper): `label_clusters`
is its default reading, `seeded_k_means` the simpler one to compare with.
"""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from mien.labelling.clustering import Embeddings, Indices, normalise


@dataclass(frozen=True)
class Guidance:
    """When a cluster gets an expression; the numbers are chosen."""

    fewest_labelled: int = 3
    """Labelled members a cluster needs to be named after them."""
    purity: float = 0.8
    """Share of its labelled members that must agree."""
    similarity: float = 0.6
    """Cosine to the nearest class centre that a cluster needs otherwise."""
    margin: float = 0.1
    """How much nearer than the second class centre it must be."""


class Reason(IntEnum):
    """Why an image has its class, or none."""

    GIVEN = 0
    LABELLED_MEMBERS = 1
    NEAREST_CENTRE = 2
    SURE = 3
    FAR = 4
    BETWEEN = 5
    NOT_AMONG_NEAREST = 6
    UNSURE = 7
    FULL = 8


@dataclass(frozen=True)
class Labelling:
    """What became of the unlabelled images."""

    labels: Indices
    """(N,) the class of each image: the given one, the cluster's, or -1."""
    similarity: NDArray[np.float32]
    """(N,) how near it is: cosine to the centre of its class, 0 without one."""
    reasons: NDArray[np.int8]
    """(N,) a `Reason` each."""
    clusters: Indices | None = None
    """(N,) the cluster of each image, where there are any."""


def class_centres(embeddings: Embeddings, labels: Indices, classes: int) -> Embeddings:
    """The mean direction (K, D) of each class's labelled embeddings; zeros for a class without any."""
    sums = np.zeros((classes, embeddings.shape[1]), np.float32)
    known = labels >= 0
    np.add.at(sums, labels[known], embeddings[known])
    return normalise(sums)


def label_clusters(
    embeddings: Embeddings, clusters: Indices, labels: Indices, classes: int, guidance: Guidance
) -> Labelling:
    """Name clusters after their labelled members, or after the nearest class centre, or discard them.

    embeddings: (N, D), labelled and unlabelled together. clusters: (N,). labels: (N,), -1 for unlabelled; a class
    without labelled images gets none.
    """
    count = int(clusters.max(initial=-1)) + 1
    known = labels >= 0
    members = np.zeros((count, classes), np.int64)
    np.add.at(members, (clusters[known], labels[known]), 1)
    labelled = members.sum(axis=1)
    pure = (labelled >= guidance.fewest_labelled) & (members.max(axis=1) >= guidance.purity * labelled)
    centres = class_centres(embeddings, labels, classes)
    means = class_centres(embeddings, np.where(known, -1, clusters), count)
    cosine = _cosine(means, centres)  # (clusters, K)
    nearest = cosine.argmax(axis=1)
    ordered = np.sort(np.maximum(cosine, -1), axis=1)
    near = ordered[:, -1] >= guidance.similarity
    clear = ordered[:, -1] - (ordered[:, -2] if classes > 1 else -1) >= guidance.margin
    named = np.where(pure, members.argmax(axis=1), np.where(near & clear, nearest, -1))
    why = np.select(
        [pure, near & clear, near], [Reason.LABELLED_MEMBERS, Reason.NEAREST_CENTRE, Reason.BETWEEN], Reason.FAR
    )
    final = np.where(known, labels, named[clusters])
    reasons = np.where(known, Reason.GIVEN, why[clusters]).astype(np.int8)
    return Labelling(final, _similarity(embeddings, centres, final), reasons, clusters)


def cluster_distributions(
    clusters: Indices, probabilities: NDArray[np.float32], labels: Indices
) -> NDArray[np.float32]:
    """The mean distribution (N, K) over the members of each image's cluster; labelled members count with their label.

    clusters: (N,). probabilities: (N, K). labels: (N,), -1 for unlabelled.
    """
    classes = probabilities.shape[1]
    known = (labels >= 0)[:, None]
    own = np.where(known, np.eye(classes, dtype=np.float32)[np.maximum(labels, 0)], probabilities)
    sums = np.zeros((int(clusters.max(initial=-1)) + 1, classes), np.float32)
    np.add.at(sums, clusters, own)
    means = (sums / np.bincount(clusters, minlength=len(sums))[:, None]).astype(np.float32)
    found: NDArray[np.float32] = means[clusters]
    return found


def cap_classes(found: Labelling, scores: NDArray[np.float32], most: Indices) -> Labelling:
    """The images named with the highest scores (N,), at most `most` (K,) of each class; the given ones stay."""
    given = found.reasons == Reason.GIVEN
    kept = keep_highest(np.where(given, -1, found.labels), scores, most)
    cut = ~given & (found.labels >= 0) & (kept < 0)
    labels, reasons = np.where(cut, -1, found.labels), np.where(cut, Reason.FULL, found.reasons).astype(np.int8)
    return Labelling(labels, np.where(cut, 0, found.similarity).astype(np.float32), reasons, found.clusters)


def seeded_k_means(
    embeddings: Embeddings, labels: Indices, classes: int, share: float = 0.2, rounds: int = 50
) -> Labelling:
    """K-means whose centres start as the labelled class means; labelled images stay in their class.

    share: how many of the unlabelled images nearest to each centre are kept and count for the next centre.
    """
    known = labels >= 0
    current = labels
    for _ in range(rounds):
        centres = class_centres(embeddings, current, classes)
        nearest = _cosine(embeddings, centres).argmax(axis=1)
        similarity = _similarity(embeddings, centres, nearest)
        proposed = np.where(known, -1, nearest)
        sizes = np.bincount(proposed[~known], minlength=classes)
        kept = keep_highest(proposed, similarity, np.round(share * sizes).astype(np.int64))
        previous, current = current, np.where(known, labels, kept)
        if (previous == current).all():
            break
    similarity = _similarity(embeddings, class_centres(embeddings, current, classes), current)
    reasons = np.select([known, current >= 0], [Reason.GIVEN, Reason.NEAREST_CENTRE], Reason.NOT_AMONG_NEAREST)
    return Labelling(current, similarity, reasons.astype(np.int8))


def _cosine(embeddings: Embeddings, centres: Embeddings) -> NDArray[np.float32]:
    """Cosine (N, K) of embeddings to class centres; -inf to a class without labelled faces."""
    found: NDArray[np.float32] = np.where(centres.any(axis=1), embeddings @ centres.T, -np.inf).astype(np.float32)
    return found


def _similarity(embeddings: Embeddings, centres: Embeddings, labels: Indices) -> NDArray[np.float32]:
    """Cosine (N,) of each embedding to the centre of its label; 0 without a label."""
    found: NDArray[np.float32] = np.einsum("nd,nd->n", embeddings, centres[labels]) * (labels >= 0)
    return found.astype(np.float32)


def keep_highest(labels: Indices, scores: NDArray[np.float32], most: Indices) -> Indices:
    """Labels (N,) where each class keeps its images of the highest scores, `most` (K,); the others become -1."""
    order = np.lexsort((-scores, labels))
    ordered = labels[order]
    first = np.searchsorted(ordered, ordered)
    kept = np.full_like(labels, -1)
    keep = order[(np.arange(len(labels)) - first < most[ordered]) & (ordered >= 0)]
    kept[keep] = labels[keep]
    return kept

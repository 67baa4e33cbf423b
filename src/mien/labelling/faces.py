"""Expressions for many unlabelled faces: the network where it is sure, clusters of similar faces where it is not.

The code that labels faces for joint learning (clustering.py, guidance.py), guided by the network's own sure answers
instead of labels that people gave; no torch.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.labelling.clustering import (
    NEIGHBOURS,
    THRESHOLD,
    Indices,
    has_index,
    nearest_neighbours,
    neighbours_among,
    normalise,
    rank_order_clusters,
)
from mien.labelling.guidance import Guidance, label_clusters
from mien.preprocessing import ImageArray
from mien.scorer import BATCH_SIZE, OnnxScorer, score_with_mirror


@dataclass(frozen=True)
class FaceLabels:
    """What each of N faces was labelled with."""

    labels: Indices
    """(N,) index of the expression, -1 where neither network nor cluster tells."""
    confidence: NDArray[np.float32]
    """(N,) probability that the network gives this expression; that of its best guess where there is no label."""
    similarity: NDArray[np.float32]
    """(N,) cosine of the face's features to the mean of its expression; 0 without a label."""
    clusters: Indices
    """(N,) number of the face's cluster."""
    sure: NDArray[np.bool_]
    """(N,) whether the network alone decided."""


def label_faces(
    scorer: OnnxScorer,
    faces: ImageArray,
    confidence: float = 0.8,
    neighbours: int = NEIGHBOURS,
    threshold: float = THRESHOLD,
    guidance: Guidance | None = None,
) -> FaceLabels:
    """Label faces uint8 (N, S, S, C), at least one.

    confidence: from this probability on, the network's answer is taken. The other faces get the expression of their
    cluster, where enough of its sure members agree, or of the nearest mean (`Guidance`).
    neighbours, threshold: of approximate rank-order clustering; for few faces, a third of them are neighbours.
    """
    batches = [faces[start : start + BATCH_SIZE] for start in range(0, len(faces), BATCH_SIZE)]
    scored = [score_with_mirror(scorer.logits_and_features, batch) for batch in batches]
    probabilities, features = (np.concatenate(part) for part in zip(*scored, strict=True))
    return label_scored(probabilities, features, confidence, neighbours, threshold, guidance)


def label_scored(
    probabilities: NDArray[np.float32],
    features: NDArray[np.float32],
    confidence: float = 0.8,
    neighbours: int = NEIGHBOURS,
    threshold: float = THRESHOLD,
    guidance: Guidance | None = None,
) -> FaceLabels:
    """Label faces by their probabilities (N, K) and features (N, D); see `label_faces`."""
    embeddings = normalise(features)  # not less their mean: all faces may show the same expression
    sure = probabilities.max(axis=1) >= confidence
    anchors = np.where(sure, probabilities.argmax(axis=1), -1)
    clusters = np.zeros(len(features), np.int64)
    if len(features) > 1:
        count = neighbours_among(len(features), neighbours)
        nearest = nearest_neighbours(embeddings, count, exact=None if has_index() else True)
        clusters = rank_order_clusters(nearest, threshold)
    found = label_clusters(embeddings, clusters, anchors, probabilities.shape[1], guidance or Guidance())
    known = np.where(found.labels >= 0, found.labels, probabilities.argmax(axis=1))
    chosen: NDArray[np.float32] = probabilities[np.arange(len(features)), known]
    return FaceLabels(found.labels, chosen, found.similarity, clusters, sure)

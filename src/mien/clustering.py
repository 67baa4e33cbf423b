"""Clusters of face embeddings, and expressions for clusters: pure functions on arrays, without torch.

Approximate rank-order clustering: Otto, Wang, Jain, "Clustering Millions of Faces by Identity", TPAMI 2018,
https://arxiv.org/abs/1604.00989: two faces are alike when the lists of their nearest neighbours are. How labelled
expressions guide it is a reconstruction (models/ac_net.py says of which paper): `label_clusters` is its default
reading, `seeded_k_means` the simpler one to compare with.

Embeddings are float32 (N, D) with unit length (`embed`). Memory grows linearly with N.
"""

from dataclasses import dataclass
from enum import IntEnum
from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray

from mien.errors import DatasetError, MissingExtraError

Embeddings = NDArray[np.float32]
Indices = NDArray[np.int64]
EXACT_LIMIT = 20_000
"""Up to so many embeddings, neighbours are searched exactly (some seconds)."""
NEIGHBOURS, THRESHOLD = 10, 0.3
"""Length of neighbour lists and largest rank-order distance in a cluster, unless another is asked for (chosen)."""
BLOCK = 4_000_000
"""Numbers handled at once, to bound memory."""


def normalise(features: NDArray[np.float32]) -> Embeddings:
    """Features (N, D) with unit length; rows of zeros stay."""
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    unit: Embeddings = (features / np.maximum(lengths, 1e-12)).astype(np.float32)
    return unit


def embed(features: NDArray[np.float32]) -> Embeddings:
    """Features (N, D) less their mean, which all faces share, with unit length."""
    return normalise(features - features.mean(axis=0))


def nearest_neighbours(embeddings: Embeddings, count: int, exact: bool | None = None, seed: int = 0) -> Indices:
    """Each embedding's list of neighbours (N, count + 1): itself, then the nearest by cosine.

    exact: search all pairs, or an inverted file index (faiss) with `seed`; by itself, exactly up to 20,000.
    Raises DatasetError when there are not more embeddings than neighbours.
    """
    require_neighbours(len(embeddings), count)
    use_exact = len(embeddings) <= EXACT_LIMIT if exact is None else exact
    found = _exact(embeddings, count) if use_exact else _approximate(embeddings, count, seed)
    return _itself_first(found, count)


def _exact(embeddings: Embeddings, count: int) -> Indices:
    parts = []
    for start, stop in _blocks(len(embeddings), len(embeddings)):
        similarity = embeddings[start:stop] @ embeddings.T
        nearest = np.argpartition(-similarity, count, axis=1)[:, : count + 1]
        order = np.argsort(-np.take_along_axis(similarity, nearest, axis=1), axis=1, kind="stable")
        parts.append(np.take_along_axis(nearest, order, axis=1))
    return np.concatenate(parts)


def _approximate(embeddings: Embeddings, count: int, seed: int) -> Indices:
    import faiss

    width = embeddings.shape[1]
    lists = round(2 * len(embeddings) ** 0.5)
    index = faiss.IndexIVFFlat(faiss.IndexFlatIP(width), width, lists, faiss.METRIC_INNER_PRODUCT)
    index.cp.seed, index.cp.niter = seed, 10
    index.train(embeddings)
    index.add(embeddings)
    index.nprobe = 16
    found: Indices = index.search(embeddings, count + 1)[1]
    return found


def require_neighbours(images: int, count: int) -> None:
    """DatasetError or MissingExtraError where `nearest_neighbours` could not search among so many images."""
    if images <= count:
        raise DatasetError(f"clustering: expected more images than neighbours ({count}), found {images}")
    if images > EXACT_LIMIT:
        require_index()


def has_index() -> bool:
    """Whether faiss is installed."""
    return find_spec("faiss") is not None


def require_index() -> None:
    """MissingExtraError where faiss is not installed, which searches among many images."""
    if not has_index():
        raise MissingExtraError(
            f"clustering more than {EXACT_LIMIT} images needs faiss; install it with: pip install 'mien[label]'"
        )


def _itself_first(found: Indices, count: int) -> Indices:
    """Lists (N, count + 1) as searched, where equal embeddings may stand before itself or push it out."""
    own = np.arange(len(found))[:, None]
    order = np.argsort(found == own, axis=1, kind="stable")[:, :count]  # others first, itself dropped
    return np.concatenate((own, np.take_along_axis(found, order, axis=1)), axis=1)


def rank_order_links(neighbours: Indices, threshold: float) -> tuple[Indices, NDArray[np.float64]]:
    """Pairs of faces that belong together, and their distances.

    neighbours: lists (N, k + 1), itself first (-1 for none). Faces a and b are compared when each stands in the other's
    list, at ranks O_a(b) and O_b(a). d(a, b) counts the neighbours of a up to b that do not stand in b's list (b itself
    does). Linked when (d(a, b) + d(b, a)) / min(O_a(b), O_b(a)) < threshold. Returns (M, 2) with a < b, and (M,).
    """
    width = neighbours.shape[1]
    links, distances = [], []
    for start, stop in _blocks(len(neighbours), width * width):
        own = np.arange(start, stop)
        others = neighbours[start:stop, 1:]
        back = neighbours[others] == own[:, None, None]  # (B, k, k + 1): where a stands in b's list
        mutual = back[:, :, 1:].any(axis=2) & (others > own[:, None])
        rows, columns = np.nonzero(mutual)
        first, second = own[rows], others[rows, columns]
        rank_of_second = columns + 1
        rank_of_first = back[rows, columns].argmax(axis=1)
        distance = _distances(neighbours, first, second, rank_of_second, rank_of_first)
        linked = distance < threshold
        links.append(np.stack((first, second), axis=1)[linked])
        distances.append(distance[linked])
    return np.concatenate(links), np.concatenate(distances)


def _distances(
    neighbours: Indices, first: Indices, second: Indices, rank_of_second: Indices, rank_of_first: Indices
) -> NDArray[np.float64]:
    ranks = np.arange(neighbours.shape[1])
    parts = [np.zeros(0)]
    for start, stop in _blocks(len(first), len(ranks) ** 2):
        same = neighbours[first[start:stop], :, None] == neighbours[second[start:stop], None, :]
        counted = (ranks > 0) & (ranks <= rank_of_second[start:stop, None])
        missing = (counted & ~same.any(axis=2)).sum(axis=1)
        counted = (ranks > 0) & (ranks <= rank_of_first[start:stop, None])
        missing += (counted & ~same.any(axis=1)).sum(axis=1)
        parts.append(missing / np.minimum(rank_of_second[start:stop], rank_of_first[start:stop]))
    return np.concatenate(parts)


def connected_components(count: int, links: Indices) -> Indices:
    """The cluster (count,) of each of `count` faces, numbered from 0; links (M, 2) hold clusters together."""
    root = np.arange(count)
    while True:
        low = np.minimum(root[links[:, 0]], root[links[:, 1]])
        before = root.copy()
        np.minimum.at(root, root[links[:, 0]], low)
        np.minimum.at(root, root[links[:, 1]], low)
        while (root != root[root]).any():
            root = root[root]
        if (root == before).all():
            return np.unique(root, return_inverse=True)[1]


def rank_order_clusters(neighbours: Indices, threshold: float) -> Indices:
    """Approximate rank-order clustering in one pass: the cluster (N,) of each face; see `rank_order_links`."""
    return connected_components(len(neighbours), rank_order_links(neighbours, threshold)[0])


def _blocks(count: int, cost: int) -> list[tuple[int, int]]:
    """Ranges over `count` rows that hold about BLOCK numbers at `cost` a row."""
    step = max(1, BLOCK // cost)
    return [(start, min(start + step, count)) for start in range(0, count, step)]


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

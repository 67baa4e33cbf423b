"""Clusters of face embeddings: pure functions on arrays, without torch.

Approximate rank-order clustering: Otto, Wang, Jain, "Clustering Millions of Faces by Identity", TPAMI 2018,
https://arxiv.org/abs/1604.00989: two faces are alike when the lists of their nearest neighbours are.

Embeddings are float32 (N, D) with unit length (`embed`). Memory grows linearly with N.
"""

from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray

from mien.errors import DatasetError, MissingExtraError

Embeddings = NDArray[np.float32]
Indices = NDArray[np.int64]
EXACT_LIMIT = 20_000
"""Up to so many embeddings, neighbours are searched exactly (some seconds)."""
NEIGHBOURS, THRESHOLD = 10, 0.3
"""Length of neighbour lists, and the rank-order distance below which two faces are linked, unless another is asked for
(chosen)."""
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
    Raises DatasetError when there are not more embeddings than neighbours, MissingExtraError without faiss.
    """
    require_neighbours(len(embeddings), count, exact)
    found = (
        _exact(embeddings, count)
        if _searched_exactly(len(embeddings), exact)
        else _approximate(embeddings, count, seed)
    )
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
    index.cp.seed, index.cp.niter = seed % 2**31, 10
    index.train(embeddings)
    index.add(embeddings)
    index.nprobe = 16
    found: Indices = index.search(embeddings, count + 1)[1]
    return found


def neighbours_among(images: int, most: int = NEIGHBOURS) -> int:
    """Length of the neighbour lists of so many images: a third of the others, `most` at most, and at least 1.

    Were all in all lists, all would be alike.
    """
    return min(most, max(1, (images - 1) // 3))


def _searched_exactly(images: int, exact: bool | None) -> bool:
    return images <= EXACT_LIMIT if exact is None else exact


def require_neighbours(images: int, count: int, exact: bool | None = None) -> None:
    """DatasetError or MissingExtraError where `nearest_neighbours` could not search among so many images."""
    if images <= count:
        raise DatasetError(f"clustering: expected more images than neighbours ({count}), found {images}")
    if not _searched_exactly(images, exact):
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
    count, width = neighbours.shape
    columns = np.arange(width)
    rank = np.full(count + 1, -1, np.int32)  # in the list of the face at hand; the last place is that of none
    links, distances = [np.zeros((0, 2), np.int64)], [np.zeros(0)]
    for face in range(count):
        own = neighbours[face][neighbours[face] >= 0]
        rank[own] = columns[: len(own)]
        others = own[own > face]
        there = rank[neighbours[others]]  # (b, k + 1): where those of the others' lists stand in the own one
        mutual = (there == 0).any(axis=1)
        others, there = others[mutual], there[mutual]
        rank_there = (there == 0).argmax(axis=1)[:, None]
        rank_here = rank[others][:, None]
        rank[own] = -1
        shared = ((there > 0) & (there <= rank_here)).sum(axis=1)
        missing_here = ((there < 0) & (columns <= rank_there)).sum(axis=1)
        distance = (rank_here[:, 0] - shared + missing_here) / np.minimum(rank_here, rank_there)[:, 0]
        linked = distance < threshold
        links.append(np.stack((np.full(linked.sum(), face), others[linked]), axis=1))
        distances.append(distance[linked])
    return np.concatenate(links), np.concatenate(distances)


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

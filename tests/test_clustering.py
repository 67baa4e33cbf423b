import numpy as np
import pytest

from mien.errors import DatasetError, MissingExtraError
from mien.labelling import clustering
from mien.labelling.clustering import (
    connected_components,
    nearest_neighbours,
    normalise,
    rank_order_clusters,
    rank_order_links,
)
from mien.labelling.guidance import (
    Guidance,
    Reason,
    cap_classes,
    class_centres,
    cluster_distributions,
    label_clusters,
    seeded_k_means,
)
from mien.training.joint.pseudo_labels import propose
from mien.training.options import JointOptions

POINTS = [0.0, 1.0, 2.1, 3.3, 10.0, 11.0]
LISTS = np.array(
    [
        [0, 1, 2],
        [1, 0, 2],
        [2, 1, 3],
        [3, 2, 1],
        [4, 5, 3],
        [5, 4, 3],
    ]
)
"""Each of the points and its two nearest neighbours."""


def test_the_lists_are_those_of_the_points() -> None:
    distance = np.abs(np.subtract.outer(POINTS, POINTS))
    assert distance.argsort(axis=1, kind="stable")[:, :3].tolist() == LISTS.tolist()


def test_rank_order_distances_worked_by_hand() -> None:
    links, distances = rank_order_links(LISTS, threshold=9)
    found = {tuple(pair): distance for pair, distance in zip(links.tolist(), distances.tolist(), strict=True)}
    assert found == {
        (0, 1): 0.0,  # ranks 1 and 1; 1 stands in its own list, 0 in its own
        (1, 2): 1.0,  # ranks 2 and 1; of 1: 0 is not in 2's list, 2 is; of 2: 1 is in 1's list: (1 + 0) / 1
        (2, 3): 0.0,  # ranks 2 and 1; of 2: 1 and 3 are in 3's list; of 3: 2 is in 2's
        (4, 5): 0.0,
        # 0 and 2: 0 is not in 2's list. 1 and 3: 3 is not in 1's.
    }
    assert rank_order_clusters(LISTS, threshold=0.5).tolist() == [0, 0, 1, 1, 2, 2]
    assert rank_order_clusters(LISTS, threshold=1.5).tolist() == [0, 0, 0, 0, 1, 1]


def plain_links(lists: np.ndarray, threshold: float) -> dict[tuple[int, int], float]:
    """The formula, pair by pair."""
    found = {}
    for a, of_a in enumerate(lists.tolist()):
        for b in of_a[1:]:
            of_b = lists[b].tolist()
            if a < b and a in of_b:
                a_to_b, b_to_a = of_a.index(b), of_b.index(a)
                missing = sum(i not in of_b for i in of_a[1 : a_to_b + 1])
                missing += sum(i not in of_a for i in of_b[1 : b_to_a + 1])
                if missing / min(a_to_b, b_to_a) < threshold:
                    found[(a, b)] = missing / min(a_to_b, b_to_a)
    return found


def blobs(count: int = 400, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    centres = generator.normal(size=(20, 16))
    owner = generator.integers(0, 20, count)
    return normalise((centres[owner] + 0.25 * generator.normal(size=(count, 16))).astype(np.float32)), owner


def test_links_are_those_of_the_formula() -> None:
    lists = nearest_neighbours(blobs()[0], 12)
    links, distances = rank_order_links(lists, 1.3)
    found = {tuple(pair): distance for pair, distance in zip(links.tolist(), distances.tolist(), strict=True)}
    expected = plain_links(lists, 1.3)
    assert len(expected) > 200
    assert found == pytest.approx(expected)


def test_clusters_are_the_blobs() -> None:
    embeddings, owner = blobs()
    clusters = rank_order_clusters(nearest_neighbours(embeddings, 12), 1.3)
    pairs = np.triu(np.ones((len(owner), len(owner)), bool), 1)
    same, together = (owner[:, None] == owner) & pairs, (clusters[:, None] == clusters) & pairs
    assert (same & together).sum() / together.sum() > 0.99
    assert (same & together).sum() / same.sum() > 0.8


@pytest.mark.parametrize("exact", [True, False])
def test_neighbours_against_all_pairs(exact: bool) -> None:
    embeddings, _ = blobs(2000)
    lists = nearest_neighbours(embeddings, 10, exact=exact)
    assert lists.shape == (2000, 11)
    assert (lists[:, 0] == np.arange(2000)).all()
    assert (np.sort(lists, axis=1)[:, 1:] != np.sort(lists, axis=1)[:, :-1]).all()  # nobody twice
    similarity = embeddings @ embeddings.T
    np.fill_diagonal(similarity, 2)
    true = similarity.argsort(axis=1)[:, ::-1][:, :11]
    recall = np.mean([len(set(a) & set(b)) / 11 for a, b in zip(lists.tolist(), true.tolist(), strict=True)])
    assert recall == 1 if exact else recall > 0.9


def test_equal_embeddings_do_not_push_a_face_out_of_its_own_list() -> None:
    embeddings = normalise(np.ones((30, 4), np.float32))
    lists = nearest_neighbours(embeddings, 5)
    assert (lists[:, 0] == np.arange(30)).all()
    assert (lists[:, 1:] != np.arange(30)[:, None]).all()


def test_fewer_images_than_neighbours() -> None:
    with pytest.raises(DatasetError, match=r"expected more images than neighbours \(12\), found 12"):
        nearest_neighbours(blobs(12)[0], 12)


def test_many_images_need_the_index_or_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    embeddings, _ = blobs(30)
    monkeypatch.setattr(clustering, "EXACT_LIMIT", 29)
    monkeypatch.setattr(clustering, "has_index", lambda: False)
    with pytest.raises(MissingExtraError, match="clustering more than 29 images needs faiss"):
        nearest_neighbours(embeddings, 5)
    assert nearest_neighbours(embeddings, 5, exact=True).shape == (30, 6)


def test_components_of_a_long_chain() -> None:
    order = np.random.default_rng(0).permutation(1000)
    links = np.stack((order[:-1], order[1:]), axis=1)
    assert (connected_components(1000, links) == 0).all()
    assert connected_components(4, np.empty((0, 2), np.int64)).tolist() == [0, 1, 2, 3]


DIRECTIONS = {"a": [1.0, 0.0, 0.0], "b": [0.0, 1.0, 0.0], "ab": [1.0, 1.0, 0.0], "far": [0.0, 0.0, 1.0]}


def unit(names: str) -> np.ndarray:
    return normalise(np.array([DIRECTIONS[name] for name in names.split()], np.float32))


def test_guidance_worked_by_hand() -> None:
    #        cluster 0: three labelled a, two free   1: free near b   2: far   3: between   4: labelled b and a
    embeddings = unit("a a a a far  b b  far  ab  b a b")
    clusters = np.array([0, 0, 0, 0, 0, 1, 1, 2, 3, 4, 4, 4])
    labels = np.array([0, 0, 0, -1, -1, -1, -1, -1, -1, 1, 0, -1])
    found = label_clusters(embeddings, clusters, labels, 2, Guidance())
    assert found.labels.tolist() == [0, 0, 0, 0, 0, 1, 1, -1, -1, 1, 0, 1]
    assert found.similarity[[3, 4, 5, 7]].tolist() == pytest.approx([1, 0, 1, 0])
    members, centre, far, between = Reason.LABELLED_MEMBERS, Reason.NEAREST_CENTRE, Reason.FAR, Reason.BETWEEN
    why = [0, 0, 0, members, members, centre, centre, far, between, 0, 0, centre]
    assert found.reasons.tolist() == why
    impure = label_clusters(embeddings, np.zeros(12, np.int64), labels, 2, Guidance(purity=0.81, similarity=0.99))
    assert (impure.labels == np.where(labels >= 0, labels, -1)).all()  # 4 of 5 agree; all clusters rejected
    scores = np.array([0, 0, 0, 0.3, 0.4, 0.5, 0.9, 0.9, 0.9, 0, 0, 0.7], np.float32)
    capped = cap_classes(found, scores, np.array([1, 2]))
    assert capped.labels.tolist() == [0, 0, 0, -1, 0, -1, 1, -1, -1, 1, 0, 1]
    assert [index for index, reason in enumerate(capped.reasons) if reason == Reason.FULL] == [3, 5]
    assert capped.similarity[[3, 5]].tolist() == [0, 0]
    assert (cap_classes(found, scores, np.array([0, 99])).labels[3:7] == [-1, -1, 1, 1]).all()


def two_faced_class() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Embeddings, labels and whether a face lies where only a cluster can name it.

    Class 0 has labelled faces at e0 and at e1, so that its centre lies between; class 1 at a centre as far from e1.
    """
    generator = np.random.default_rng(0)
    third = np.array([0.0, 0.7, 0.714])
    spots = np.repeat([[1.0, 0, 0], [0, 1.0, 0], third, [0, 1.0, 0]], [5, 5, 5, 20], axis=0)
    embeddings = normalise((spots + 0.01 * generator.normal(size=spots.shape)).astype(np.float32))
    labels = np.repeat([0, 0, 1, -1], [5, 5, 5, 20])
    return embeddings, labels, labels < 0


def test_clusters_name_faces_that_the_nearest_centre_cannot() -> None:
    embeddings, labels, hard = two_faced_class()
    alone = label_clusters(embeddings, np.arange(35), labels, 2, Guidance())
    assert (alone.reasons[hard] == Reason.BETWEEN).all()
    options = JointOptions("faces", neighbours=8, threshold=1.5)
    found = propose(options, embeddings, np.full((35, 2), 0.5, np.float32), labels, 2, 0)
    assert (found.reasons[hard] == Reason.LABELLED_MEMBERS).mean() > 0.8
    assert set(found.labels[hard].tolist()) <= {0, -1}


def test_distributions_of_clusters_worked_by_hand() -> None:
    probabilities = np.array([[0.9, 0.1], [0.5, 0.5], [0.2, 0.8], [0.6, 0.4]], np.float32)
    found = cluster_distributions(np.array([0, 1, 0, 0]), probabilities, np.array([-1, -1, -1, 1]))
    np.testing.assert_allclose(
        found, [[1.1 / 3, 1.9 / 3], [0.5, 0.5], [1.1 / 3, 1.9 / 3], [1.1 / 3, 1.9 / 3]], atol=1e-6
    )


def test_neither_reading_names_a_class_that_nobody_labelled() -> None:
    embeddings = normalise(np.random.default_rng(0).normal(size=(60, 3)).astype(np.float32))
    labels = np.where(np.arange(60) < 20, np.arange(60) % 2, -1)
    lenient = Guidance(similarity=-1, margin=0)
    for found in (
        seeded_k_means(embeddings, labels, 3, share=1.0),
        label_clusters(embeddings, np.arange(60), labels, 3, lenient),
    ):
        assert set(found.labels[20:].tolist()) <= {-1, 0, 1}
        assert (found.labels[20:] >= 0).any()


def test_seeded_k_means_keeps_the_nearest_and_the_labelled() -> None:
    embeddings, owner = blobs()
    labels = np.where(np.arange(400) < 100, owner, -1)
    found = seeded_k_means(embeddings, labels, 20, share=0.5)
    assert (found.labels[:100] == owner[:100]).all()
    named = (found.labels >= 0) & (labels < 0)
    assert 130 < named.sum() < 160
    assert (found.labels[named] == owner[named]).mean() > 0.98
    assert (found.reasons == Reason.GIVEN).sum() == 100
    assert (found.reasons == Reason.NEAREST_CENTRE).sum() == named.sum()


def test_class_centres_are_unit_means() -> None:
    centres = class_centres(unit("a b a far"), np.array([0, 0, 1, -1]), 3)
    np.testing.assert_allclose(centres, [[0.5**0.5, 0.5**0.5, 0], [1, 0, 0], [0, 0, 0]], atol=1e-6)

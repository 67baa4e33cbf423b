"""Time and memory of clustering against the number of embeddings, and how near the approximate index comes.

    python benchmarks/clustering.py [--counts 10000 100000 1000000] [--out FILE]

Synthetic: unit vectors of 256 values around seeded centres, cluster sizes by a power law, a tenth pure noise. Lists of
neighbours are as long as Otto et al. have them: much shorter ones tear clusters of hundreds apart. Each
count runs in a process of its own, so that its peak memory is its own. On the smallest count, the approximate index is
compared with exact neighbours: recall of true neighbours, and pairwise F1 of the clusters from both against the truth
and against each other. The last line of stdout is one JSON document.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.labelling.clustering import THRESHOLD, nearest_neighbours, normalise, rank_order_clusters

WIDTH = 256
NOISE_SHARE = 0.1
SPREAD = 0.9
"""Length of the deviation from a centre of length 1: two members of a cluster have a cosine of about 0.55."""
SIZES = (2, 500)
EXPONENT = 2.0
NEIGHBOURS = 200
"""The length of lists in Otto et al."""


def synthetic(count: int, seed: int = 0) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Embeddings (N, 256) in random order, and the cluster of each; noise has clusters of its own."""
    generator = np.random.default_rng(seed)
    members = round(count * (1 - NOISE_SHARE))
    low, high = (float(size) ** (1 - EXPONENT) for size in SIZES)
    drawn = (low + (high - low) * generator.random(members)) ** (1 / (1 - EXPONENT))
    sizes = drawn.astype(np.int64)
    sizes = sizes[: int(np.searchsorted(np.cumsum(sizes), members)) + 1]
    truth = np.repeat(np.arange(len(sizes)), sizes)[:members]
    truth = np.concatenate((truth, np.arange(count - members) + len(sizes)))
    embeddings = np.empty((count, WIDTH), np.float32)
    centres = normalise(generator.standard_normal((len(sizes), WIDTH), np.float32))
    for start in range(0, count, 100_000):
        part = truth[start : start + 100_000]
        deviation = generator.standard_normal((len(part), WIDTH), np.float32) * np.float32(SPREAD / WIDTH**0.5)
        known = part < len(sizes)
        deviation[known] += centres[part[known]]
        embeddings[start : start + 100_000] = normalise(deviation)
    order = generator.permutation(count)
    return embeddings[order], truth[order]


def pair_scores(found: NDArray[np.int64], truth: NDArray[np.int64]) -> dict[str, float]:
    """Precision, recall and F1 over all pairs of faces in one cluster."""

    def pairs(labels: NDArray[np.int64]) -> int:
        sizes = np.unique(labels, return_counts=True)[1].astype(object)
        return int((sizes * (sizes - 1)).sum() // 2)

    both = pairs(np.unique(np.stack((found, truth)), axis=1, return_inverse=True)[1].reshape(-1))
    precision, recall = both / max(1, pairs(found)), both / max(1, pairs(truth))
    return {"precision": precision, "recall": recall, "f1": 2 * precision * recall / max(1e-12, precision + recall)}


def measure(count: int, compare: bool) -> dict[str, object]:
    embeddings, truth = synthetic(count)
    before = peak_bytes()
    started = time.perf_counter()
    neighbours = nearest_neighbours(embeddings, NEIGHBOURS, exact=False)
    searched = time.perf_counter()
    clusters = rank_order_clusters(neighbours, THRESHOLD)
    ended = time.perf_counter()
    result: dict[str, object] = {
        "count": count,
        "clusters": int(clusters.max()) + 1,
        "true_clusters": int(truth.max()) + 1,
        "search_seconds": searched - started,
        "cluster_seconds": ended - searched,
        "peak_bytes": peak_bytes(),
        "peak_bytes_before": before,
        "against_truth": pair_scores(clusters, truth),
    }
    if compare:
        exact = nearest_neighbours(embeddings, NEIGHBOURS, exact=True)
        exact_clusters = rank_order_clusters(exact, THRESHOLD)
        pairs = zip(neighbours[:, 1:], exact[:, 1:], strict=True)
        result["recall_of_neighbours"] = float(np.mean([np.isin(true, found).mean() for found, true in pairs]))
        result["against_exact"] = pair_scores(clusters, exact_clusters)
        result["exact_against_truth"] = pair_scores(exact_clusters, truth)
    return result


def peak_bytes() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--counts", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--out", type=Path)
    parser.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.alone:
        print(json.dumps(measure(arguments.counts[0], compare=arguments.counts[0] <= 10_000)))
        return
    runs = []
    for count in arguments.counts:
        command = [sys.executable, __file__, "--alone", "--counts", str(count)]
        found = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        runs.append(json.loads(found.stdout.splitlines()[-1]))
        seconds = runs[-1]["search_seconds"] + runs[-1]["cluster_seconds"]
        print(f"{count}: {seconds:.1f} s, {runs[-1]['peak_bytes'] / 1e9:.2f} GB", file=sys.stderr, flush=True)
    document = {"neighbours": NEIGHBOURS, "threshold": THRESHOLD, "width": WIDTH, "runs": runs}
    if arguments.out:
        arguments.out.write_text(json.dumps(document, indent=1) + "\n")
    print(json.dumps(document))


if __name__ == "__main__":
    main()

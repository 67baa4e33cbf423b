import math
from typing import Any

import numpy as np
import pytest
import torch

from mien.errors import ExperimentError
from mien.models import build_network
from mien.models.rlr_cnet import RlrCnet, RlrCnetDual
from mien.training.batches import BatchSource
from mien.training.config import experiment_from_dict
from mien.training.methods.cumulative import Cumulative, mixed_loss, mixing_weight

NETWORK = build_network("rlr-cnet-dual", 3, 1, {})


def source(batch_size: int = 8, epochs: int = 4) -> BatchSource:
    values: dict[str, Any] = {
        "name": "x",
        "data": {"dataset": "folder", "size_px": 32},
        "network": {"name": "rlr-cnet-dual"},
        "schedule": {"epochs": epochs, "batch_size": batch_size},
        "augmentation": {"flip": 0.0},
    }
    faces = np.random.default_rng(0).integers(0, 256, (42, 32, 32, 1)).astype(np.uint8)
    labels = np.array([0] * 30 + [1] * 10 + [2] * 2)
    return BatchSource(faces, labels, experiment_from_dict(values, "x"), torch.device("cpu"))


def test_mixing_weight_worked_by_hand() -> None:
    assert [mixing_weight(epoch, 10) for epoch in (0, 1, 5, 9)] == pytest.approx([1.0, 0.99, 0.75, 0.19])
    assert mixing_weight(200, 200) == 0
    assert mixing_weight(89, 100) == pytest.approx(0.2079)  # the last of 90 epochs in BBN's code


def test_mixed_loss_worked_by_hand() -> None:
    logits = torch.tensor([[math.log(6.0), math.log(3.0), 0.0], [0.0, 0.0, 0.0]])  # p = 0.6 0.3 0.1; thirds
    regular, rebalanced = torch.tensor([0, 1]), torch.tensor([2, 0])
    first = (-math.log(0.6) + math.log(3)) / 2
    second = (-math.log(0.1) + math.log(3)) / 2
    found = mixed_loss(logits, regular, rebalanced, 0.75, 0.0)
    assert found.item() == pytest.approx(0.75 * first + 0.25 * second)
    assert mixed_loss(logits, regular, rebalanced, 1.0, 0.0).item() == pytest.approx(first)
    assert mixed_loss(logits, regular, rebalanced, 0.0, 0.0).item() == pytest.approx(second)
    smooth = mixed_loss(logits[:1], regular[:1], rebalanced[:1], 1.0, 0.3)  # target 0.8 0.1 0.1
    assert smooth.item() == pytest.approx(-(0.8 * math.log(0.6) + 0.1 * math.log(0.3) + 0.1 * math.log(0.1)))


def test_mixed_features_worked_by_hand() -> None:
    regular, rebalanced = torch.tensor([[1.0, 2.0]]), torch.tensor([[5.0, -4.0]])
    mixed = {
        head: build_network("rlr-cnet-dual", 3, 1, {"head": head}).mix(regular, rebalanced, 0.75).tolist()  # type: ignore[operator]
        for head in ("shared", "two", "concatenated")
    }
    assert mixed["shared"] == [[0.75 + 1.25, 1.5 - 1.0]]
    assert mixed["two"] == [[0.75, 1.5, 1.25, -1.0]]
    assert mixed["concatenated"] == [[1.5, 3.0, 2.5, -2.0]]


def test_batches_come_half_from_each_sampler() -> None:
    method = Cumulative(source(), NETWORK, {})
    assert method.steps_per_epoch() == 10  # 42 faces, 4 of each step through the uniform sampler
    batches = list(method.batches(1))
    again = list(Cumulative(source(), NETWORK, {}).batches(1))
    assert all(torch.equal(a.images, b.images) for a, b in zip(batches, again, strict=True))
    uniform = torch.cat([batch.labels[:4] for batch in batches])
    reversed_ = torch.cat([batch.labels[4:] for epoch in range(20) for batch in method.batches(epoch)])
    assert (uniform == 2).sum() <= 2  # each face once
    shares = torch.bincount(reversed_, minlength=3) / len(reversed_)
    weights = torch.tensor([1.0, 3.0, 15.0]) / 19  # N_max / N_i
    assert (shares - weights).abs().max() < 0.06


def test_loss_is_the_mixed_loss_of_both_branches() -> None:
    alpha = 0.75  # 1 - (2/4)²
    method = Cumulative(source(), NETWORK, {"label_smoothing": 0.0})
    network = build_network("rlr-cnet-dual", 3, 1, {}).eval()
    assert isinstance(network, RlrCnetDual)
    batch = next(method.batches(2))
    results = method.loss(network, batch, epoch=2)
    path = network.feature_branch().eval()
    without = build_network("rlr-cnet", 3, 1, {}).eval()
    without.load_state_dict({k: v for k, v in network.state_dict().items() if "attentions" not in k})
    features = alpha * path.forward_features(batch.images[:4])
    features = features + (1 - alpha) * without.forward_features(batch.images[4:])
    logits = network.classify(features)
    regular, rebalanced = batch.labels[:4], batch.labels[4:]
    torch.testing.assert_close(results["loss"], mixed_loss(logits, regular, rebalanced, alpha, 0.0))
    right = alpha * (logits.argmax(1) == regular).sum() + (1 - alpha) * (logits.argmax(1) == rebalanced).sum()
    assert results["accuracy"].item() == pytest.approx(right.item() / 4)


def test_deployable_networks() -> None:
    network = build_network("rlr-cnet-dual", 3, 1, {})
    assert Cumulative.deployable(network, {}) is network
    alone = Cumulative.deployable(network, {"deployed": "feature-branch"})
    assert type(alone) is RlrCnet


def test_what_cannot_be_trained_is_refused() -> None:
    with pytest.raises(ExperimentError, match="batch_size must be even, half for each sampler, not 7"):
        Cumulative.check(NETWORK, source(batch_size=7).experiment)
    with pytest.raises(ExperimentError, match="expected a network with two branches"):
        Cumulative.check(build_network("rlr-cnet", 3, 1, {}), source().experiment)
    with pytest.raises(ExperimentError, match="deployed: Input should be 'both' or 'feature-branch', found 'best'"):
        Cumulative.read_options({"deployed": "best"})

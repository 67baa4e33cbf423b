import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import drawn_face, write_fer2013_csv, write_votes_csv

from mien.datasets import as_votes, open_dataset
from mien.errors import ExperimentError
from mien.expressions import FERPLUS_8
from mien.models import build_network
from mien.training.config import experiment_from_dict
from mien.training.loop import Training
from mien.training.randomness import generator
from mien.training.votes import VoteHead, vote_shares

VOTES = np.array([[6, 2, 0, 0, 0, 0, 0, 0, 2, 0], [0, 0, 0, 0, 0, 0, 0, 0, 3, 7]], np.int8)
"""Six neutral, two happiness, two unknown; and a face on which nobody chose an expression."""


def test_shares_worked_by_hand() -> None:
    shares = vote_shares(VOTES)
    assert dict(zip(FERPLUS_8, shares[0].tolist(), strict=True)) == {
        **dict.fromkeys(FERPLUS_8, 0.0),
        "neutral": 0.75,
        "happiness": 0.25,
    }
    assert not shares[1].any()


def test_loss_worked_by_hand() -> None:
    head = VoteHead(4, generator(0, "vote head"))
    with torch.no_grad():
        head.linear.weight.zero_()
        head.linear.bias.copy_(torch.tensor([0.0] * 6 + [math.log(4), 0.0]))  # neutral 4/11, the others 1/11
    loss = head(torch.randn(2, 4), torch.from_numpy(vote_shares(VOTES)))
    expected = -(0.75 * math.log(4 / 11) + 0.25 * math.log(1 / 11)) / 2  # the second face adds nothing
    assert loss.item() == pytest.approx(expected)


@pytest.fixture
def kaggle(tmp_path: Path) -> Path:
    usages = ["Training"] * 16 + ["PublicTest"] * 4
    rows = [(index % 7, usage, drawn_face(index % 7, index)) for index, usage in enumerate(usages)]
    write_fer2013_csv(tmp_path / "fer2013.csv", rows)
    write_votes_csv(
        tmp_path / "fer2013new.csv", [(usage, VOTES[index % 2].tolist()) for index, usage in enumerate(usages)]
    )
    return tmp_path


def experiment(method: str, network: str, **options: Any) -> Any:
    values = {
        "name": "x",
        "data": {"dataset": "fer2013", "size_px": 32},
        "network": {"name": network},
        "schedule": {"epochs": 2, "batch_size": 8, "warmup_epochs": 0.5},
        "method": {"name": method, "options": options},
    }
    return experiment_from_dict(values, "x")


@pytest.mark.parametrize(("method", "network"), [("standard", "rlr-cnet"), ("cumulative", "rlr-cnet-dual")])
def test_the_head_learns_and_does_not_ship(method: str, network: str, kaggle: Path) -> None:
    training = open_dataset("fer2013", kaggle, "training")
    plain = Training(experiment(method, network), training, None, torch.device("cpu"))
    state = Training(experiment(method, network, vote_weight=0.5), training, None, torch.device("cpu"))
    for first, second in zip(plain.network.parameters(), state.network.parameters(), strict=True):
        assert torch.equal(first, second)
    before = {name: tensor.clone() for name, tensor in state.method.state_dict().items()}
    batch = next(state.method.batches(0))
    assert batch.votes is not None
    assert batch.votes.shape == (8, 8)
    losses = [s.method.loss(s.network.eval(), batch, 1)["loss"].item() for s in (plain, state)]
    assert losses[1] - losses[0] == pytest.approx(0.5 * math.log(8) / 2, abs=0.3)  # near even odds, half without votes
    state.epoch = 1  # α < 1, so that both halves of a batch count
    state.take_step(batch, 0, 2)
    after = state.method.state_dict()
    assert not any(torch.equal(before[name], after[name]) for name in before)
    assert {name for name in state.checkpoint().tensors if name.startswith("method/")} == {
        "method/linear.weight",
        "method/linear.bias",
    }
    shipped = state.deployable_scorer().network
    assert sum(p.numel() for p in shipped.parameters()) == sum(p.numel() for p in plain.network.parameters())
    state.method.load_state_dict(before)
    assert all(torch.equal(before[name], tensor) for name, tensor in state.method.state_dict().items())


def test_votes_are_optional_and_doubtful_ones_are_zero(kaggle: Path, fer2013_parquet: Path) -> None:
    votes = as_votes(open_dataset("fer2013", fer2013_parquet, "training"))
    assert votes is not None
    assert votes.shape == (28_709, 10)
    assert (votes.sum(axis=1) == 0).sum() == 1  # row 5274
    (kaggle / "fer2013new.csv").unlink()
    training = open_dataset("fer2013", kaggle, "training")
    assert as_votes(training) is None
    with pytest.raises(ExperimentError, match="vote_weight: expected a data set with FERPlus votes"):
        Training(experiment("standard", "rlr-cnet", vote_weight=0.5), training, None, torch.device("cpu"))


def test_feature_counts() -> None:
    assert build_network("rlr-cnet-dual", 7, 1, {"head": "two"}).feature_count == 2048
    assert build_network("rlr-cnet-dual", 7, 1, {}).feature_count == 1024

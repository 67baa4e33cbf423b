import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import drawn_face, write_fer2013_csv, write_votes_csv

from mien.datasets import open_dataset
from mien.datasets.ferplus import vote_shares
from mien.errors import DatasetError, ExperimentError
from mien.expressions import FERPLUS_8
from mien.models import build_network
from mien.models.rlr_cnet import RlrCnetDual
from mien.training.config import experiment_from_dict
from mien.training.loop import Training
from mien.training.methods.standard import Standard
from mien.training.options import AugmentationOptions
from mien.training.votes import VoteHead

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
    head = VoteHead(4)
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
    assert isinstance(state.method, Standard)
    assert state.method.vote_head is not None
    if isinstance(state.network, RlrCnetDual):  # epoch 1 of 2: α = 0.75
        features = state.network.mix(*state.network.forward_branches(*batch.images.chunk(2)), 0.75)
        first, second = (state.method.vote_head(features, votes).item() for votes in batch.votes.chunk(2))
        expected = 0.75 * first + 0.25 * second
    else:
        expected = state.method.vote_head(state.network.forward_features(batch.images), batch.votes).item()
    assert losses[1] - losses[0] == pytest.approx(0.5 * expected, abs=1e-5)
    state.epoch = 1  # α < 1, so that both halves of a batch count
    state.take_step(batch, 0, 2)
    after = state.method.state_dict()
    assert not any(torch.equal(before[name], after[name]) for name in before)
    assert {name for name in state.checkpoint().tensors if name.startswith("method/")} == {
        "method/linear.weight",
        "method/linear.bias",
    }
    shipped = state.deployable()
    assert sum(p.numel() for p in shipped.parameters()) == sum(p.numel() for p in plain.network.parameters())
    state.method.load_state_dict(before)
    assert all(torch.equal(before[name], tensor) for name, tensor in state.method.state_dict().items())


def test_doubtful_votes_are_zero(fer2013_parquet: Path) -> None:
    votes = open_dataset("fer2013", fer2013_parquet, "training").votes()
    assert votes is not None
    assert votes.shape == (28_709, 10)
    assert (votes.sum(axis=1) == 0).sum() == 1  # row 5274


def test_votes_are_read_only_where_they_are_asked_for(kaggle: Path, class_folders: Path) -> None:
    (kaggle / "fer2013new.csv").write_text("damaged")
    training = open_dataset("fer2013", kaggle, "training")
    assert len(training) == 16
    Training(experiment("standard", "rlr-cnet"), training, None, torch.device("cpu"))
    wanted = experiment("standard", "rlr-cnet", vote_weight=0.5)
    with pytest.raises(DatasetError, match=r"fer2013new\.csv: expected the columns"):
        Training(wanted, training, None, torch.device("cpu"))
    (kaggle / "fer2013new.csv").unlink()
    with pytest.raises(DatasetError, match=r"fer2013new\.csv: expected the FERPlus votes"):
        Training(wanted, training, None, torch.device("cpu"))
    with pytest.raises(ExperimentError, match="vote_weight: expected a data set with FERPlus votes"):
        Training(wanted, open_dataset("folder", class_folders, "training"), None, torch.device("cpu"))


def test_votes_of_a_part_and_of_masked_copies(kaggle: Path) -> None:
    part = open_dataset("fer2013", kaggle, "random-80-20-training")
    votes = part.votes()
    assert votes is not None
    assert votes.tolist() == [VOTES[int(sample.source.split()[1]) % 2].tolist() for sample in part]
    wanted = replace(
        experiment("standard", "rlr-cnet", vote_weight=0.5), augmentation=AugmentationOptions(masked_copies=2)
    )
    source = Training(wanted, part, None, torch.device("cpu")).method.source  # type: ignore[attr-defined]
    assert source.votes.shape == (3 * len(part), 8)
    assert torch.equal(source.votes[: len(part)], source.votes[len(part) : 2 * len(part)])


def test_feature_counts() -> None:
    assert build_network("rlr-cnet-dual", 7, 1, {"head": "two"}).feature_count == 2048
    assert build_network("rlr-cnet-dual", 7, 1, {}).feature_count == 1024

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from conftest import drawn_face, write_fer2013_csv, write_votes_csv

from mien.cli import app
from mien.datasets import open_dataset
from mien.datasets.ferplus import majority_labels, vote_shares
from mien.errors import CheckpointError, DatasetError, ExperimentError
from mien.expressions import BASIC_7, FERPLUS_8
from mien.models import build_network
from mien.models.rlr_cnet import RlrCnetDual
from mien.scorer import OnnxScorer
from mien.training.averaged import averaged_network
from mien.training.checkpoint import load_checkpoint
from mien.training.config import experiment_from_dict
from mien.training.deployment import deployable_network
from mien.training.loop import train
from mien.training.options import AugmentationOptions
from mien.training.state import Training
from mien.training.votes import vote_loss

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
    logits = torch.tensor([[0.0] * 6 + [math.log(4), 0.0]] * 2)  # neutral 4/11, the others 1/11
    loss = vote_loss(logits, torch.from_numpy(vote_shares(VOTES)))
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
    head = state.network.vote_head
    known = dict(state.network.named_parameters())
    assert set(known) - dict(plain.network.named_parameters()).keys() == {"vote_head.weight", "vote_head.bias"}
    for name, parameter in plain.network.named_parameters():
        assert torch.equal(parameter, known[name])
    batch = next(state.method.batches(0))
    assert batch.votes is not None
    assert batch.votes.shape == (8, 8)
    losses = [s.method.loss(s.network.eval(), batch, 1)["loss"].item() for s in (plain, state)]
    if isinstance(state.network, RlrCnetDual):  # epoch 1 of 2: α = 0.75
        features = state.network.mix(*state.network.forward_branches(*batch.images.chunk(2)), 0.75)
        first, second = (vote_loss(head(features), votes).item() for votes in batch.votes.chunk(2))
        expected = 0.75 * first + 0.25 * second
    else:
        expected = vote_loss(head(state.network.forward_features(batch.images)), batch.votes).item()
    assert losses[1] - losses[0] == pytest.approx(0.5 * expected, abs=1e-5)
    before = {name: tensor.clone() for name, tensor in head.state_dict().items()}
    state.epoch = 1  # α < 1, so that both halves of a batch count
    state.take_step(batch, 0, 2)
    assert not any(torch.equal(before[name], tensor) for name, tensor in head.state_dict().items())
    assert {"network/vote_head.weight", "average/vote_head.weight"} < state.checkpoint().tensors.keys()
    shipped = state.deployable()
    assert shipped.vote_head is None
    assert sum(p.numel() for p in shipped.parameters()) == sum(p.numel() for p in plain.network.parameters())


def test_either_head_can_ship(kaggle: Path, tmp_path: Path) -> None:
    wanted = experiment("standard", "dense-face", vote_weight=0.5)
    training, selection = (open_dataset("fer2013", kaggle, split) for split in ("training", "public_test"))
    result = train(wanted, training, selection, tmp_path / "run")
    row = result.history[-1]
    assert 0 <= row["selection_votes_accuracy"] <= 1
    checkpoint = load_checkpoint(tmp_path / "run" / "last.safetensors")
    whole = averaged_network(checkpoint).folded().eval()
    assert whole.vote_head is not None
    faces = torch.randn(3, 1, 32, 32)
    expected = {"labels": whole(faces), "votes": whole.vote_head(whole.forward_features(faces))}
    for deployed, logits in expected.items():
        network = deployable_network(checkpoint, {"deployed": deployed})
        torch.testing.assert_close(network(faces), logits)
        command = ["export", str(tmp_path / "run" / "last.safetensors"), "--deployed", deployed]
        command += ["--out", str(tmp_path / f"{deployed}.onnx"), "--name", deployed, "--initial-weights"]
        assert CliRunner().invoke(app, command).exit_code == 0
    labels, votes = (OnnxScorer(str(tmp_path / f"{deployed}.onnx")).card for deployed in expected)
    assert labels.expressions == BASIC_7
    assert labels.scores == {"fer2013 public_test accuracy": round(row["selection_accuracy"], 6)}
    assert votes.expressions == FERPLUS_8
    assert votes.scores == {"ferplus public_test accuracy": round(row["selection_votes_accuracy"], 6)}
    assert labels.parameters == votes.parameters - whole.feature_count - 1
    # A start from it takes the head for the votes over, or leaves it out.
    for weight in (0.0, 0.5):
        again = replace(experiment("standard", "dense-face", vote_weight=weight), seed=1)
        state = Training(again, training, None, torch.device("cpu"), str(tmp_path / "labels.safetensors"))
        assert (state.network.vote_head is not None) == bool(weight)
        if weight:
            found = state.network.vote_head.weight
            torch.testing.assert_close(found, averaged_network(checkpoint).vote_head.weight, rtol=1e-2, atol=1e-3)


def test_a_network_without_the_head_cannot_ship_it(kaggle: Path) -> None:
    training = open_dataset("fer2013", kaggle, "training")
    state = Training(experiment("standard", "rlr-cnet"), training, None, torch.device("cpu"))
    with pytest.raises(CheckpointError, match="deployed 'votes': expected a network with a head"):
        deployable_network(state.checkpoint(), {"deployed": "votes"})


def test_majority_labels_measure_the_head() -> None:
    votes = np.array([[8, 1, 0, 0, 1, 0, 0, 0, 0, 0], [0] * 10, [0, 0, 0, 0, 0, 0, 0, 9, 1, 0]], np.int8)
    assert majority_labels(votes).tolist() == [6, -1, 7]


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

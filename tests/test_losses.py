import math
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import drawn_face, write_fer2013_csv, write_votes_csv

from mien.datasets import open_dataset
from mien.errors import ExperimentError
from mien.training.checkpoint import load_checkpoint
from mien.training.config import experiment_from_dict
from mien.training.loop import train
from mien.training.losses import CentreLoss, multi_label_losses, noisy_logit_loss
from mien.training.methods.cumulative import Cumulative
from mien.training.methods.standard import Standard
from mien.training.state import Training


def test_centre_loss_worked_by_hand() -> None:
    loss = CentreLoss(3, 2, rate=0.5)
    loss.started[0] = 1.0  # its centre is 0, 0; that of class 2 starts at the mean of the first features
    features, labels = torch.tensor([[2.0, 0.0], [4.0, 0.0], [0.0, 6.0]]), torch.tensor([0, 0, 2])
    assert loss(features, labels).item() == pytest.approx((4 + 16 + 0) / 2 / 3)
    # class 0: sum of distances (6, 0), divided by 1 + 2, halved
    assert loss.centres.tolist() == [[1.0, 0.0], [0.0, 0.0], [0.0, 6.0]]
    assert loss.started.tolist() == [1.0, 0.0, 1.0]
    features[2] = torch.tensor([0.0, 2.0])
    assert loss(features, labels).item() == pytest.approx((1 + 9 + 16) / 2 / 3)
    assert loss.centres[2].tolist() == [0.0, 5.0]  # -4 / (1 + 1) / 2


def test_centre_loss_pulls_features_to_their_centre() -> None:
    loss = CentreLoss(2, 2, rate=0.5)
    loss.centres[1], loss.started[1] = torch.tensor([1.0, 1.0]), 1.0
    features = torch.tensor([[3.0, 0.0]], requires_grad=True)
    loss(features, torch.tensor([1])).backward()
    assert features.grad is not None
    assert features.grad.tolist() == [[2.0, -1.0]]


def test_noisy_logit_loss_has_the_expectation_of_standard_normal_centres() -> None:
    torch.manual_seed(0)
    logits, labels = torch.tensor([[3.0, 0.0], [0.0, 0.0], [0.0, 0.0]]), torch.tensor([0, 1, 1])
    found = torch.stack([noisy_logit_loss(logits, labels) for _ in range(4000)]).mean().item()
    # E|z - c|² = |z|² + K: (9 + 2) / 1, and twice (0 + 2) / 2
    assert found == pytest.approx((11 + 1 + 1) / 3 / 2, rel=0.03)


def test_multi_label_loss_worked_by_hand() -> None:
    logits = torch.tensor([[math.log(6.0), math.log(3.0), 0.0], [math.log(6.0), math.log(3.0), 0.0]])  # 0.6 0.3 0.1
    targets = torch.tensor([[0.0, 0.5, 0.5], [0.7, 0.0, 0.3]])
    expected = -(math.log(0.3) + math.log(0.6)) / 2
    assert multi_label_losses(logits, targets).mean().item() == pytest.approx(expected)
    assert multi_label_losses(logits[:1], torch.eye(3)[2:]).item() == pytest.approx(-math.log(0.1))


NEUTRAL = [10, 0, 0, 0, 0, 0, 0, 0, 0, 0]
MIXED = [5, 5, 0, 0, 0, 0, 0, 0, 0, 0]
CONTEMPT = [0, 0, 0, 0, 0, 0, 0, 10, 0, 0]


@pytest.fixture
def kaggle(tmp_path: Path) -> Path:
    usages = ["Training"] * 18 + ["PublicTest"] * 6
    write_fer2013_csv(tmp_path / "fer2013.csv", [(0, usage, drawn_face(i % 3, i)) for i, usage in enumerate(usages)])
    votes = [(usage, (NEUTRAL, MIXED, CONTEMPT)[index % 3]) for index, usage in enumerate(usages)]
    write_votes_csv(tmp_path / "fer2013new.csv", votes)
    return tmp_path


def experiment(dataset: str, method: str, epochs: int = 2, **options: Any) -> Any:
    values = {
        "name": "x",
        "data": {"dataset": dataset, "size_px": 32},
        "network": {"name": "fer-mobilenet-v3", "options": {"resolution": "no-stride-in-stem"}},
        "schedule": {"epochs": epochs, "batch_size": 6, "warmup_epochs": 0.5},
        "method": {"name": method, "options": options},
    }
    return experiment_from_dict(values, "x")


def state_of(root: Path, *wanted: str, **options: Any) -> Training:
    chosen = experiment(*wanted, **options)
    return Training(chosen, open_dataset(chosen.data.dataset, root, "training"), None, torch.device("cpu"))


@pytest.mark.parametrize("targets", ["drawn", "distribution", "multi-label"])
def test_targets_of_a_distribution(targets: str, kaggle: Path) -> None:
    state = state_of(kaggle, "ferplus-distribution", "standard", targets=targets, label_smoothing=0.0)
    method = state.method
    assert isinstance(method, Standard)
    batch = next(method.batches(0))
    assert batch.targets is not None
    logits = torch.randn(6, 8, generator=torch.Generator().manual_seed(0))
    logs = logits.log_softmax(dim=1)
    mixed = batch.targets[:, 6] == 0.5
    assert 0 < mixed.sum() < 6
    if targets == "drawn":
        torch.manual_seed(0)
        drawn = torch.stack([method.classification_loss(logits, batch) for _ in range(4000)]).mean()
        assert drawn.item() == pytest.approx(-(batch.targets * logs).sum(dim=1).mean().item(), rel=0.02)
    elif targets == "distribution":
        expected = -(batch.targets * logs).sum(dim=1).mean()
        torch.testing.assert_close(method.classification_loss(logits, batch), expected)
    else:
        torch.testing.assert_close(
            method.classification_loss(logits, batch), multi_label_losses(logits, batch.targets).mean()
        )


def test_targets_need_a_data_set_that_has_them(class_folders: Path, kaggle: Path) -> None:
    chosen = experiment("folder", "standard", targets="drawn")
    with pytest.raises(ExperimentError, match="targets: expected a data set that has more than one label a face"):
        Training(chosen, open_dataset("folder", class_folders, "training"), None, torch.device("cpu"))
    plain = experiment("ferplus", "standard", targets="distribution")  # majority labels are one each
    with pytest.raises(ExperimentError, match="targets: expected a data set that has more than one label a face"):
        Training(plain, open_dataset("ferplus", kaggle, "training"), None, torch.device("cpu"))
    with pytest.raises(ExperimentError, match="targets: Input should be 'label', found 'drawn'"):
        Cumulative.read_options({"targets": "drawn"})


@pytest.mark.parametrize("centres", ["learned", "as-coded"])
def test_joint_loss_adds_the_weighted_centre_loss(centres: str, kaggle: Path) -> None:
    state = state_of(kaggle, "ferplus", "joint-loss", centres=centres, centre_weight=0.25)
    plain = state_of(kaggle, "ferplus", "standard")
    batch = next(state.method.batches(0))
    state.network.eval(), plain.network.eval()
    features = state.network.forward_features(batch.images)
    if centres == "learned":
        extra = CentreLoss(8, 640, 0.5)(features, batch.labels)
    else:
        torch.manual_seed(3)
        extra = noisy_logit_loss(state.network.classify(features), batch.labels)
    torch.manual_seed(3)
    found = state.method.loss(state.network, batch, 0)["loss"]
    torch.testing.assert_close(found, plain.method.loss(plain.network, batch, 0)["loss"] + 0.25 * extra)


def test_centres_are_resumed(kaggle: Path, tmp_path: Path) -> None:
    chosen = experiment("ferplus", "joint-loss")
    datasets = [open_dataset("ferplus", kaggle, split) for split in ("training", "public_test")]
    train(chosen, *datasets, tmp_path / "whole")
    state = Training(chosen, *datasets, torch.device("cpu"))
    state.resume(load_checkpoint(tmp_path / "whole" / "last.safetensors"), "whole")
    whole = load_checkpoint(tmp_path / "whole" / "last.safetensors")
    assert torch.equal(state.method.state_dict()["centres"], whole.tensors["method/centres"])
    assert whole.tensors["method/centres"].abs().sum() > 0

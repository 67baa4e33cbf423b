from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from mien.datasets import as_faces, open_dataset
from mien.errors import ExperimentError
from mien.preprocessing import Preprocessing
from mien.training.batches import BatchSource
from mien.training.checkpoint import load_checkpoint
from mien.training.config import Experiment, experiment_from_dict
from mien.training.deployment import deployable_network
from mien.training.loop import check_experiment, train
from mien.training.precise_bn import precise_bn, with_statistics_of_the_batch

FACES = np.random.default_rng(0).integers(0, 256, (40, 24, 24, 3), dtype=np.uint8)


def experiment(**changes: object) -> Experiment:
    facts = {
        "name": "plain",
        "statistics": "precise",
        "data": {"dataset": "folder", "size_px": 24, "channels": 3, "selection_split": "none"},
        "network": {"name": "rlr-cnet", "options": {"stem": "stride1"}},
        "schedule": {"epochs": 2, "batch_size": 32, "learning_rate": 0.003, "warmup_epochs": 0.5},
        "augmentation": {"erasing": 1.0, "brightness": 0.5},
    }
    return experiment_from_dict({**facts, **changes}, "plain")


def test_statistics_are_those_of_the_faces_as_they_are() -> None:
    source = BatchSource(FACES, np.arange(40) % 2, experiment(), torch.device("cpu"))
    network = nn.Sequential(nn.BatchNorm2d(3), nn.Dropout(0.5))
    network[0].running_mean.fill_(7.0)  # type: ignore[union-attr,operator]
    precise_bn(network, source)
    data = experiment().data
    seen = (FACES / 255 - data.mean) / data.std
    assert network[0].running_mean.numpy() == pytest.approx(seen.mean(axis=(0, 1, 2)), abs=1e-5)
    assert network[0].running_var.numpy() == pytest.approx(seen.var(axis=(0, 1, 2), ddof=1), abs=1e-4)
    assert network[0].momentum == 0.1


def test_the_average_of_the_last_epoch_has_them(class_folders: Path, tmp_path: Path) -> None:
    training = open_dataset("folder", class_folders, "training")
    for statistics in ("precise", "averaged"):
        train(experiment(statistics=statistics), training, None, tmp_path / statistics)
    ours, averaged = (load_checkpoint(tmp_path / name / "last.safetensors") for name in ("precise", "averaged"))
    assert all(torch.equal(ours.part("network")[name], each) for name, each in averaged.part("network").items())

    faces, _ = as_faces(training, plain := Preprocessing(24, 3))
    seen = (torch.tensor(faces).permute(0, 3, 1, 2) / 255 - plain.mean) / plain.std
    network = deployable_network(ours)
    first, other = (
        next(each.running_mean for each in found.modules() if isinstance(each, nn.BatchNorm2d))
        for found in (network, deployable_network(averaged))
    )
    assert first is not None
    assert other is not None
    torch.testing.assert_close(first, network.stem[0](seen).mean(dim=(0, 2, 3)), rtol=1e-3, atol=1e-3)
    assert (first - other).abs().max() > 0.01


def test_statistics_of_the_batch_leave_the_network_as_it_is() -> None:
    norm = nn.BatchNorm2d(3)
    network = with_statistics_of_the_batch(nn.Sequential(norm, nn.Dropout(0.9)))
    answer = network(torch.full((4, 3, 2, 2), 5.0))
    assert answer.abs().max() < 0.01  # neither dropped nor of the mean 0, variance 1 that it has
    assert norm.running_mean is not None
    assert norm.running_mean.tolist() == [0, 0, 0]


def test_detectors_have_no_faces_for_them() -> None:
    changes = {"data": {"dataset": "photographs", "size_px": 288, "channels": 3}, "augmentation": {}}
    wanted = experiment(**changes, network={"name": "face-finder"}, method={"name": "detection"})
    with pytest.raises(ExperimentError, match="statistics 'averaged'"):
        check_experiment(wanted)

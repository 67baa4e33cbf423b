import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import write_ckplus_48

from mien.datasets import open_dataset
from mien.errors import CheckpointError, ExperimentError
from mien.models import build_network
from mien.preprocessing import Preprocessing
from mien.training.checkpoint import load_checkpoint
from mien.training.config import experiment_from_dict, read_experiment
from mien.training.folds import summarise, train_folds
from mien.training.initial_weights import load_initial_weights

EXPERIMENTS = Path(__file__).parents[1] / "experiments"


@pytest.mark.slow
def test_the_committed_experiment_runs_all_folds(tmp_path: Path) -> None:
    """As a person who holds CK+ would, on drawn faces of 20 subjects; but for an epoch each: others test learning."""
    write_ckplus_48(tmp_path, subjects=20, expressions_a_subject=2)
    whole = (EXPERIMENTS / "rlr-cnet-ckplus.toml").read_text(encoding="utf-8")
    shorter = whole.replace("\nepochs = 20", "\nepochs = 1").replace("\nwarmup_epochs = 2", "\nwarmup_epochs = 0.5")
    assert len(whole) - len(shorter) == len("20") + len("2") - len("1") - len("0.5")
    experiment = tmp_path / "shorter.toml"
    experiment.write_text(shorter, encoding="utf-8")
    command = [sys.executable, "-m", "mien", "train", str(experiment), "--threads", "1"]
    command += ["--root", str(tmp_path), "--out", str(tmp_path / "run")]
    process = subprocess.run(command, text=True, capture_output=True, timeout=500)
    assert process.returncode == 0, process.stderr
    assert process.stdout.strip() == str(tmp_path / "run" / "folds.json")
    assert "rlr-cnet-ckplus: fold-10-of-10" in process.stderr
    summary = json.loads((tmp_path / "run" / "folds.json").read_text())
    assert [fold["split"] for fold in summary["folds"]] == [f"fold-{i}-of-10" for i in range(1, 11)]
    assert [fold["n"] for fold in summary["folds"]] == [12] * 10
    assert summary["n"] == 120
    assert f"mean {summary['accuracy_mean']:.4f}, deviation {summary['accuracy_deviation']:.4f}" in process.stderr
    header = load_checkpoint(tmp_path / "run" / "fold-3-of-10" / "last.safetensors").header
    assert header.training_images == 108
    assert header.experiment.data.training_split == "fold-3-of-10-training"


def tiny(**changes: Any) -> dict[str, Any]:
    values = {
        "name": "tiny",
        "data": {"dataset": "ckplus", "size_px": 32, "folds": 3},
        "network": {"name": "rlr-cnet"},
        "schedule": {"epochs": 1, "batch_size": 16, "warmup_epochs": 0.5},
    }
    return {**values, **changes}


def test_folds_resume_and_do_not_overwrite(tmp_path: Path) -> None:
    write_ckplus_48(tmp_path, subjects=6, expressions_a_subject=2)
    experiment = experiment_from_dict(tiny(), "tiny")
    whole = open_dataset("ckplus", tmp_path, "all")
    first = train_folds(experiment, whole, tmp_path / "run")
    with pytest.raises(CheckpointError, match=r"fold-1-of-3/last\.safetensors: holds a training of 1 epochs"):
        train_folds(experiment, whole, tmp_path / "run")
    report = tmp_path / "run" / "fold-2-of-3" / "report.json"
    shutil.rmtree(report.parent)
    assert train_folds(experiment, whole, tmp_path / "run", resume=True) == first
    assert json.loads(report.read_text())["split"] == "fold-2-of-3"
    log = (tmp_path / "run" / "fold-1-of-3" / "log.csv").read_text()
    assert "selection" not in log


def test_summary_worked_by_hand() -> None:
    common = {"dataset": "x", "expressions": ["a", "b"], "parameters": 7, "mean_class_accuracy": 0.5}
    reports = [
        {**common, "split": "1", "n": 4, "accuracy": 0.75, "labels": [0, 0, 1, 1], "predictions": [0, 0, 1, 0]},
        {**common, "split": "2", "n": 1, "accuracy": 0.25, "labels": [0], "predictions": [1]},
    ]
    summary = summarise("x", "images of equal subject", reports)
    assert summary["accuracy_mean"] == 0.5
    assert summary["accuracy_deviation"] == pytest.approx(0.125**0.5)  # two values 0.25 from their mean, n - 1 = 1
    assert summary["accuracy_of_all_images"] == 0.6
    assert summary["confusion_matrix"] == [[2, 1], [1, 1]]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"folds": 1}, "folds must be 0, for none, or at least 2"),
        ({"folds": 3, "training_split": "all"}, "folds take the place of training_split and selection_split"),
        (
            {"training_split": "random-80-20-training"},
            "selection_split 'public_test' may hold images of training_split",
        ),
        ({"training_split": "training", "selection_split": "tenth-of-training"}, "may hold images"),
        ({"training_split": "all", "selection_split": "public_test"}, "may hold images"),
        ({"training_split": "training", "selection_split": "training"}, "may hold images"),
        ({"training_split": "public_test"}, "may hold images"),
        ({"training_split": "labelled-10-of-training", "selection_split": "training"}, "may hold images"),
        ({"training_split": "fold-1-of-9-training", "selection_split": "fold-2-of-9"}, "may hold images"),
    ],
)
def test_splits_that_leak_into_the_selection_are_refused(data: dict[str, Any], message: str) -> None:
    with pytest.raises(ExperimentError, match=message):
        experiment_from_dict(tiny(data={"dataset": "ckplus", **data}), "tiny")


def test_a_training_starts_from_packaged_weights_and_shared_classes() -> None:
    experiment = read_experiment(EXPERIMENTS / "rlr-cnet-ckplus.toml")
    expressions = ("anger", "contempt", "happiness")
    packaged = load_checkpoint(Path(sys.modules["mien"].__file__ or "").parent / "weights" / "rlr-cnet.safetensors")
    network = build_network(experiment.network.name, 3, 1, experiment.network.options)
    fresh = network.classifier.weight[1].clone()
    load_initial_weights(network, "rlr-cnet", expressions, Preprocessing())
    head = packaged.tensors["average/classifier.weight"].float()
    assert torch.equal(network.classifier.weight[0], head[0])
    assert torch.equal(network.classifier.weight[1], fresh)
    assert torch.equal(network.classifier.weight[2], head[3])
    stem = packaged.tensors["average/stem.0.weight"].float()
    assert torch.equal(network.state_dict()["stem.0.weight"], stem)


def test_initial_weights_that_do_not_fit_are_named(tmp_path: Path) -> None:
    network = build_network("shufflenet-v2", 7, 1, {})
    with pytest.raises(
        CheckpointError, match=r"expected the weights of a network like this one, but .* differ, such as"
    ):
        load_initial_weights(network, "rlr-cnet", ("anger",) * 7, Preprocessing())
    with pytest.raises(CheckpointError, match=r"nothing: expected a checkpoint or a packaged network \(.*rlr-cnet"):
        load_initial_weights(network, "nothing", ("anger",) * 7, Preprocessing())


def test_exported_initial_weights_are_the_packaged_network(fer2013_parquet: Path) -> None:
    """The small checkpoint gives the same answers as the ONNX file beside it."""
    import numpy as np

    from mien.datasets import as_faces
    from mien.scorer import OnnxScorer
    from mien.training.torch_scorer import TorchScorer

    scorer = OnnxScorer("rlr-cnet")
    experiment = read_experiment(EXPERIMENTS / "rlr-cnet-ckplus.toml")
    network = build_network(experiment.network.name, 7, 1, experiment.network.options)
    load_initial_weights(network, "rlr-cnet", scorer.card.expressions, Preprocessing())
    samples = open_dataset("fer2013", fer2013_parquet, "public_test")[:64]
    faces, _ = as_faces(samples, scorer.card.preprocessing)
    found = TorchScorer(network, scorer.card.preprocessing)(faces)
    assert np.abs(found - scorer(faces)).max() < 0.01  # half precision

import json
import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from school import experiment, values

from mien.datasets import open_dataset
from mien.datasets.splits import Subset
from mien.errors import DatasetError, ExperimentError
from mien.training.checkpoint import load_checkpoint
from mien.training.config import experiment_from_dict
from mien.training.joint.rounds import train_rounds
from mien.training.options import JointOptions


def test_no_label_at_all_is_told_and_training_goes_on(
    school: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "mien")
    labelled = open_dataset("folder", school / "labelled", "training")
    unlabelled = open_dataset("faces", school / "unlabelled", "all")
    sure = JointOptions("faces", labelling="confidence", confidence=1.0, rounds=1, epochs=1)
    wanted = replace(experiment(), joint=sure)
    train_rounds(wanted, labelled, unlabelled, None, tmp_path)
    assert "no face got a label; training goes on with the labelled faces alone" in caplog.text
    assert load_checkpoint(tmp_path / "round-1" / "last.safetensors").header.training_images == 36


def test_faces_with_labels_or_selected_on_are_left_out_and_few_labels_are_enough(
    school: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "mien")
    labelled = Subset(open_dataset("folder", school / "labelled", "training"), [0, 1, 12, 13, 24], "training")
    selection = open_dataset("folder", school / "labelled", "public_test")
    unlabelled = open_dataset("faces", school, "all")  # labelled, selected and unlabelled pictures in one folder
    wanted = experiment(rounds=1, labelling="confidence", confidence=0.0, neighbours=10, threshold=0.3)
    train_rounds(wanted, labelled, unlabelled, selection, tmp_path)  # five labelled faces, batches of twelve
    assert "29 unlabelled faces are labelled or selected on elsewhere, left out" in caplog.text
    with np.load(tmp_path / "round-1" / "labels.npz") as kept:
        sources = [unlabelled.sample(index).source for index in kept["indices"]]
    assert len(sources) == 36 + 90 - 5
    assert not any("public_test" in source for source in sources)


def test_all_clusters_rejected_and_a_class_without_labels(
    school: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "mien")
    labelled = Subset(open_dataset("folder", school / "labelled", "training"), range(24), "training")  # no `sadness`
    unlabelled = open_dataset("faces", school / "unlabelled", "all")
    strict = experiment(rounds=1, fewest_labelled=99, similarity=1.0)
    train_rounds(strict, labelled, unlabelled, None, tmp_path)
    told = caplog.text
    assert "without labelled faces, so without new ones: sadness" in told
    assert "no face got a label; training goes on with the labelled faces alone" in told
    summary = json.loads((tmp_path / "round-1" / "round.json").read_text())
    assert summary["clusters"] > 1
    assert summary["named"] == 0


def test_fewer_faces_than_neighbours_and_unreadable_ones(school: Path, tmp_path: Path) -> None:
    labelled = open_dataset("folder", school / "labelled", "training")
    unlabelled = open_dataset("faces", school / "unlabelled", "all")
    with pytest.raises(DatasetError, match=r"expected more images than neighbours \(500\), found 126"):
        train_rounds(experiment(neighbours=500), labelled, unlabelled, None, tmp_path / "a")
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "x.png").write_bytes(b"damaged")
    with pytest.raises(DatasetError, match="faces: expected unlabelled faces, found none among 1: 1 cannot be"):
        train_rounds(experiment(), labelled, open_dataset("faces", tmp_path / "bad", "all"), None, tmp_path / "b")
    assert not (tmp_path / "a").exists()  # told before the first training


def test_options_that_do_not_go_together() -> None:
    with pytest.raises(ExperimentError, match="confidence does nothing with labelling 'rank-order', only with"):
        experiment(confidence=0.5)
    hidden = {"dataset": "fer2013", "training_split": "labelled-10-of-training"}
    leaking = {**values(unlabelled="fer2013"), "data": hidden}
    with pytest.raises(ExperimentError, match="expected 'labelled-10-of-training-rest' of fer2013"):
        experiment_from_dict(leaking, "x")
    leaking["joint"]["unlabelled_split"] = "labelled-10-of-training-rest"
    experiment_from_dict(leaking, "x")
    labels_alone = values(soft=True)
    labels_alone["method"]["options"] = {"targets": "drawn"}
    with pytest.raises(ExperimentError, match=r"method\.options\.targets: expected 'distribution' or none.*'drawn'"):
        experiment_from_dict(labels_alone, "x")
    with pytest.raises(ExperimentError, match="joint rounds and folds do not go together"):
        experiment_from_dict({**values(), "data": {"dataset": "folder", "folds": 3}}, "x")

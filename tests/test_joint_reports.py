"""What scripts/judge-labels says of joint learning: labels judged by hidden ones."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import drawn_face, write_fer2013_csv, write_votes_csv

from mien.datasets import open_dataset
from mien.training.config import read_experiment
from mien.training.loop import train

REPOSITORY = Path(__file__).parents[1]
JUDGE = REPOSITORY / "scripts" / "judge-labels"
REST = "labelled-50-of-training-rest"


@pytest.fixture
def kaggle(tmp_path: Path) -> Path:
    """40 happy and sad faces; ten people call those with an even number neutral."""
    rows = [(3 if index < 20 else 4, "Training", drawn_face(index % 9, index)) for index in range(40)]
    write_fer2013_csv(tmp_path / "fer2013.csv", rows)
    votes = [[10, 0, 0, 0, 0, 0, 0, 0, 0, 0], [0, 10, 0, 0, 0, 0, 0, 0, 0, 0]]
    write_votes_csv(tmp_path / "fer2013new.csv", [("Training", votes[index % 2]) for index in range(40)])
    return tmp_path


def experiment(folder: Path) -> Path:
    found = (REPOSITORY / "experiments" / "joint" / "rank-order.toml").read_text()
    file = folder / "judged.toml"
    file.write_text(found.replace("labelled-10-of-training", "labelled-50-of-training"))
    return file


def test_labels_are_judged_by_the_hidden_ones(kaggle: Path, tmp_path: Path) -> None:
    unlabelled = open_dataset("fer2013", kaggle, REST)
    hidden = [sample.label for sample in unlabelled]
    happiness, sadness = (unlabelled.expressions.index(name) for name in ("happiness", "sadness"))
    assert sorted(hidden) == [happiness] * 10 + [sadness] * 10
    # Nine of twenty get a label: all happy ones but one rightly, the first called sad instead.
    labels = [label if label == happiness else -1 for label in hidden]
    first, second = (index for index, label in enumerate(labels) if label >= 0 and labels[:index].count(happiness) < 2)
    labels[first], labels[second] = sadness, -1
    (tmp_path / "run" / "round-1").mkdir(parents=True)
    np.savez(tmp_path / "run" / "round-1" / "labels.npz", labels=np.array(labels), indices=np.arange(20))
    (tmp_path / "run" / "round-1" / "round.json").write_text('{"named": 9}')
    toml = experiment(tmp_path)
    out = tmp_path / "report.json"
    subprocess.run([sys.executable, JUDGE, toml, tmp_path / "run", kaggle, out], check=True)
    (found,) = json.loads(out.read_text())["rounds"]
    assert found["made"] == {"named": 9}
    judged = found["fer2013"]
    assert (judged["faces"], judged["coverage"], judged["precision"]) == (20, 9 / 20, 8 / 9)
    wanted = {"faces": 10, "labels": 8, "coverage": 0.9, "precision": 1.0, "recall": 0.8}
    assert judged["per_class"]["happiness"] == wanted
    assert judged["per_class"]["sadness"] == {**wanted, "labels": 1, "coverage": 0.0, "precision": 0.0, "recall": 0.0}
    odd = [int(sample.source.split()[1]) % 2 for sample in unlabelled]
    happy = [odd[index] for index, label in enumerate(labels) if label == happiness]
    assert found["ferplus"]["precision"] == pytest.approx(sum(happy) / 9)  # of rows with an odd number


def test_labels_by_other_guidance_from_the_same_networks(kaggle: Path, tmp_path: Path) -> None:
    toml = experiment(tmp_path)
    tiny = replace(
        read_experiment(toml).schedule, epochs=1, steps_per_epoch=1, batch_size=8, warmup_epochs=0, progressive_epochs=1
    )
    first = replace(read_experiment(toml), joint=None, schedule=tiny)
    labelled = open_dataset("fer2013", kaggle, first.data.training_split)
    train(first, labelled, None, tmp_path / "run" / "round-0")
    out = tmp_path / "report.json"
    subprocess.run([sys.executable, JUDGE, toml, tmp_path / "run", kaggle, out, "--proposals"], check=True)
    found = json.loads(out.read_text())["proposals"]
    assert len(found) == 8
    assert {judged["fer2013"]["faces"] for judged in found.values()} == {20}
    everyone = {name for name, judged in found.items() if judged["fer2013"]["coverage"] == 1}
    assert {name for name in found if name.endswith(("all", "all named"))} <= everyone
    assert found["the networks' answers from 0.9 on"]["fer2013"]["coverage"] == 0


def test_only_hidden_labels_can_be_judged(tmp_path: Path) -> None:
    lfw = REPOSITORY / "experiments" / "joint-lfw" / "all-lfw.toml"
    done = subprocess.run(
        [sys.executable, JUDGE, lfw, tmp_path, tmp_path, tmp_path / "x"], capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "expected unlabelled faces of fer2013 whose labels were hidden (a -rest split), found lfw all" in done.stderr

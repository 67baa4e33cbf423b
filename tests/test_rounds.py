import csv
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image
from school import NAMES, experiment, own_faces

from mien.cli import app
from mien.datasets import Split, as_faces, open_dataset, pixel_key
from mien.datasets.joined import Joined
from mien.datasets.splits import Subset
from mien.errors import CheckpointError, ExperimentError
from mien.labelling.clustering import NEIGHBOURS, THRESHOLD
from mien.preprocessing import Preprocessing
from mien.scorer import OnnxScorer
from mien.training.checkpoint import load_checkpoint
from mien.training.joint import rounds
from mien.training.joint.pseudo_labels import label_unlabelled
from mien.training.joint.rounds import train_rounds
from mien.training.methods.standard import Standard
from mien.training.state import Training
from mien.training.unlabelled import read_unlabelled


@pytest.mark.slow
def test_one_command_from_few_labels_to_an_exported_network(school: Path, tmp_path: Path) -> None:
    (tmp_path / "school.toml").write_text(own_faces())
    out = tmp_path / "run"
    command = ["train", str(tmp_path / "school.toml"), "--root", str(school / "labelled"), "--out", str(out)]
    result = CliRunner().invoke(app, command)
    assert isinstance(result.exception, ExperimentError)
    assert "expected --unlabelled, where the faces are" in str(result.exception)
    inside = CliRunner().invoke(app, [*command, "--unlabelled", str(school / "labelled" / "training")])
    assert "expected a folder outside of" in str(inside.exception)
    command += ["--unlabelled", str(school / "unlabelled"), "--export", str(tmp_path / "school.onnx")]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    assert "skipped" in result.stderr
    assert "zz.png" in result.stderr
    assert "36 labelled faces, 90 unlabelled" in result.stderr
    assert "round-2: " in result.stderr
    assert "skipped, cannot be read: 1" in result.stderr
    assert result.stdout.split() == [str(out / "round-2" / "best.safetensors"), str(tmp_path / "school.onnx")]
    summary = json.loads((out / "round-2" / "round.json").read_text())
    assert summary["unlabelled"] == 90
    assert summary["skipped"] == 1
    assert summary["named"] == sum(summary["by_class"].values()) > 30
    assert max(summary["by_class"].values()) <= 12  # cap_share 1
    assert summary["labelled_by_class"] == dict.fromkeys(summary["by_class"], 12)
    assert sum(summary["reasons"].values()) == 90
    assert summary["agreement_with_the_round_before"] > 0.8
    assert summary["agreement_with_the_network"] > 0.8
    with np.load(out / "round-2" / "labels.npz") as kept:
        labels = kept["labels"]
    with (out / "round-2" / "labels.csv").open(encoding="utf-8-sig") as stream:
        rows = list(csv.DictReader(stream))
    assert [Path(row["source"]).name for row in rows] == [f"{index:02d}.png" for index in range(90)]
    assert [row["expression"] != "" for row in rows] == (labels >= 0).tolist()
    named = labels >= 0
    order = sorted(NAMES, key=open_dataset("folder", school / "labelled", "training").expressions.index)
    truth = np.array([order.index(NAMES[index % 3]) for index in range(90)])
    assert (labels[named] == truth[named]).mean() > 0.9
    with Image.open(out / "round-1" / "new-happiness.png") as sheet:
        assert sheet.width >= 64
    header = load_checkpoint(out / "round-2" / "best.safetensors").header
    assert header.training_images == 36 + named.sum()
    scorer = OnnxScorer(str(tmp_path / "school.onnx"))
    assert scorer.card.dataset == "folder training, with faces of faces all labelled by rank-order"
    assert scorer.card.learned_from == (Split("folder", "training"), Split("faces", "all"))


def kill_in_epoch(number: int) -> Callable[..., dict[str, float]]:
    run_epoch, calls = Training.run_epoch, iter(range(100))

    def killed(state: Training, *arguments: Any) -> dict[str, float]:
        if next(calls) == number:
            raise KeyboardInterrupt
        return run_epoch(state, *arguments)

    return killed


@pytest.mark.slow
def test_rounds_resume_inside_and_between(school: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    labelled = open_dataset("folder", school / "labelled", "training")
    selection = open_dataset("folder", school / "labelled", "public_test")
    unlabelled = open_dataset("faces", school / "unlabelled", "all")
    smaller = {"progressive_size_px": [24], "progressive_epochs": 1.5}
    wanted = experiment(epochs=2, augmentation={"flip": 0.4}, batch_size=18)
    wanted = replace(wanted, schedule=replace(wanted.schedule, **smaller))
    whole = train_rounds(wanted, labelled, unlabelled, selection, tmp_path / "run")
    last = load_checkpoint(whole.best.with_name("last.safetensors"))
    assert last.header.experiment.schedule.progressive_epochs == 1  # half of two, as of the first three
    assert last.header.experiment.augmentation.flip == 0.4
    assert last.header.experiment.schedule.batch_size == 18
    first = load_checkpoint(tmp_path / "run" / "round-0" / "last.safetensors")
    assert first.header.experiment.augmentation.flip == 0.5
    assert first.header.experiment.schedule.batch_size == wanted.schedule.batch_size != 18
    expected = last.tensors

    for number in (1, 4, 5):  # in round 0, in round 1 at its second epoch (three of round 0), and in round 2
        shutil.rmtree(tmp_path / "again", ignore_errors=True)
        with monkeypatch.context() as patch:
            patch.setattr(Training, "run_epoch", kill_in_epoch(number))
            with pytest.raises(KeyboardInterrupt):
                train_rounds(wanted, labelled, unlabelled, selection, tmp_path / "again")
        (tmp_path / "again").rename(tmp_path / "moved")
        again = train_rounds(wanted, labelled, unlabelled, selection, tmp_path / "moved", resume=True)
        found = load_checkpoint(again.best.with_name("last.safetensors")).tensors
        assert all(torch.equal(expected[name], tensor) for name, tensor in found.items())
        if number < 5:
            shutil.rmtree(tmp_path / "moved")
    (tmp_path / "moved" / "round-2" / "last.safetensors").unlink()
    fewer, moved = Subset(unlabelled, range(80), "all"), Subset(labelled, [*range(1, 36), 0], "training")
    assert wanted.joint
    other = replace(wanted, joint=replace(wanted.joint, purity=0.9))
    for changed, own, faces in (
        (wanted, labelled, fewer),
        (other, labelled, unlabelled),
        (wanted, moved, unlabelled),
    ):
        with pytest.raises(CheckpointError, match=r"labels\.npz: expected labels made with these \[joint\] options"):
            train_rounds(changed, own, faces, selection, tmp_path / "moved", resume=True)


@pytest.mark.parametrize("own_share", [0, 0.5])
def test_soft_labels_are_learned_and_kept_for_resuming(
    own_share: float, school: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    labelled = open_dataset("folder", school / "labelled", "training")
    unlabelled = open_dataset("faces", school / "unlabelled", "all")
    with pytest.raises(ExperimentError, match="own_share does nothing without soft labels"):
        experiment(own_share=0.5)
    for name, value in (("aligned", True), ("labelled_own_share", 0.5)):
        with pytest.raises(ExperimentError, match=f"{name} does nothing without own_share"):
            experiment(soft=True, **{name: value})
    own = {"own_share": own_share, "labelled_own_share": own_share, "aligned": own_share > 0}
    wanted = experiment(rounds=1, epochs=2, soft=True, labelled_repeats=2, **own)
    train_rounds(wanted, labelled, unlabelled, None, tmp_path)
    header = load_checkpoint(tmp_path / "round-1" / "last.safetensors").header
    assert header.experiment.method.options == {"targets": "distribution", "label_smoothing": 0.0}
    with np.load(tmp_path / "round-1" / "labels.npz") as kept:
        labels, soft = kept["labels"], kept["distributions"]
    assert header.training_images == 72 + (labels >= 0).sum()
    assert soft.shape == (90, 3)
    np.testing.assert_allclose(soft.sum(axis=1), 1, atol=1e-5)
    assert 0.4 < soft.max(axis=1).mean() < 0.999
    expected = load_checkpoint(tmp_path / "round-1" / "last.safetensors").tensors
    for number in (0, 1):  # of round 1; labels are read again
        shutil.rmtree(tmp_path / "round-1")
        with monkeypatch.context() as patch:
            patch.setattr(Training, "run_epoch", kill_in_epoch(number))
            with pytest.raises(KeyboardInterrupt):
                train_rounds(wanted, labelled, unlabelled, None, tmp_path, resume=True)
        assert (tmp_path / "round-1" / "last.safetensors").exists() == bool(number)
        train_rounds(wanted, labelled, unlabelled, None, tmp_path, resume=True)
        found = load_checkpoint(tmp_path / "round-1" / "last.safetensors").tensors
        assert found.keys() == expected.keys()
        assert all(torch.equal(expected[name], tensor) for name, tensor in found.items())


def test_a_round_begins_with_the_weights_before(school: Path, tmp_path: Path) -> None:
    labelled = open_dataset("folder", school / "labelled", "training")
    unlabelled = open_dataset("faces", school / "unlabelled", "all")
    wanted = experiment(rounds=1, epochs=1, learning_rate=1e-9)  # too low to learn anything
    train_rounds(wanted, labelled, unlabelled, None, tmp_path)
    first, second = (load_checkpoint(tmp_path / f"round-{number}" / "best.safetensors") for number in range(2))
    kernels = [name for name, tensor in first.tensors.items() if tensor.ndim == 4 and name.startswith("average/")]
    assert len(kernels) > 5
    assert all((second.tensors[name] - first.tensors[name]).abs().max() < 1e-6 for name in kernels)


def test_several_first_networks_answer_together(school: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    labelled = open_dataset("folder", school / "labelled", "training")
    unlabelled = open_dataset("faces", school / "unlabelled", "all")
    wanted = experiment(
        soft=True, labelling="confidence", cap_share=0.0, neighbours=NEIGHBOURS, threshold=THRESHOLD,
        rounds=2, confidence=0.0, epochs=1, networks=2,
    )  # fmt: skip
    taught_by = []

    def spied(*arguments: Any) -> Any:
        taught_by.append([file.parent.name for file in arguments[3]])
        return label_unlabelled(*arguments)

    monkeypatch.setattr(rounds, "label_unlabelled", spied)
    train_rounds(wanted, labelled, unlabelled, None, tmp_path)
    assert taught_by == [["round-0", "round-0-network-2"], ["round-1", "round-1-network-2"]]
    assert sorted(each.name for each in tmp_path.glob("round-2*")) == ["round-2"]
    first, second = (load_checkpoint(tmp_path / name / "last.safetensors").tensors for name in taught_by[1])
    assert any(not torch.equal(first[name], second[name]) for name in first)
    found = read_unlabelled(unlabelled, Preprocessing(32), {pixel_key(sample.image) for sample in labelled})
    files = [tmp_path / name / "best.safetensors" for name in taught_by[0]]
    soft = [
        label_unlabelled(wanted, labelled, found, chosen, tmp_path / "again", False, "cpu").distributions
        for chosen in (files[:1], files[1:], files)
    ]
    assert np.abs(soft[0] - soft[1]).max() > 0.01
    np.testing.assert_allclose(soft[2], (soft[0] + soft[1]) / 2, atol=1e-6)
    with np.load(tmp_path / "round-1" / "labels.npz") as kept:
        np.testing.assert_array_equal(kept["distributions"], soft[2])


def test_weights_scale_the_loss_of_a_face(school: Path) -> None:
    labelled = open_dataset("folder", school / "labelled", "training")
    joined = Joined(labelled, as_faces(labelled, Preprocessing(32))[0], np.arange(36) % 3, 0.25)
    wanted = replace(experiment(), joint=None)
    state = Training(wanted, joined, None, torch.device("cpu"))
    assert isinstance(state.method, Standard)
    batch = next(state.method.batches(0))
    assert batch.weights is not None
    assert set(batch.weights.tolist()) == {0.25, 1.0}
    logits = torch.randn(12, 3)
    losses = torch.nn.functional.cross_entropy(logits, batch.labels, label_smoothing=0.1, reduction="none")
    torch.testing.assert_close(state.method.classification_loss(logits, batch), (losses * batch.weights).mean())

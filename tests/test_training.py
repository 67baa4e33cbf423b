import csv
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from matplotlib.figure import Figure
from PIL import Image

from mien.datasets import as_faces, open_dataset
from mien.errors import CheckpointError, DatasetError, ExperimentError
from mien.evaluation.plots import _mark_best
from mien.models import build_network
from mien.preprocessing import Preprocessing
from mien.training import config
from mien.training.batches import Batch
from mien.training.checkpoint import Checkpoint, Header, load_checkpoint, save_checkpoint
from mien.training.config import Experiment, experiment_from_dict
from mien.training.deployment import deployable_network
from mien.training.joint.teachers import OwnAnswers
from mien.training.loop import is_best, train
from mien.training.machine import find_device, gains_from_bfloat16
from mien.training.methods.standard import Standard
from mien.training.options import NetworkOptions
from mien.training.randomness import derive_seed
from mien.training.resumption import require_same_experiment
from mien.training.state import Training
from mien.training.torch_scorer import TorchScorer

TINY = """
name = "tiny"
averaging = 0.9
[data]
dataset = "folder"
size_px = 24
channels = 3
[network]
name = "rlr-cnet"
options = { stem = "stride1", dropout = 0.1 }
[schedule]
epochs = 5
batch_size = 16
learning_rate = 0.003
shape = "one-cycle"
progressive_size_px = [16]
progressive_epochs = 1
[augmentation]
rotation_degrees = 5
erasing = 0.2
"""


def experiment(**changes: object) -> Experiment:
    return experiment_from_dict({**config.tomllib.loads(TINY), **changes}, "tiny")


CUMULATIVE = (
    TINY.replace("averaging = 0.9", 'averaging = 0.9\nstatistics = "precise"')
    .replace('"rlr-cnet"', '"rlr-cnet-dual"')
    .replace("epochs = 5", "epochs = 4")
    .replace("size = 16", "size = 32")
    + """
masking = 0.5
masked_copies = 1
[method]
name = "cumulative"
"""
)


def run_training(text: str, folder: Path, root: Path, *more: str) -> subprocess.Popen[str]:
    file = folder.with_suffix(".toml")
    file.write_text(text)
    command = [sys.executable, "-m", "mien", "train", str(file), "--root", str(root), "--out", str(folder), *more]
    return subprocess.Popen(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def finish(process: "subprocess.Popen[str]") -> tuple[str, str]:
    out, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    return out, errors


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "epochs", "steps"), [(TINY, 5, 6), (CUMULATIVE, 4, 12)], ids=["standard", "cumulative"]
)
def test_it_learns_and_survives_a_kill_bit_for_bit(
    text: str, epochs: int, steps: int, class_folders: Path, tmp_path: Path
) -> None:
    out, errors = finish(run_training(text, tmp_path / "undisturbed", class_folders))
    assert out.strip() == str(tmp_path / "undisturbed" / "best.safetensors")
    assert f"{epochs} epochs of {steps} steps: about" in errors
    assert f"epoch {epochs}/{epochs}" in errors

    with (tmp_path / "undisturbed" / "log.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [float(row["epoch"]) for row in rows] == list(range(1, epochs + 1))
    assert float(rows[-1]["selection_accuracy"]) > 0.6  # chance is a third
    with Image.open(tmp_path / "undisturbed" / "curves.png") as curves:
        assert curves.width > 500

    epoch_seconds = float(rows[-1]["hours"]) * 3600 / len(rows)
    seed = int(time.time())
    print(f"kills are drawn with seed {seed}")
    generator = random.Random(seed)
    last = tmp_path / "killed" / "last.safetensors"
    for target in (1, epochs - 2):  # in the middle of an epoch or between two
        process = run_training(text, tmp_path / "killed", class_folders, "--resume")
        while not last.exists() or load_checkpoint(last).header.epoch < target:
            assert process.poll() is None, process.communicate()
            time.sleep(0.02)
        time.sleep(generator.uniform(0, epoch_seconds))
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        assert process.returncode == -signal.SIGKILL
        assert target <= load_checkpoint(last).header.epoch < epochs
    finish(run_training(text, tmp_path / "killed", class_folders, "--resume"))

    for name in ("last.safetensors", "best.safetensors"):
        first = load_checkpoint(tmp_path / "undisturbed" / name).tensors
        second = load_checkpoint(tmp_path / "killed" / name).tensors
        assert first.keys() == second.keys()
        different = [key for key in first if not torch.equal(first[key], second[key])]
        assert not different


@pytest.fixture(scope="module")
def finished(class_folders: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of two epochs."""
    folder = tmp_path_factory.mktemp("run")
    wanted = experiment(schedule={"epochs": 2, "batch_size": 32, "learning_rate": 0.002, "warmup_epochs": 0.5})
    datasets = [open_dataset("folder", class_folders, split) for split in ("training", "public_test")]
    train(wanted, *datasets, folder)
    return folder


def test_a_finished_run_is_not_overwritten(finished: Path, class_folders: Path) -> None:
    datasets = [open_dataset("folder", class_folders, split) for split in ("training", "public_test")]
    with pytest.raises(CheckpointError, match="holds a training of 2 epochs; resume it with --resume"):
        train(experiment(), *datasets, finished)


@pytest.mark.parametrize("resume", [False, True])
@pytest.mark.parametrize("name", ["log.csv", "curves.png", "best.safetensors"])
def test_files_from_elsewhere_are_not_overwritten(name: str, resume: bool, class_folders: Path, tmp_path: Path) -> None:
    (tmp_path / name).write_text("mine")
    datasets = [open_dataset("folder", class_folders, split) for split in ("training", "public_test")]
    with pytest.raises(CheckpointError, match=name):
        train(experiment(), *datasets, tmp_path, resume)
    assert (tmp_path / name).read_text() == "mine"


def test_a_checkpoint_of_another_network_or_experiment_is_refused(finished: Path, class_folders: Path) -> None:
    datasets = [open_dataset("folder", class_folders, split) for split in ("training", "public_test")]
    with pytest.raises(CheckpointError, match="expected a checkpoint of shufflenet-v2, found one of rlr-cnet"):
        train(experiment(network={"name": "shufflenet-v2"}), *datasets, finished, resume=True)
    with pytest.raises(CheckpointError, match=r"trained with another .*seed \(0 instead of 7\)"):
        train(experiment(seed=7), *datasets, finished, resume=True)


def test_a_checkpoint_made_before_an_option_existed_is_taken(finished: Path) -> None:
    header = load_checkpoint(finished / "last.safetensors").header
    older = header.to_dict()
    del older["experiment"]["augmentation"]["one_of_six"], older["learned_from"]
    assert Header.from_dict(older, "x") == replace(header, learned_from=())
    require_same_experiment(Header.from_dict(older, "x"), header.experiment, "x")


def test_a_checkpoint_with_names_of_before_is_taken(finished: Path) -> None:
    header = load_checkpoint(finished / "last.safetensors").header
    older = header.to_dict()
    older["experiment"]["data"]["deviation"] = older["experiment"]["data"].pop("std")
    older["experiment"]["statistics"] = "anew"
    assert Header.from_dict(older, "x").experiment == replace(header.experiment, statistics="precise")


def test_a_header_with_something_missing_is_named(finished: Path) -> None:
    values = load_checkpoint(finished / "last.safetensors").header.to_dict()
    for changed, message in (
        ({name: value for name, value in values.items() if name != "expressions"}, "missing or wrong: 'expressions'"),
        ({**values, "expressions": None}, "x: expected a complete header, missing or wrong: 'NoneType'"),
        ({**values, "experiment": {**values["experiment"], "hat": 1}}, "x: unknown key 'hat'"),
    ):
        with pytest.raises(CheckpointError, match=message):
            Header.from_dict(changed, "x")


def test_a_default_that_is_written_out_is_the_same(finished: Path) -> None:
    header = load_checkpoint(finished / "last.safetensors").header
    wanted = header.experiment
    said = replace(wanted, method=replace(wanted.method, options={"label_smoothing": 0.1}))
    require_same_experiment(header, said, "x")
    with pytest.raises(CheckpointError, match=r"another method \(.*label_smoothing=0.1.* instead of .*=0.2"):
        require_same_experiment(
            header, replace(wanted, method=replace(wanted.method, options={"label_smoothing": 0.2})), "x"
        )


def test_other_data_than_at_the_start_is_refused(finished: Path, class_folders: Path, tmp_path: Path) -> None:
    schedule = {"epochs": 2, "batch_size": 32, "learning_rate": 0.002, "warmup_epochs": 0.5}
    selection = open_dataset("folder", class_folders, "public_test")
    with pytest.raises(CheckpointError, match=r"training_images 96, found 36"):
        train(experiment(schedule=schedule), selection, selection, finished, resume=True)
    for name in ("wink", "bored", "grin"):
        (tmp_path / name).mkdir()
        for index in range(32):
            Image.new("L", (48, 48)).save(tmp_path / name / f"{index}.png")
    other = open_dataset("folder", tmp_path, "all")
    with pytest.raises(CheckpointError, match=r"expected the data it was trained on, with expressions \('happiness'"):
        train(experiment(schedule=schedule), other, other, finished, resume=True)


def test_a_loss_that_is_not_finite_ends_the_training(class_folders: Path, tmp_path: Path) -> None:
    datasets = [open_dataset("folder", class_folders, split) for split in ("training", "public_test")]
    wild = experiment(schedule={"epochs": 2, "batch_size": 32, "learning_rate": 1e30, "warmup_epochs": 0})
    with pytest.raises(ExperimentError, match="expected a finite loss, found nan in epoch 1"):
        train(wild, *datasets, tmp_path / "run")


def test_of_equal_epochs_the_last_is_saved_and_marked() -> None:
    column = "selection_accuracy"
    history = [{"epoch": epoch, column: value} for epoch, value in ((1, 0.5), (2, 0.7), (3, 0.7), (4, 0.6))]
    assert [is_best(history[:count], column) for count in (1, 2, 3, 4)] == [True, True, True, False]
    axes = Figure().subplots()
    _mark_best(axes, history, column)
    assert list(axes.lines[-1].get_xdata()) == [3]


def test_a_training_leaves_the_process_as_it_was(class_folders: Path, tmp_path: Path) -> None:
    short = experiment(schedule={"epochs": 1, "steps_per_epoch": 1, "batch_size": 8, "warmup_epochs": 0})
    state = torch.get_rng_state()
    assert not torch.backends.cudnn.deterministic
    train(short, open_dataset("folder", class_folders, "training"), None, tmp_path)
    assert not torch.backends.cudnn.deterministic
    assert torch.equal(torch.get_rng_state(), state)


def test_devices_are_checked() -> None:
    assert find_device("cpu").type == "cpu"
    for name in ("toaster", "cuda" if not torch.cuda.is_available() else "cuda:99"):
        with pytest.raises(ExperimentError, match=f"device '{name}': expected one that torch can use"):
            find_device(name)


@pytest.mark.parametrize(("name", "gains"), [("dense-face", True), ("rlr-cnet", False)])
def test_mixed_precision_where_it_is_faster(name: str, gains: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    network = build_network(name, 7, 1, {})
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True})
    assert gains_from_bfloat16(network, torch.device("cpu")) == gains
    assert gains_from_bfloat16(network, torch.device("cuda"))
    assert not gains_from_bfloat16(network, torch.device("mps"))
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx2": True})
    assert not gains_from_bfloat16(network, torch.device("cpu"))


def test_weights_that_do_not_fit_their_network_are_refused(finished: Path, tmp_path: Path) -> None:
    checkpoint = load_checkpoint(finished / "best.safetensors")
    other = replace(checkpoint.header.experiment, network=NetworkOptions("shufflenet-v2"))
    save_checkpoint(tmp_path / "x", Checkpoint(checkpoint.tensors, replace(checkpoint.header, experiment=other)))
    with pytest.raises(CheckpointError, match="weights do not fit shufflenet-v2"):
        deployable_network(load_checkpoint(tmp_path / "x"))


def test_damaged_checkpoints_are_named(finished: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="expected a checkpoint, found nothing"):
        load_checkpoint(tmp_path / "none")
    data = (finished / "last.safetensors").read_bytes()
    (tmp_path / "cut").write_bytes(data[: len(data) // 2])
    with pytest.raises(CheckpointError, match="cut: expected a checkpoint of mien"):
        load_checkpoint(tmp_path / "cut")
    from safetensors.torch import save_file

    save_file({"x": torch.zeros(1)}, tmp_path / "foreign")
    with pytest.raises(CheckpointError, match="expected a 'mien checkpoint 1', found 'no format'"):
        load_checkpoint(tmp_path / "foreign")


def test_checkpoint_scores_are_those_of_the_log(finished: Path, class_folders: Path) -> None:
    checkpoint = load_checkpoint(finished / "best.safetensors")
    preprocessing = checkpoint.header.preprocessing
    faces, labels = as_faces(open_dataset("folder", class_folders, "public_test"), preprocessing)
    scores = TorchScorer(deployable_network(checkpoint), preprocessing)(faces)
    accuracy = float((scores.argmax(axis=1) == labels).mean())
    assert accuracy == pytest.approx(checkpoint.header.history[-1]["selection_accuracy"])


def test_too_few_faces_and_different_classes(class_folders: Path, tmp_path: Path) -> None:
    datasets = [open_dataset("folder", class_folders, split) for split in ("training", "public_test")]
    big = experiment(schedule={"epochs": 2, "batch_size": 97})
    with pytest.raises(DatasetError, match="expected at least one batch of 97 faces, found 96"):
        Training(big, *datasets, torch.device("cpu"))
    for name in ("wink", "bored"):
        (tmp_path / name).mkdir()
        Image.new("L", (48, 48)).save(tmp_path / name / "1.png")
    with pytest.raises(DatasetError, match="different classes"):
        Training(experiment(), datasets[0], open_dataset("folder", tmp_path, "all"), torch.device("cpu"))


def test_who_relabels_batches_has_hardly_changed_faces_and_the_average(
    class_folders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen, learned = [], []
    loss = Standard.loss

    def spied(self: Standard, network: Any, batch: Batch, epoch: int) -> Any:
        learned.append((batch.images.shape[-1], batch.labels.tolist()))
        return loss(self, network, batch, epoch)

    class Ones(OwnAnswers):
        def forward(self, batch: Batch, average: Any, passed: float) -> Batch:
            assert batch.weak is not None
            seen.append((batch.weak, average.training, next(average.parameters()).clone(), passed))
            return replace(batch, labels=torch.ones_like(batch.labels))

    monkeypatch.setattr(Standard, "loss", spied)
    schedule = {"epochs": 2, "steps_per_epoch": 1, "progressive_size_px": [16], "progressive_epochs": 2}
    datasets = [open_dataset("folder", class_folders, split) for split in ("training", "public_test")]
    train(experiment(schedule={"batch_size": 32, **schedule}), *datasets, tmp_path, relabel=Ones(1.0))
    assert learned[-2:] == [(16, [1] * 32)] * 2
    faces, _ = as_faces(datasets[0], plain := Preprocessing(24, 3))
    known = (torch.tensor(faces).permute(0, 3, 1, 2) / 255 - plain.mean) / plain.std
    known = torch.cat((known, known.flip(3))).flatten(1)
    for weak, in_training, *_ in seen:
        assert not in_training
        assert weak.shape[2:] == (24, 24)
        distances = torch.cdist(weak.flatten(1), known, p=1) / known.shape[1]
        assert distances.amin(dim=1).max() < 0.3
    assert not torch.equal(seen[0][2], seen[-1][2])
    assert [each[3] for each in seen[-2:]] == [0, 0.5]


def test_seeds_differ_by_purpose_and_moment() -> None:
    seeds = {derive_seed(s, p, e, t) for s in (0, 1) for p in "ab" for e in range(5) for t in range(5)}
    assert len(seeds) == 100
    assert all(0 <= seed < 2**63 for seed in seeds)

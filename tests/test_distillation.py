import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from conftest import drawn_face, write_fer2013_csv, write_votes_csv
from PIL import Image

from mien.cli import app
from mien.datasets import Dataset, Split, open_dataset
from mien.datasets.joined import WithUnlabelled
from mien.errors import CheckpointError, ExperimentError
from mien.scorer import OnnxScorer
from mien.training.averaged import averaged_network
from mien.training.batches import BatchSource
from mien.training.checkpoint import load_checkpoint
from mien.training.config import Experiment, experiment_from_dict
from mien.training.loop import check_experiment, train
from mien.training.methods.distillation import Distillation, DistillationBatch
from mien.training.state import Training
from mien.training.views import draw_view

CPU = torch.device("cpu")
SMALL = {"name": "dense-face", "options": {"widths": [8, 8], "depths": [1, 1]}}


def experiment(method: str, options: dict[str, Any], **more: Any) -> Experiment:
    values = {
        "name": method,
        "data": {"dataset": "fer2013", "size_px": 32, "selection_split": "none"},
        "network": SMALL,
        "schedule": {"epochs": 4, "batch_size": 8, "warmup_epochs": 0.5},
        "augmentation": {"rotation_degrees": 10, "translation": 0.1},
        "method": {"name": method, "options": options},
    }
    return experiment_from_dict({**values, **more}, "x")


@pytest.fixture
def kaggle(tmp_path: Path) -> Path:
    rows = [(index % 7, "Training", drawn_face(index % 7, index)) for index in range(24)]
    write_fer2013_csv(tmp_path / "fer2013.csv", rows)
    votes = [("Training", [8 * (column == index % 8) + (column == 9) for column in range(10)]) for index in range(24)]
    write_votes_csv(tmp_path / "fer2013new.csv", votes)
    return tmp_path


@pytest.fixture
def training(kaggle: Path) -> Dataset:
    return open_dataset("fer2013", kaggle, "training")


@pytest.fixture
def teachers(kaggle: Path, training: Dataset) -> list[str]:
    """One with both heads at 32 px, one of labels alone at 40 px, one of FERPlus' classes."""
    both = experiment("standard", {"vote_weight": 1.0})
    larger = experiment("standard", {}, seed=1, data={**both_data(), "size_px": 40})
    plus = experiment("standard", {}, seed=2, data={**both_data(), "dataset": "ferplus"})
    files = []
    for number, wanted in enumerate((both, larger, plus)):
        data = training if number < 2 else open_dataset("ferplus", kaggle, "training")
        train(wanted, data, None, kaggle / f"teacher-{number}")
        files.append(str(kaggle / f"teacher-{number}" / "last.safetensors"))
    return files


def both_data() -> dict[str, Any]:
    return {"dataset": "fer2013", "size_px": 32, "selection_split": "none"}


def distilled(kaggle: Path, teachers: list[str], **options: Any) -> Experiment:
    schedule = {"epochs": 4, "batch_size": 8, "warmup_epochs": 0.5, "progressive_crops": True}
    schedule |= {"progressive_size_px": [24], "progressive_epochs": 2}
    wanted = {"teachers": teachers, "vote_weight": 1.0, "views": 2, "folder": str(kaggle / "views"), **options}
    return experiment("distillation", wanted, schedule=schedule)


def batches(state: Training, epoch: int) -> list[DistillationBatch]:
    assert isinstance(state.method, Distillation)
    return [batch for batch in state.method.batches(epoch) if isinstance(batch, DistillationBatch)]


def test_teachers_and_student_see_the_same_view(kaggle: Path, training: Dataset, teachers: list[str]) -> None:
    state = Training(distilled(kaggle, teachers), training, None, CPU)
    batch = batches(state, 3)[0]  # view 1 at full size
    assert batch.images.shape == (8, 1, 32, 32)
    assert isinstance(state.source, BatchSource)
    chosen = state.source.order(24, 3)[:8]
    view = draw_view(state.source, 1, 32)
    assert view.dtype == torch.uint8
    torch.testing.assert_close(batch.images, state.source.normalised(view[chosen].float() / 255))
    assert torch.equal(batch.labels, state.source.labels[chosen])
    expected: dict[str, list[torch.Tensor]] = {"labels": [], "votes": []}
    for number, file in enumerate(teachers):
        network = averaged_network(load_checkpoint(Path(file))).eval()
        images = view[chosen].float() / 255
        if number == 1:
            images = torch.nn.functional.interpolate(images, (40, 40), mode="bilinear", antialias=True)
        images = (images - 0.5) / 0.25
        for mirrored in (images, images.flip(3)):
            with torch.inference_mode():
                features = network.forward_features(mirrored)
                expected["votes" if number == 2 else "labels"].append(network.classify(features).softmax(1))
                if number == 0:
                    assert network.vote_head is not None
                    expected["votes"].append(network.vote_head(features).softmax(1))
    for found, answers in ((batch.taught, expected["labels"]), (batch.taught_votes, expected["votes"])):
        assert found is not None
        torch.testing.assert_close(found, torch.stack(answers).mean(0), rtol=0, atol=1e-3)  # stored as float16


def test_views_take_turns_and_answers_are_stored_once(
    kaggle: Path, training: Dataset, teachers: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    state = Training(distilled(kaggle, teachers), training, None, CPU)
    assert batches(state, 0)[0].images.shape[-1] == 24  # cut out
    for epoch in range(4):
        list(state.method.batches(epoch))
    stored = sorted(file.name for file in (kaggle / "views").rglob("*.safetensors"))
    assert stored == [f"{size}px-view-00{number}.safetensors" for size in (24, 32) for number in (0, 1)]
    first, again = (draw_view(state.source, number, 32) for number in (0, 0))
    assert torch.equal(first, again)
    assert not torch.equal(first, draw_view(state.source, 1, 32))
    monkeypatch.setattr("mien.training.views.Teachers._ask", None)  # nobody is asked again
    other = Training(distilled(kaggle, teachers, mixup=0.2, temperature=2.0), training, None, CPU)
    assert len(batches(other, 3)) == 3
    fewer = Training(distilled(kaggle, teachers[:1]), training, None, CPU)
    with pytest.raises(TypeError, match="not callable"):  # other teachers, other answers
        list(fewer.method.batches(3))


def test_losses_worked_by_hand(kaggle: Path, training: Dataset, teachers: list[str]) -> None:
    options = {"teachers_weight": 0.75, "temperature": 2.0, "label_smoothing": 0.0, "vote_weight": 0.5}
    state = Training(distilled(kaggle, teachers, **options), training, None, CPU)
    batch = batches(state, 2)[0]
    assert batch.taught is not None
    assert batch.taught_votes is not None
    assert batch.votes is not None
    plain = batches(Training(distilled(kaggle, teachers), training, None, CPU), 2)[0]
    assert plain.taught is not None
    roots = plain.taught.sqrt()  # logits divided by 2 are square roots of probabilities
    torch.testing.assert_close(batch.taught, roots / roots.sum(1, keepdim=True))
    network = state.network.eval()
    found = state.method.loss(network, batch, 2)
    with torch.inference_mode():
        features = network.forward_features(batch.images)
        logits, votes = network.classify(features), network.vote_head(features)
        label_loss = -logits.log_softmax(1)[torch.arange(8), batch.labels].mean()
        vote_loss = -(batch.votes * votes.log_softmax(1)).sum(1).mean()
        taught = 4 * -(batch.taught * (logits / 2).log_softmax(1)).sum(1).mean()
        taught += 0.5 * 4 * -(batch.taught_votes * (votes / 2).log_softmax(1)).sum(1).mean()
    assert found["taught"].item() == pytest.approx(taught.item(), rel=1e-5)
    expected = 0.75 * taught + 0.25 * (label_loss + 0.5 * vote_loss)
    assert found["loss"].item() == pytest.approx(expected.item(), rel=1e-5)


def test_mixup_mixes_faces_and_what_is_known_of_them_alike(
    kaggle: Path, training: Dataset, teachers: list[str]
) -> None:
    plain = batches(Training(distilled(kaggle, teachers), training, None, CPU), 2)[0]
    mixed = batches(Training(distilled(kaggle, teachers, mixup=0.5), training, None, CPU), 2)[0]
    again = batches(Training(distilled(kaggle, teachers, mixup=0.5), training, None, CPU), 2)[0]
    assert torch.equal(mixed.images, again.images)
    assert not torch.equal(mixed.images, plain.images)
    for index in range(8):  # own share and the other face, found from the pixels, explain the rest
        own = plain.images[index].flatten()
        fits = []
        for other in range(8):
            direction = plain.images[other].flatten() - own
            step = mixed.images[index].flatten() - own
            share = (step @ direction / (direction @ direction).clamp(min=1e-9)).clamp(0, 1)
            fits.append(((step - share * direction).abs().max().item(), share.item(), other))
        error, share, other = min(fits)
        assert error < 1e-4
        for name in ("targets", "votes", "taught", "taught_votes"):
            values = getattr(plain, name)
            expected = (1 - share) * values[index] + share * values[other]
            torch.testing.assert_close(getattr(mixed, name)[index], expected, rtol=0, atol=1e-4)


def test_faces_without_labels_learn_from_the_teachers_alone(
    kaggle: Path, training: Dataset, teachers: list[str]
) -> None:
    faces = np.stack([drawn_face(index % 7, 100 + index) for index in range(16)])[..., None]
    whole = WithUnlabelled(training, faces)
    assert len(whole) == 40
    assert [whole[index].label for index in (0, 23, 24, 39)] == [training[0].label, training[23].label, -1, -1]
    assert (whole[30].image == faces[6]).all()
    votes = whole.votes()
    assert votes is not None
    assert votes[:24].any(axis=1).all()
    assert not votes[24:].any()
    state = Training(distilled(kaggle, teachers), whole, None, CPU)
    found = batches(state, 2)
    assert len(found) == 5
    labels = torch.cat([batch.labels for batch in found])
    targets = torch.cat([batch.targets for batch in found if batch.targets is not None])
    taught = torch.cat([batch.taught for batch in found if batch.taught is not None])
    assert (labels < 0).sum() == 16
    assert not targets[labels < 0].any()
    torch.testing.assert_close(targets[labels >= 0].sum(1), torch.ones(24))
    torch.testing.assert_close(taught.sum(1), torch.ones(40))
    for batch in found:
        assert math.isfinite(state.method.loss(state.network, batch, 2)["loss"].item())


@pytest.mark.slow
def test_a_killed_distillation_ends_as_an_undisturbed_one(
    kaggle: Path, training: Dataset, teachers: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = distilled(kaggle, teachers, mixup=0.3)
    train(wanted, training, None, kaggle / "whole")
    run_epoch = Training.run_epoch

    def killed(state: Training, progress: Any) -> dict[str, float]:
        if state.epoch == 2:
            raise KeyboardInterrupt
        return run_epoch(state, progress)

    monkeypatch.setattr(Training, "run_epoch", killed)
    with pytest.raises(KeyboardInterrupt):
        train(wanted, training, None, kaggle / "killed")
    monkeypatch.undo()
    train(wanted, training, None, kaggle / "killed", resume=True)
    whole, resumed = (load_checkpoint(kaggle / name / "last.safetensors") for name in ("whole", "killed"))
    assert all(torch.equal(resumed.tensors[name], tensor) for name, tensor in whole.tensors.items())


def test_wrong_distillations(kaggle: Path, training: Dataset, teachers: list[str]) -> None:
    with pytest.raises(ExperimentError, match="method distillation: teachers"):
        check_experiment(experiment("distillation", {}))
    with pytest.raises(CheckpointError, match=r"none\.safetensors: expected a checkpoint or a packaged network"):
        check_experiment(experiment("distillation", {"teachers": ["none.safetensors"]}))
    with pytest.raises(ExperimentError, match="expected targets = 'label'"):
        check_experiment(experiment("distillation", {"teachers": teachers, "targets": "distribution"}))
    with pytest.raises(ExperimentError, match=r"data\.unlabelled does nothing without method 'distillation'"):
        experiment("standard", {}, data={**both_data(), "unlabelled": ["faces"]})
    colour = experiment("distillation", {"teachers": teachers}, data={**both_data(), "channels": 3})
    with pytest.raises(CheckpointError, match="expected a teacher of 3 channels, found 1"):
        Training(colour, training, None, CPU)


@pytest.mark.slow
def test_from_the_command_line_with_unlabelled_faces(kaggle: Path, teachers: list[str]) -> None:
    (kaggle / "faces").mkdir()
    for index in range(8):
        Image.fromarray(drawn_face(index % 7, 200 + index)).save(kaggle / "faces" / f"{index}.png")
    text = f"""
name = "student"
[data]
dataset = "fer2013"
size_px = 32
selection_split = "none"
unlabelled = ["faces"]
[network]
name = "dense-face"
options = {{ widths = [8, 8], depths = [1, 1] }}
[schedule]
epochs = 2
batch_size = 8
[method]
name = "distillation"
[method.options]
teachers = ["{teachers[0]}"]
vote_weight = 1.0
folder = "{kaggle / "views"}"
"""
    (kaggle / "student.toml").write_text(text)
    command = ["train", str(kaggle / "student.toml"), "--root", str(kaggle), "--out", str(kaggle / "student")]
    refused = CliRunner().invoke(app, command)
    assert "expected --unlabelled, the file or folder where faces are" in str(refused.exception)
    more = ["--unlabelled", str(kaggle / "faces"), "--export", str(kaggle / "student.onnx")]
    result = CliRunner().invoke(app, command + more)
    assert result.exit_code == 0, result.output
    assert load_checkpoint(kaggle / "student" / "last.safetensors").header.training_images == 32
    learned_from = OnnxScorer(str(kaggle / "student.onnx")).card.learned_from
    assert learned_from == (Split("fer2013", "training"), Split("faces", "all"))

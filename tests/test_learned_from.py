import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import drawn_face, write_fer2013_csv

from mien.datasets import Split, open_dataset, training_pixel_keys
from mien.scorer import OnnxScorer
from mien.training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from mien.training.config import Experiment, experiment_from_dict
from mien.training.deployment import deployable_network, make_card
from mien.training.learned_from import learned_splits
from mien.training.loop import train
from mien.weights import ModelCard, list_models
from mien.weights.learned_from import splits_of_older_card


def experiment(dataset: str, split: str, method: str = "standard", weights: str = "", **options: object) -> Experiment:
    return experiment_from_dict(
        {
            "name": "x",
            "data": {"dataset": dataset, "training_split": split, "selection_split": "none", "size_px": 32},
            "network": {"name": "dense-face", "options": {"widths": [4, 4], "depths": [1, 1]}, "weights": weights},
            "schedule": {"epochs": 1, "steps_per_epoch": 1, "batch_size": 4, "warmup_epochs": 0},
            "method": {"name": method, "options": options},
        },
        "x",
    )


def trained(wanted: Experiment, root: Path, out: Path, initial: str = "") -> Checkpoint:
    training = open_dataset(wanted.data.dataset, root, wanted.data.training_split)
    train(wanted, training, None, out, initial=initial)
    return load_checkpoint(out / "last.safetensors")


def card_of(checkpoint: Checkpoint) -> ModelCard:
    return make_card(checkpoint, deployable_network(checkpoint), None, "none")


def test_leaks_are_found_whatever_a_split_is_called(class_folders: Path, tmp_path: Path) -> None:
    shutil.copytree(class_folders / "training", tmp_path / "train set")
    shutil.copytree(class_folders / "public_test", tmp_path / "test set")
    shutil.copy(tmp_path / "train set" / "sad" / "0.png", tmp_path / "test set" / "sad" / "again.png")
    card = card_of(trained(experiment("folder", "train set"), tmp_path, tmp_path / "run"))
    assert card.dataset == "folder train set"
    assert card.learned_from == (Split("folder", "train set"),)
    assert len(training_pixel_keys("folder", tmp_path, "test set", card.learned_from)) == 96


@pytest.fixture
def fer2013(tmp_path: Path) -> Path:
    rows = [(index % 7, "Training", drawn_face(index % 7, index)) for index in range(40)]
    write_fer2013_csv(tmp_path / "fer2013.csv", rows)
    return tmp_path


REST = "tenth-of-training-training"


def test_what_teachers_and_starting_weights_learned_from_is_recorded(fer2013: Path) -> None:
    trained(experiment("fer2013", "training"), fer2013, fer2013 / "first")
    first = str(fer2013 / "first" / "last.safetensors")
    started = trained(experiment("fer2013", REST, weights=first), fer2013, fer2013 / "started")
    given = trained(experiment("fer2013", REST), fer2013, fer2013 / "given", initial=first)
    taught = experiment("fer2013", REST, "distillation", teachers=[first], folder=str(fer2013 / "views"), views=1)
    distilled = trained(taught, fer2013, fer2013 / "distilled")
    shutil.rmtree(fer2013 / "first")  # nothing is read again
    expected = (Split("fer2013", REST), Split("fer2013", "training"))
    for checkpoint in (started, given, distilled):
        assert learned_splits(checkpoint.header) == card_of(checkpoint).learned_from == expected


def test_where_older_checkpoints_do_not_tell_it_is_not_claimed(fer2013: Path, caplog: pytest.LogCaptureFixture) -> None:
    first = trained(experiment("fer2013", "training"), fer2013, fer2013 / "first")
    lost = experiment("fer2013", "training", weights=str(fer2013 / "lost.safetensors"))
    older = replace(first.header, experiment=lost, learned_from=())
    save_checkpoint(fer2013 / "older.safetensors", Checkpoint(first.tensors, older))
    second = trained(experiment("fer2013", REST), fer2013, fer2013 / "run", initial=str(fer2013 / "older.safetensors"))
    assert second.header.learned_from == ()
    assert "lost.safetensors: expected a checkpoint or a packaged network" in caplog.text
    assert card_of(second).learned_from == (Split("fer2013", REST),)


def test_cards_of_older_files_are_read_from_their_sentence() -> None:
    told = "fer2013 labelled-25-of-training, with FERPlus votes, with faces of lfw all labelled by rank-order"
    assert splits_of_older_card(told) == (Split("fer2013", "labelled-25-of-training"), Split("lfw", "all"))
    assert splits_of_older_card("ckplus fold-1-of-10-training, started from rlr-cnet") == (
        Split("ckplus", "fold-1-of-10-training"),
    )
    for card in list_models():  # the manifest says it; the files were written before
        assert OnnxScorer(card.name).card == card
        assert len(card.learned_from) == 1

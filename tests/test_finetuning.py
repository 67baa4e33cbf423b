import json
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from conftest import drawn_face
from PIL import Image
from school import experiment, face

from mien import Recognizer
from mien.cli import app
from mien.datasets import open_dataset, pixel_key
from mien.errors import DatasetError, ExperimentError, MienError
from mien.evaluation.doubts import doubts, nearly_alike
from mien.export.finetuning import finetune
from mien.training.joint.label_check import second_opinion, warnings_of
from mien.training.joint.rounds import train_rounds
from mien.training.own_faces import VALIDATION, experiment_for, open_own_faces

NAMES = ("attentive", "bored", "happiness")
SHORT = ("schedule.epochs=2", "schedule.warmup_epochs=0.5", "schedule.steps_per_epoch=3", "schedule.batch_size=8")


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three classes of ten drawn faces, one of them twice, and a damaged file."""
    root = tmp_path_factory.mktemp("own") / "faces"
    for label, name in enumerate(NAMES):
        (root / name).mkdir(parents=True)
        for index in range(10):
            Image.fromarray(drawn_face(3 * label + 1, 100 * label + index)).save(root / name / f"{index}.png")
    (root / "bored" / "copy.png").write_bytes((root / "bored" / "3.png").read_bytes())
    (root / "bored" / "damaged.png").write_bytes(b"damaged")
    return root


def test_a_fifth_of_each_class_is_kept_and_equal_pixels_stay_together(
    faces: Path, caplog: pytest.LogCaptureFixture
) -> None:
    training, validation = open_own_faces(faces)
    assert training.expressions == validation.expressions == NAMES
    assert [sum(each.label == label for each in validation) for label in range(3)] in ([2, 2, 2], [2, 3, 2])
    assert len(training) + len(validation) == 31
    assert not {pixel_key(each.image) for each in training} & {pixel_key(each.image) for each in validation}
    assert "left out: " in caplog.text
    assert "damaged.png" in caplog.text


def test_what_does_not_serve_is_told_before_any_training(
    faces: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("bored", "tired"):
        (tmp_path / "few" / name).mkdir(parents=True)
        for index in range(6):
            Image.fromarray(drawn_face(1, index)).save(tmp_path / "few" / name / f"{index}.png")
    with pytest.raises(DatasetError, match="tired: expected at least 5 different faces of each class, found 0"):
        open_own_faces(tmp_path / "few")
    assert "6 pictures stand in two classes" in caplog.text
    with pytest.raises(ExperimentError, match=r"unknown key 'schedule.epoch'; known: batch_size"):
        finetune(faces, tmp_path / "x.onnx", settings=("schedule.epoch=3",))
    with pytest.raises(MienError, match="nothing: expected a checkpoint or a packaged network"):
        finetune(faces, tmp_path / "x.onnx", weights="nothing")
    for words, message in (
        (["--out", str(tmp_path / "x.jpg")], "expected the name of an ONNX file for --out"),
        (["--out", str(tmp_path / "x")], "found the same for --out and --run"),
        (["--out", str(faces / "x.onnx")], "expected --out outside of"),
        (["--out", str(tmp_path / "x.onnx"), "--unlabelled", str(faces / "bored")], "expected --unlabelled outside of"),
    ):
        result = CliRunner().invoke(app, ["finetune", str(faces), *words])
        assert result.exit_code
        assert message in result.stderr.replace("\n", " ") + str(result.exception)
    assert not any(each.suffix == ".onnx" or each.name == "x" for each in tmp_path.iterdir())


@pytest.mark.parametrize(("images", "shown"), [(30, 1920), (120, 3520), (10_000, 30_080)])
def test_the_schedule_follows_the_number_of_images(images: int, shown: int) -> None:
    schedule = experiment_for("mine", images, "mien-1m", False).schedule
    assert schedule.epochs * schedule.steps_per_epoch * schedule.batch_size == shown
    assert schedule.selection_every == schedule.epochs  # nothing is chosen by the validation faces
    assert experiment_for("mine", images, "mien-1m", False, 0, ("schedule.epochs=4",)).schedule.selection_every == 4


@pytest.fixture(scope="module")
def finetuned(faces: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    folder = tmp_path_factory.mktemp("finetuned")
    words = ["finetune", str(faces), "--out", str(folder / "mine.onnx"), *(f"--set={each}" for each in SHORT)]
    return folder, CliRunner().invoke(app, words)


def test_the_network_knows_the_classes_and_its_report_is_of_faces_kept_apart(
    finetuned: tuple[Path, Any], faces: Path
) -> None:
    folder, result = finetuned
    assert result.exit_code == 0, result.output
    assert result.stdout == f"{folder / 'mine.onnx'}\n"
    run = folder / "mine"
    values = json.loads((run / "report.json").read_text())
    count = len(open_own_faces(faces)[1])
    assert (values["model"], values["split"], values["n"]) == ("mine", VALIDATION, count)
    low, high = values["accuracy_interval"]
    assert f"accuracy {values['accuracy']:.3f} [{low:.3f}, {high:.3f}] on {count} validation faces" in result.stderr
    with Image.open(run / "confusion.png") as picture:
        assert min(picture.size) > 100
    assert (run / "report.md").read_text().startswith("# mine on folder, random-80-20-by-class\n")
    assert [each.name for each in run.glob("answered-*.png")]
    recognizer = Recognizer(folder / "mine.onnx", "whole-image")
    assert recognizer.expressions == NAMES
    (found,) = recognizer.recognize(faces / "bored" / "0.png")
    assert sum(found.scores.values()) == pytest.approx(1, abs=1e-5)
    learned = {str(each) for each in recognizer.scorer.card.learned_from}
    assert {"folder random-80-20-by-class-training", "fer2013 tenth-of-training-training"} <= learned


def test_a_run_is_not_overwritten_and_goes_on(finetuned: tuple[Path, Any], faces: Path) -> None:
    folder, _ = finetuned
    words = ["finetune", str(faces), "--out", str(folder / "mine.onnx"), *(f"--set={each}" for each in SHORT)]
    again = CliRunner().invoke(app, words)
    assert "holds a training of 2 epochs; resume it with --resume, or choose another folder" in str(again.exception)
    before = (folder / "mine" / "last.safetensors").read_bytes()
    assert CliRunner().invoke(app, [*words, "--resume"]).exit_code == 0
    assert (folder / "mine" / "last.safetensors").read_bytes() == before


def test_unlabelled_faces_are_labelled_and_checked(faces: Path, tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    for index in range(30):
        Image.fromarray(drawn_face(3 * (index % 3) + 1, 5000 + index)).save(tmp_path / "more" / f"{index}.png")
    settings = (*SHORT, "joint.rounds=1", "joint.epochs=1", "joint.labelling=confidence", "joint.confidence=0")
    done = finetune(faces, tmp_path / "mine.onnx", tmp_path / "more", settings=settings)
    assert done.model == tmp_path / "mine.onnx"
    assert done.model.is_file()
    check = json.loads((tmp_path / "mine" / "round-1" / "check.json").read_text())
    assert check["hidden_labels"]["faces"] == check["hidden_labels"]["named"] == done.report.values["n"]
    assert set(check["packaged_network"]["by_class"]) <= {"happiness"}  # the one class that it knows
    assert set(warnings_of(check, tmp_path / "mine" / "round-1")) <= set(done.warnings)
    page = (tmp_path / "mine" / "report.md").read_text()
    assert all(f"- {line}\n" in page for line in done.warnings)


def test_an_interruption_tells_how_to_go_on(faces: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("mien.export.finetuning.finetune", interrupted)
    result = CliRunner().invoke(app, ["finetune", str(faces), "--out", str(tmp_path / "mine.onnx")])
    assert result.exit_code == 130
    assert f"interrupted; whole epochs are kept in {tmp_path / 'mine'}, go on with --resume" in result.stderr


def test_labels_of_unlabelled_faces_are_checked_by_hidden_ones(
    school: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "mien")
    parts = (open_dataset("folder", school / "labelled", name) for name in ("training", "public_test"))
    labelled, selection = parts
    unlabelled = open_dataset("faces", school / "unlabelled", "all")
    wanted = experiment(rounds=1)
    assert wanted.joint is not None
    data = replace(wanted.data, selection_split="public_test")
    checked = replace(wanted, joint=replace(wanted.joint, check=True), data=data)
    plain = train_rounds(wanted, labelled, unlabelled, selection, tmp_path / "plain")
    result = train_rounds(checked, labelled, unlabelled, selection, tmp_path / "checked")
    hidden = json.loads((tmp_path / "checked" / "round-1" / "check.json").read_text())["hidden_labels"]
    assert hidden["faces"] == len(selection) == 24
    assert hidden["right"] <= hidden["named"] <= 24
    assert f"of 24 labelled faces with hidden labels {hidden['named']} got one, {hidden['right']} the" in caplog.text
    same = ("labels.csv", "round.json")
    for name in same:  # the check changes nothing
        first, second = (tmp_path / run / "round-1" / name for run in ("plain", "checked"))
        assert first.read_bytes() == second.read_bytes()
    assert plain.history[-1]["training_loss"] == result.history[-1]["training_loss"]


def test_the_packaged_network_tells_what_it_sees_in_new_faces(examples: Path) -> None:
    recognizer = Recognizer()
    _, crops = recognizer.find_faces(next(iter(sorted(examples.glob("*.jpg")))))
    answer = recognizer.expressions[int(recognizer.score_faces(crops[:1])[0].argmax())]
    wrong = "sadness" if answer == "happiness" else "happiness"
    shown = np.repeat(crops[:1], 6, axis=0)
    preprocessing = recognizer.scorer.card.preprocessing
    found = second_opinion(shown, np.zeros(6, np.int64), (wrong, "bored"), preprocessing)
    assert found is not None
    assert found["by_class"] == {wrong: {"faces": 6, "otherwise": 6, "mostly": answer}}
    assert second_opinion(shown, np.zeros(6, np.int64), ("bored", "tired"), preprocessing) is None
    check = {"hidden_labels": {"faces": 9, "named": 8, "right": 6}, "packaged_network": found}
    by_hidden, by_network = warnings_of(check, Path("round-1"))
    assert "of 8 faces whose hidden label is known, 6 got the right one" in by_hidden
    assert f"6 of 6 new faces labelled {wrong} show something else to {found['model']}" in by_network
    assert f"most often {answer}: look at round-1/new-{wrong}.png" in by_network
    check["hidden_labels"]["right"] = 8
    check["packaged_network"] = None
    assert warnings_of(check, Path("round-1")) == []


def test_too_good_a_result_is_doubted() -> None:
    others = np.stack([face(label, seed)[:, :, None] for label in range(3) for seed in range(4)])
    brighter = np.clip(others[:2].astype(int) * 1.1 + 5, 0, 255).astype(np.uint8)
    assert nearly_alike(np.concatenate((brighter, others[:1].transpose(0, 2, 1, 3))), others).tolist() == [
        *(True, True),
        False,
    ]
    report = {
        "n": 30,
        "accuracy": 0.97,
        "accuracy_interval": [0.9, 1.0],
        "per_class": {"bored": {"n": 20}, "tired": {"n": 10}},
    }
    twins, good = doubts(report, 4)
    assert twins.startswith("4 of 30 validation faces are nearly the same picture as a training face")
    assert good.startswith("an accuracy of 0.970 is more than people reach")
    (poor,) = doubts({**report, "accuracy": 0.7, "accuracy_interval": [0.5, 0.9]}, 0)
    assert "from 0.500, holds the 0.667 of always answering bored" in poor
    assert doubts({**report, "accuracy": 0.8, "accuracy_interval": [0.7, 0.9]}, 0) == []

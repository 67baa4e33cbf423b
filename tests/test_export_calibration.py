"""Exports that are calibrated on faces which the network has not learned from."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from conftest import drawn_face, write_fer2013_csv

from mien.cli import app
from mien.datasets import Split, as_faces, open_dataset, pixel_key
from mien.errors import DatasetError, ModelError
from mien.evaluation.calibration import fit_temperature, unsure_threshold
from mien.evaluation.metrics import negative_log_likelihood
from mien.export.calibration_faces import CalibrationSplit, HeldOut, held_out_faces, range_faces
from mien.export.classifier import calibrate
from mien.export.pipeline import export_checkpoint
from mien.expressions import BASIC_7
from mien.models import NETWORKS, build_network
from mien.preprocessing import Preprocessing
from mien.scorer import OnnxScorer, softmax
from mien.training.checkpoint import Checkpoint, Header, load_checkpoint, save_checkpoint
from mien.training.config import experiment_from_dict
from mien.training.deployment import deployable_network, make_card
from mien.training.learned_from import learned_splits
from mien.training.torch_scorer import TorchScorer
from mien.weights import FOLDER, ModelCard, read_model

TRAINING, PUBLIC_TEST, REPEATED = 600, 80, 10


@pytest.fixture(scope="module")
def fer2013(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Drawn faces; of the public test, the first ones stand in the training split too."""
    rows = [(index % 7, "Training", drawn_face(index % 7, index)) for index in range(TRAINING)]
    rows += [(emotion, "PublicTest", face) for emotion, _, face in rows[:REPEATED]]
    rows += [
        (index % 7, "PublicTest", drawn_face(index % 7, 10_000 + index)) for index in range(PUBLIC_TEST - REPEATED)
    ]
    file = tmp_path_factory.mktemp("fer2013") / "fer2013.csv"
    write_fer2013_csv(file, rows)
    return file


def header(training_split: str, dataset: str = "fer2013", weights: str = "") -> Header:
    experiment = {
        "name": "drawn",
        "data": {"dataset": dataset, "training_split": training_split},
        "network": {"name": "shufflenet-v2", "weights": weights},
        "schedule": {"epochs": 2},
    }
    return Header(experiment_from_dict(experiment, "x"), BASIC_7, Preprocessing(), history=({},))


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network that tells drawn faces apart by where their bright part is, twice as sure as its weights say."""
    torch.manual_seed(0)
    network = build_network("shufflenet-v2", 7, 1, {}).train()
    for _ in range(3):
        network(torch.randn(16, 1, 48, 48))
    tensors = {f"average/{name}": tensor for name, tensor in network.state_dict().items()}
    file = tmp_path_factory.mktemp("checkpoint") / "best.safetensors"
    save_checkpoint(file, Checkpoint(tensors, header("tenth-of-training-training")))
    return file


def card(**changes: Any) -> ModelCard:
    entry = ModelCard("x", BASIC_7, Preprocessing(), "nothing", 1, 2, {}, "none", "none").to_dict()
    return ModelCard.from_dict({**entry, **changes}, 0, "test")


@pytest.mark.parametrize(
    ("name", "options"),
    [*((name, {}) for name in NETWORKS), *(("rlr-cnet-dual", {"head": head}) for head in ("two", "concatenated"))],
)
def test_logits_of_every_network_can_be_divided(name: str, options: dict[str, Any]) -> None:
    torch.manual_seed(0)
    network = build_network(name, 5, 1, options).eval()
    faces = torch.randn(3, 1, 48, 48)
    with torch.inference_mode():
        before = network(faces)
    network.divide_logits(2.5)
    with torch.inference_mode():
        torch.testing.assert_close(network(faces), before / 2.5)


def test_a_network_that_is_too_sure_is_told_how_much(checkpoint: Path, fer2013: Path) -> None:
    network = deployable_network(load_checkpoint(checkpoint))
    faces, _ = as_faces(open_dataset("fer2013", fer2013, "all")[:], Preprocessing())
    generator, logits = np.random.default_rng(0), TorchScorer(network, Preprocessing()).logits(faces)
    network.divide_logits(logits.std() / 2)  # so that classes differ
    probabilities = TorchScorer(network, Preprocessing())(faces)
    labels = np.array([generator.choice(7, p=row / row.sum()) for row in probabilities.astype(float)])
    network.divide_logits(1 / 3)
    source = CalibrationSplit("fer2013", fer2013, "all")
    calibrated = calibrate(network, card(), HeldOut(source, faces, labels))
    assert calibrated.temperature == pytest.approx(3, rel=0.15)
    assert calibrated.calibration == "fer2013 all"
    after = TorchScorer(network, Preprocessing())(faces)
    assert negative_log_likelihood(after, labels) <= negative_log_likelihood(probabilities, labels) + 1e-6
    answers = {BASIC_7[index] for index in after.argmax(axis=1)}
    assert set(calibrated.never_answered) == set(BASIC_7) - answers
    again = calibrate(network, card(), HeldOut(source, faces, labels))
    assert again.temperature == pytest.approx(1, abs=1e-4)
    assert calibrated.unsure_below == pytest.approx(unsure_threshold(after, labels), abs=1e-6)
    assert 0.2 < calibrated.unsure_below < 1
    network.divide_logits(2)
    kept = calibrate(network, card(), HeldOut(replace(source, keep_temperature=True), faces, labels))
    shy = TorchScorer(network, Preprocessing())(faces)
    assert negative_log_likelihood(shy, labels) > negative_log_likelihood(after, labels)
    assert (kept.temperature, kept.calibration) == (1.0, "fer2013 all")
    assert kept.unsure_below == pytest.approx(unsure_threshold(shy, labels), abs=1e-6)


def test_export_folds_the_temperature_into_the_weights(checkpoint: Path, fer2013: Path, tmp_path: Path) -> None:
    out = tmp_path / "calibrated.onnx"
    command = ["export", str(checkpoint), "--out", str(out), "--calibrate-on", "fer2013"]
    result = CliRunner().invoke(app, [*command, "--root", str(fer2013)])
    assert result.exit_code == 0, result.output
    scorer = OnnxScorer(str(out))
    found = f"temperature {scorer.card.temperature:.3f}, unsure below {scorer.card.unsure_below:.3f}"
    assert f"{found}, by fer2013 tenth-of-training\n" in result.stderr
    faces, labels = as_faces(open_dataset("fer2013", fer2013, "tenth-of-training")[:], Preprocessing())
    before = TorchScorer(deployable_network(load_checkpoint(checkpoint)), Preprocessing()).logits(faces)
    temperature = fit_temperature(before, labels)
    assert scorer.card.temperature == pytest.approx(temperature, abs=1e-6)
    assert scorer.card.calibration == "fer2013 tenth-of-training"
    assert scorer.card.unsure_below == pytest.approx(unsure_threshold(softmax(before / temperature), labels), abs=1e-5)
    np.testing.assert_allclose(scorer.logits_and_features(faces)[0], before / temperature, atol=1e-4)
    np.testing.assert_allclose(scorer(faces), softmax(before / np.float32(temperature)), atol=1e-5)
    for wrong in ([], ["--root", "x"], ["--calibration-split", "x"], ["--keep-temperature"]):
        result = CliRunner().invoke(app, [*command[:4], *wrong] if wrong else command)
        assert result.exit_code == 2
        assert "expected --calibrate-on and --root together" in result.output


def test_faces_that_were_learned_are_refused(fer2013: Path) -> None:
    source = CalibrationSplit("fer2013", fer2013)
    for learned in (header("training"), header("labelled-50-of-training"), header("training", "rafdb")):
        checkpoint = Checkpoint({}, learned)
        if learned.experiment.data.dataset == "rafdb":  # which is of other pictures
            assert len(held_out_faces(source, checkpoint, card()).faces) == 60
            continue
        with pytest.raises(
            DatasetError, match=r"^fer2013 tenth-of-training: expected at least 50 faces that .*found 0"
        ):
            held_out_faces(source, checkpoint, card())


def test_faces_that_were_learned_are_left_out(fer2013: Path) -> None:
    checkpoint = Checkpoint({}, header("tenth-of-training-training"))
    held_out = held_out_faces(CalibrationSplit("fer2013", fer2013), checkpoint, card())
    expected = as_faces(open_dataset("fer2013", fer2013, "tenth-of-training")[:], Preprocessing())
    assert (held_out.faces == expected[0]).all()
    assert (held_out.labels == expected[1]).all()
    seen = {pixel_key(each.image) for each in open_dataset("fer2013", fer2013, "tenth-of-training-training")}
    public = open_dataset("fer2013", fer2013, "public_test")
    found = held_out_faces(CalibrationSplit("fer2013", fer2013, "public_test"), checkpoint, card()).faces
    repeated = sum(pixel_key(each.image) in seen for each in public)
    assert 0 < repeated <= REPEATED
    assert len(found) == PUBLIC_TEST - repeated
    everything = held_out_faces(CalibrationSplit("fer2013", fer2013, "training"), checkpoint, card()).faces
    assert sorted(map(pixel_key, everything)) == sorted(map(pixel_key, held_out.faces))


def test_what_a_network_started_from_counts_as_learned(fer2013: Path, tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "first", Checkpoint({"a": torch.zeros(1)}, header("training")))
    second = Checkpoint({}, header("tenth-of-training-training", weights=str(tmp_path / "first")))
    assert learned_splits(second.header) == (
        Split("fer2013", "tenth-of-training-training"),
        Split("fer2013", "training"),
    )
    with pytest.raises(DatasetError, match=r"\(fer2013 tenth-of-training-training, fer2013 training\), found 0"):
        held_out_faces(CalibrationSplit("fer2013", fer2013), second, card())


def test_other_classes_are_refused(fer2013: Path) -> None:
    checkpoint = Checkpoint({}, header("tenth-of-training-training"))
    with pytest.raises(
        DatasetError, match="fer2013 tenth-of-training: expected the network's classes a, b, found anger"
    ):
        held_out_faces(CalibrationSplit("fer2013", fer2013), checkpoint, card(expressions=["a", "b"]))


def test_ranges_are_of_faces_that_were_learned(fer2013: Path) -> None:
    checkpoint = Checkpoint({}, header("tenth-of-training-training"))
    faces = range_faces(CalibrationSplit("fer2013", fer2013), checkpoint, card())
    learned = {pixel_key(each.image) for each in open_dataset("fer2013", fer2013, "tenth-of-training-training")}
    assert faces.shape == (300, 48, 48, 1)
    assert len(set(map(pixel_key, faces)) & learned) == 300
    assert (faces == range_faces(CalibrationSplit("fer2013", fer2013, "public_test"), checkpoint, card())).all()
    other = Checkpoint({}, header("training", "rafdb"))
    with pytest.raises(DatasetError, match="fer2013: expected the faces of rafdb, from whose training the ranges"):
        range_faces(CalibrationSplit("fer2013", fer2013), other, card())


def test_cards_of_older_versions_are_not_calibrated(checkpoint: Path) -> None:
    fields = {"temperature": 1.5, "calibration": "fer2013 x", "unsure_below": 0.5, "never_answered": ["fear"]}
    entry = card(**fields).to_dict()
    assert {key: entry[key] for key in fields} == fields
    older = ModelCard.from_dict({key: entry[key] for key in entry if key not in fields}, 0, "x")
    assert (older.temperature, older.calibration, older.unsure_below) == (1.0, "", 0.0)
    loaded = load_checkpoint(checkpoint)
    assert make_card(loaded, deployable_network(loaded), None, "none").temperature == 1.0


@pytest.fixture
def packaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkpoint made from the packaged starting weights, whose ONNX file is there already."""
    monkeypatch.setattr("mien.export.classifier.to_onnx", lambda network, card: read_model("rlr-cnet"))
    weights = load_checkpoint(FOLDER / "rlr-cnet.safetensors")
    changed = replace(weights.header, history=({},), experiment=replace(weights.header.experiment, name="small"))
    tensors = {name: tensor.float() for name, tensor in weights.tensors.items()}
    save_checkpoint(tmp_path / "packaged", Checkpoint(tensors, changed))
    return tmp_path / "packaged"


def export_in_int8(checkpoint: Path, fer2013: Path, *more: str) -> Result:
    out = str(checkpoint.with_suffix(".onnx"))
    options = ["--calibrate-on", "fer2013", "--root", str(fer2013), *more]
    return CliRunner().invoke(app, ["export", str(checkpoint), "--out", out, "--int8", *options])


def test_int8_is_accepted_by_what_it_costs(packaged: Path, fer2013: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for limit in ("LOST_ACCURACY", "KL_DIVERGENCE", "ADDED_ECE"):
        monkeypatch.setattr(f"mien.export.precision.MOST_{limit}", 1.0)
    split = ("--calibration-split", "public_test", "--keep-temperature")
    result = export_in_int8(packaged, fer2013, *split)
    assert result.exit_code == 0, result.output
    card = OnnxScorer(str(packaged.with_suffix(".onnx"))).card
    assert card.model_bytes < 1_400_000
    assert (card.temperature, card.calibration) == (1.0, "")  # as in the file that is there already
    monkeypatch.setattr("mien.export.precision.MOST_KL_DIVERGENCE", 0.0)
    for file in packaged.parent.iterdir():
        if file != packaged:
            file.unlink()
    result = export_in_int8(packaged, fer2013, *split)
    assert isinstance(result.exception, ModelError)
    assert "int8 on 70 faces of fer2013 public_test: expected accuracy" in str(result.exception)
    assert [file.name for file in packaged.parent.iterdir()] == ["packaged"]


def test_int8_needs_faces_that_were_not_learned(packaged: Path, fer2013: Path) -> None:
    result = export_in_int8(packaged, fer2013)
    assert isinstance(result.exception, DatasetError)
    assert "(fer2013 training), found 0 of 60" in str(result.exception)
    with pytest.raises(ModelError, match=r"expected real faces for int8 \(--calibrate-on and --root\), found none"):
        export_checkpoint(packaged, packaged.with_suffix(".onnx"), None, "none", precision="int8")
    assert [file.name for file in packaged.parent.iterdir()] == ["packaged"]

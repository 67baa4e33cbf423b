import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from mien.cli import app
from mien.datasets import Split, as_faces, open_dataset
from mien.errors import CheckpointError, ModelError
from mien.export.drawn_faces import drawn_faces
from mien.export.manifest import enter_into_manifest, read_manifest
from mien.export.pipeline import export_checkpoint
from mien.export.precision import to_half_weights, to_int8, to_int8_weights
from mien.expressions import BASIC_7
from mien.models import build_network
from mien.preprocessing import Preprocessing, to_network_input
from mien.scorer import OnnxScorer
from mien.training.checkpoint import Checkpoint, Header, load_checkpoint, save_checkpoint
from mien.training.config import experiment_from_dict
from mien.training.deployment import deployable_network
from mien.training.initial_weights import load_initial_weights
from mien.training.torch_scorer import TorchScorer
from mien.weights import ModelCard, read_model


def header_of(experiment: dict[str, Any], expressions: tuple[str, ...], accuracy: float) -> Header:
    history = ({"selection_accuracy": accuracy},)
    return Header(experiment_from_dict(experiment, "x"), expressions, Preprocessing(), history=history)


@pytest.fixture(scope="module", params=["rlr-cnet", "rlr-cnet-dual", "shufflenet-v2", "fer-mobilenet-v3"])
def checkpoint(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint whose batch-norm statistics are not the initial ones."""
    torch.manual_seed(0)
    network = build_network(request.param, 3, 1, {"dropout": 0.3}).train()
    for _ in range(3):
        network(torch.randn(16, 1, 48, 48))
    for name, parameter in network.named_parameters():
        if "attentions" in name:  # which start as constants
            parameter.data += 0.3 * torch.randn_like(parameter)
    experiment = {
        "name": "drawn",
        "data": {"dataset": "d", "training_split": "t", "selection_split": "s"},
        "network": {"name": request.param, "options": {"dropout": 0.3}},
        "schedule": {"epochs": 2},
        "method": {"name": "cumulative" if request.param == "rlr-cnet-dual" else "standard"},
    }
    header = header_of(experiment, ("a", "b", "c"), 0.25)
    tensors = {f"average/{name}": tensor for name, tensor in network.state_dict().items()}
    file = tmp_path_factory.mktemp("checkpoint") / "best.safetensors"
    save_checkpoint(file, Checkpoint(tensors, header))
    return file


@pytest.fixture(scope="module")
def exported(checkpoint: Path) -> Path:
    """The checkpoint's ONNX file, with a manifest beside it."""
    out = checkpoint.parent / "deep" / "drawn.onnx"
    assert export_checkpoint(checkpoint, out, None, "public domain") < 1e-4
    return out


def test_onnx_equals_torch_in_any_batch(checkpoint: Path, exported: Path) -> None:
    network = deployable_network(load_checkpoint(checkpoint))
    scorer = OnnxScorer(str(exported))
    faces = np.random.default_rng(0).integers(0, 256, (65, 48, 48, 1)).astype(np.uint8)
    expected = TorchScorer(network, Preprocessing()).logits(faces)
    for count in (1, 2, 65):
        logits, features = scorer.logits_and_features(faces[:count])
        np.testing.assert_allclose(logits, expected[:count], atol=1e-4)
        assert features.shape == (count, network.feature_count)
        with torch.inference_mode():
            np.testing.assert_allclose(network.classify(torch.from_numpy(features)), logits, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "size", "agreement", "difference"),
    [("fp16", 0.52, 0.99, 0.01), ("int8-weights", 0.3, 0.98, 0.05), ("int8", 0.32, 0.9, 0.35)],
)
def test_smaller_files_answer_like_the_packaged_network(
    tmp_path: Path, name: str, size: float, agreement: float, difference: float
) -> None:
    encoded = read_model("rlr-cnet")
    faces = drawn_faces(Preprocessing(), 256)
    make = {
        "fp16": to_half_weights,
        "int8-weights": to_int8_weights,
        "int8": lambda encoded: to_int8(encoded, to_network_input(faces[:64], Preprocessing())),
    }
    (tmp_path / name).write_bytes(make[name](encoded))
    scorer = OnnxScorer(str(tmp_path / name))
    assert scorer.card.name == "rlr-cnet"
    assert scorer.card.model_bytes < size * len(encoded)
    scores, expected = scorer(faces), OnnxScorer("rlr-cnet")(faces)
    assert (scores.argmax(axis=1) == expected.argmax(axis=1)).mean() > agreement
    assert 0 < np.abs(scores - expected).max() < difference


def test_one_precision_at_a_time(tmp_path: Path) -> None:
    for more in (["--int8", "--fp16"], ["--int8-weights", "--fp16"]):
        result = CliRunner().invoke(app, ["export", str(tmp_path / "c"), "--out", str(tmp_path / "c.onnx"), *more])
        assert result.exit_code == 2
        assert "expected one of --fp16, --int8 and --int8-weights, found 2" in result.output


def test_file_and_manifest_tell_the_same(exported: Path) -> None:
    manifest = json.loads((exported.parent / "manifest.json").read_text())
    assert manifest["default"] == "drawn"
    entry = manifest["models"]["drawn"]
    assert entry["file"] == "drawn.onnx"
    assert entry["scores"] == {"d s accuracy": 0.25}
    assert entry["licence"] == "public domain"
    assert entry["paper"].startswith("https://")
    card = OnnxScorer(str(exported)).card
    assert {**entry, **card.to_dict()} == entry
    assert card.learned_from == (Split("d", "t"),)
    assert not list(exported.parent.glob("part-*"))
    assert str(Path(torch.__file__).parents[1]).encode() not in exported.read_bytes()


def test_manifest_keeps_other_entries(tmp_path: Path) -> None:
    for name, classes in (("first", ("a", "b")), ("second", ("a", "c")), ("first", ("a", "d"))):
        card = ModelCard(name, classes, Preprocessing(), "drawn", 1, 2, {}, "none", "none")
        manifest = read_manifest(tmp_path / "manifest.json")
        enter_into_manifest(manifest, tmp_path / f"{name}.onnx", name.encode(), card.to_dict())
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert manifest["default"] == "first"
    assert {name: entry["expressions"][1] for name, entry in manifest["models"].items()} == {
        "first": "d",
        "second": "c",
    }


def test_another_manifest_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text('{"name": "a web app"}')
    with pytest.raises(ModelError, match=r"manifest\.json: expected a manifest of mien, found another file"):
        read_manifest(tmp_path / "manifest.json")


def test_a_difference_to_torch_leaves_no_file(
    checkpoint: Path, exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mien.export.classifier.to_onnx", lambda network, card: exported.read_bytes())
    broken = load_checkpoint(checkpoint)
    for difference, found in ((0.01, r"1\.0e-02"), (float("nan"), "nan")):
        broken.tensors["average/classifier.bias"].add_(difference)
        save_checkpoint(tmp_path / "broken", broken)
        with pytest.raises(ModelError, match=rf"expected ONNX Runtime within 0\.0001 of torch, found {found}"):
            export_checkpoint(tmp_path / "broken", tmp_path / "x.onnx", None, "none")
    assert [file.name for file in tmp_path.iterdir()] == ["broken"]


def test_packaged_network_on_real_faces(fer2013_parquet: Path) -> None:
    scorer = OnnxScorer("rlr-cnet")
    faces, labels = as_faces(open_dataset("fer2013", fer2013_parquet, "public_test")[:640], scorer.card.preprocessing)
    assert (scorer(faces).argmax(axis=1) == labels).mean() > 0.55


def test_both_forms_of_two_branches_and_starting_weights(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = build_network("rlr-cnet-dual", 7, 1, {"head": "concatenated"})
    experiment = {
        "name": "dual",
        "data": {"dataset": "fer2013", "training_split": "training", "selection_split": "public_test"},
        "network": {"name": "rlr-cnet-dual", "options": {"head": "concatenated"}, "weights": "rlr-cnet"},
        "schedule": {"epochs": 2},
        "method": {"name": "cumulative", "options": {"vote_weight": 0.5}},
    }
    state = network.state_dict().items()
    tensors = {f"average/{name}": tensor for name, tensor in state if tensor.is_floating_point()}
    save_checkpoint(tmp_path / "last.safetensors", Checkpoint(tensors, header_of(experiment, BASIC_7, 0.5)))
    command = ["export", str(tmp_path / "last.safetensors"), "--out"]
    for more in (
        ["both.onnx", "--initial-weights"],
        ["one.onnx", "--deployed", "feature-branch", "--name", "one", "--fp16", "--margin", "0.1"],
        ["third.onnx", "--deployed", "feature-branch", "--int8-weights"],
    ):
        result = CliRunner().invoke(app, [*command, str(tmp_path / more[0]), *more[1:]])
        assert result.exit_code == 0, result.output
    both, one = OnnxScorer(str(tmp_path / "both.onnx")), OnnxScorer(str(tmp_path / "one.onnx"))
    assert both.card.scores == {"fer2013 public_test accuracy": 0.5}
    assert one.card.scores == {}  # its epoch was not selected in this form
    assert both.card.dataset == "fer2013 training, with FERPlus votes, started from rlr-cnet"
    assert both.card.preprocessing == Preprocessing()
    assert one.card.preprocessing == Preprocessing(margin=0.1)
    third = OnnxScorer(str(tmp_path / "third.onnx"))
    assert (third.card.name, third.card.scores) == ("dual-int8-weights", {})  # its accuracy was not measured
    assert third.card.model_bytes < 0.6 * one.card.model_bytes
    assert one.card.parameters < both.card.parameters
    assert one.card.multiply_adds < both.card.multiply_adds
    fresh = build_network("rlr-cnet-dual", 7, 1, {"head": "concatenated"})
    load_initial_weights(fresh, str(tmp_path / "both.safetensors"), BASIC_7, Preprocessing())
    for found, expected in zip(fresh.parameters(), network.parameters(), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4)
    with pytest.raises(CheckpointError, match=r"expected weights learned with Preprocessing.*margin=0\.3.*margin=0\.0"):
        load_initial_weights(fresh, str(tmp_path / "both.safetensors"), BASIC_7, Preprocessing(margin=0.3))

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from mien.datasets import as_faces, open_dataset
from mien.errors import ModelError
from mien.export import export_checkpoint
from mien.models import build_network
from mien.preprocessing import Preprocessing
from mien.scorer import OnnxScorer
from mien.training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from mien.training.torch_scorer import TorchScorer, deployable_network


@pytest.fixture(scope="module", params=["rlr-cnet", "shufflenet-v2"])
def checkpoint(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint whose batch-norm statistics are not the initial ones."""
    torch.manual_seed(0)
    network = build_network(request.param, 3, 1, {"dropout": 0.3}).train()
    for _ in range(3):
        network(torch.randn(16, 1, 48, 48))
    facts = {
        "network": request.param,
        "network_options": {"dropout": 0.3},
        "expressions": ["a", "b", "c"],
        "preprocessing": Preprocessing().to_dict(),
        "experiment": {"name": "drawn", "data": {"dataset": "d", "training_split": "t", "selection_split": "s"}},
        "history": [{"selection_accuracy": 0.25}],
    }
    tensors = {f"average/{name}": tensor for name, tensor in network.state_dict().items()}
    file = tmp_path_factory.mktemp("checkpoint") / "best.safetensors"
    save_checkpoint(file, Checkpoint(tensors, facts))
    return file


def test_onnx_equals_torch_in_any_batch(checkpoint: Path, tmp_path: Path) -> None:
    out = tmp_path / "deep" / "drawn.onnx"
    assert export_checkpoint(checkpoint, out, None, "public domain") < 1e-4
    network = deployable_network(load_checkpoint(checkpoint))
    scorer = OnnxScorer(str(out))
    faces = np.random.default_rng(0).integers(0, 256, (65, 48, 48, 1)).astype(np.uint8)
    expected = TorchScorer(network, Preprocessing()).logits(faces)
    for count in (1, 2, 65):
        logits, features = scorer.logits_and_features(faces[:count])
        np.testing.assert_allclose(logits, expected[:count], atol=1e-4)
        assert features.shape == (count, 1024)
        with torch.inference_mode():
            np.testing.assert_allclose(network.classify(torch.from_numpy(features)), logits, atol=1e-4)


def test_manifest_keeps_other_entries(checkpoint: Path, tmp_path: Path) -> None:
    for name in ("first", "second", "first"):
        export_checkpoint(checkpoint, tmp_path / f"{name}.onnx", name, "public domain")
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert manifest["default"] == "first"
    assert sorted(manifest["models"]) == ["first", "second"]
    entry = manifest["models"]["second"]
    assert entry["file"] == "second.onnx"
    assert entry["scores"] == {"d s accuracy": 0.25}
    assert entry["licence"] == "public domain"
    assert entry["paper"].startswith("https://")
    assert not list(tmp_path.glob("*.part"))


def test_no_path_of_this_machine_in_the_file(checkpoint: Path, tmp_path: Path) -> None:
    out = tmp_path / "drawn.onnx"
    export_checkpoint(checkpoint, out, None, "public domain")
    assert str(Path(torch.__file__).parents[1]).encode() not in out.read_bytes()


def test_a_difference_leaves_no_file(checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mien.export.TOLERANCE", -1.0)
    with pytest.raises(ModelError, match="expected ONNX Runtime within"):
        export_checkpoint(checkpoint, tmp_path / "x.onnx", None, "none")
    assert not list(tmp_path.iterdir())


def test_packaged_network_on_real_faces(fer2013_parquet: Path) -> None:
    scorer = OnnxScorer("rlr-cnet")
    faces, labels = as_faces(open_dataset("fer2013", fer2013_parquet, "public_test")[:640], scorer.card.preprocessing)
    assert (scorer(faces).argmax(axis=1) == labels).mean() > 0.55

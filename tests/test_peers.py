"""benchmarks/peers.py: what it compares, what it says of packages that are not here, and a whole run on drawn faces."""

import importlib
import json
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from conftest import REPOSITORY
from PIL import Image

import mien
from mien.datasets import open_dataset
from mien.evaluation.report import evaluate
from mien.scorer import OnnxScorer

pytest.importorskip("torch")
Import = Callable[[str], Any]


@pytest.fixture
def benchmark_module(monkeypatch: pytest.MonkeyPatch) -> Import:
    monkeypatch.syspath_prepend(str(REPOSITORY / "benchmarks"))
    return importlib.import_module


def test_mini_xception_is_the_network_inside_fer(benchmark_module: Import) -> None:
    import torch

    module = benchmark_module("mini_xception")
    network = module.MiniXception()
    assert module.keras_parameters(network) == 58_423
    assert sum(parameter.numel() for parameter in network.parameters()) == 58_423 - 1_472
    x = network.base(torch.zeros(1, 1, 64, 64))
    assert x.shape == (1, 8, 60, 60)
    for block, shape in zip(network.body, ((16, 30), (32, 15), (64, 8), (128, 4)), strict=True):
        x = block(x)
        assert x.shape[1:3] == shape
    assert network(torch.zeros(2, 1, 64, 64)).shape == (2, 7)


@pytest.mark.parametrize("side", [5, 6])
def test_pooling_pads_as_keras_does(side: int, benchmark_module: Import) -> None:
    """Windows of 3 in steps of 2 begin at -1 for odd sides and at 0 for even ones."""
    import torch

    block = benchmark_module("mini_xception").Module(1, 1).eval()
    block.main = torch.nn.Identity()
    torch.nn.init.zeros_(block.residual[0].weight)
    x = torch.arange(side, dtype=torch.float32).expand(1, 1, side, side)
    assert block(x)[0, 0, 0].tolist() == {5: [1, 3, 4], 6: [2, 4, 5]}[side]


def distribution(site: Path, name: str, requires: list[str], size: int) -> None:
    """An installed distribution with one module of `size` bytes and its record."""
    folder = site / f"{name}-1.0.dist-info"
    folder.mkdir(parents=True)
    (site / f"{name}.py").write_bytes(b"#" * size)
    lines = ["Metadata-Version: 2.1", f"Name: {name}", "Version: 1.0", *(f"Requires-Dist: {each}" for each in requires)]
    (folder / "METADATA").write_text("\n".join(lines) + "\n")
    (folder / "RECORD").write_text(f"{name}.py,,\n{name}-gone.py,,\n")


def test_installed_size_follows_what_is_required(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, benchmark_module: Import
) -> None:
    distribution(
        tmp_path, "peerone", ["peertwo[fast]", "peerfour; python_version < '3'", "peerfive; extra == 'x'"], 100
    )
    distribution(tmp_path, "peertwo", ["peerone", "peerthree; extra == 'fast'"], 20)
    distribution(tmp_path, "peerthree", [], 3)
    distribution(tmp_path, "peersix", ["peertwo", "peerseven>=2"], 1000)
    monkeypatch.syspath_prepend(str(tmp_path))
    installed_size = benchmark_module("package_costs").installed_size
    assert installed_size("peerone") == {"installed_bytes": 123, "distributions": 3, "not_installed": []}
    found = installed_size("peersix")
    assert (found["installed_bytes"], found["not_installed"]) == (None, ["peerseven"])
    mien_bytes = sum(file.stat().st_size for file in (REPOSITORY / "src" / "mien" / "weights").glob("*.onnx"))
    assert installed_size("mien")["installed_bytes"] > mien_bytes


def test_start_times_of_a_package_that_fails_to_import(benchmark_module: Import) -> None:
    programs = {"sleeper": ("time.sleep(0.1)", "print('loaded'); time.sleep(0.1)"), "none": ("import no_such", "pass")}
    found = benchmark_module("package_costs").start_times(programs, rounds=1)
    assert found["none"]["import_fails"] == "ModuleNotFoundError: No module named 'no_such'"
    assert found["none"]["import_s"] is None
    assert 0.1 <= found["sleeper"]["import_s"] <= found["sleeper"]["import_and_load_s"] - 0.1
    assert found["sleeper"]["import_and_load_processor_s"] < 0.1


def test_peers_that_do_not_run_are_named(monkeypatch: pytest.MonkeyPatch, benchmark_module: Import) -> None:
    systems = benchmark_module("peer_systems")

    def broken() -> None:
        raise OSError("no network\nat all")

    def without_weights() -> None:
        systems.present(Path("nowhere"), "weights.*")

    def runs() -> Any:
        def predict(face: np.ndarray) -> dict[str, float]:
            assert face.shape == (48, 48, 1)
            return {"Happy": float(face[0, 0, 0]), "angry": 1.0}

        return systems.peer(predict, Path(__file__), "predict", "runs", "", "")

    versions = {"broken": "1", "without-weights": "2", "runs": "3"}

    def version(name: str) -> str:
        if name not in versions:
            raise PackageNotFoundError(name)
        return versions[name]

    peers = {"broken": broken, "without-weights": without_weights, "absent": runs, "runs": runs}
    monkeypatch.setattr(systems, "PEERS", peers)
    monkeypatch.setattr(systems, "version", version)
    (peer,), absent = systems.open_peers()
    assert absent == {
        "broken": "OSError: no network at all",
        "without-weights": "FileNotFoundError: expected weights weights.* in nowhere, found none (it downloads them)",
        "absent": "not installed",
    }
    assert peer.what == "runs 3, predict"
    assert peer.card.expressions == ("happiness", "anger")
    faces = np.zeros((2, 48, 48, 1), np.uint8)
    faces[1] = 3
    assert peer.score(faces) == pytest.approx(np.array([[0, 1], [0.75, 0.25]]), abs=1e-5)


def test_litert_stands_in_for_tensorflow_and_says_so(monkeypatch: pytest.MonkeyPatch, benchmark_module: Import) -> None:
    if importlib.util.find_spec("tensorflow"):
        pytest.skip("TensorFlow is installed")
    systems = benchmark_module("peer_systems")
    package, interpreter = ModuleType("ai_edge_litert"), ModuleType("ai_edge_litert.interpreter")
    interpreter.Interpreter = dict  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "ai_edge_litert", package)
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", interpreter)
    monkeypatch.setattr(systems, "version", lambda name: {"ai-edge-litert": "9"}[name])
    with systems.tensorflow() as engine:
        import tensorflow
        from tensorflow.keras.models import load_model

        assert tensorflow.lite.Interpreter(model_path="x") == {"model_path": "x", "num_threads": 1}
        assert load_model is None
    assert engine == "ai-edge-litert 9 in TensorFlow's place"
    assert not [name for name in sys.modules if name.split(".")[0] == "tensorflow"]


def test_front_worked_by_hand(benchmark_module: Import) -> None:
    front = benchmark_module("peer_picture").front
    places = [(3, 0.7), (1, 0.5), (2, 0.5), (3, 0.6), (4, 0.65), (5, 0.8), (1, 0.4)]
    assert list(front(places)) == [(1, 0.5), (3, 0.7), (5, 0.8)]


@pytest.mark.slow
def test_a_whole_run_on_drawn_faces(class_folders: Path, tmp_path: Path) -> None:
    own = tmp_path / "my-network.onnx"
    packaged = mien.list_models()
    own.write_bytes(mien.weights.read_model(packaged[0].name))
    asked: tuple[object, ...] = ("--dataset", "folder", "--root", class_folders, "--split", "public_test")
    out, picture = tmp_path / "peers.json", tmp_path / "peers.png"
    asked += ("--model", own, "--rounds", 1, "--json", out, "--picture", picture)
    command = [sys.executable, REPOSITORY / "benchmarks" / "peers.py", *map(str, asked)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=1200)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found == json.loads(out.read_text())
    names = [card.name for card in packaged]
    assert list(found["systems"])[: len(names) + 2] == [*names, "my-network", "mini_XCEPTION"]
    assert set(found["absent"]) | set(found["packages"]) == {"mien", "fer", "deepface", "emotiefflib", "facex"}
    first, copy, stand_in = (found["systems"][name] for name in (names[0], "my-network", "mini_XCEPTION"))
    scorer = OnnxScorer(names[0], threads=1)
    report = evaluate(scorer, open_dataset("folder", class_folders, "public_test"), scorer.card).values
    assert first["accuracy"] == copy["accuracy"] == round(report["accuracy"], 4)
    assert first["n"] == first["n_without_training_duplicates"] == 36
    assert (first["latency_1_relative"], first["processor_32_relative"]) == (1, 1)
    assert stand_in["model_bytes"] < copy["model_bytes"] == own.stat().st_size
    assert "accuracy" not in stand_in
    assert stand_in["processor_32_ms"] > 0
    assert (copy["kind"], stand_in["kind"]) == ("own", "stand-in")
    with Image.open(picture) as image:
        assert image.size == (1500, 660)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--dataset", "fer2013"), "expected --dataset, --root and --split together"),
        (("--picture", "x.png"), "expected --dataset, --root and --split for --picture"),
        (("--rounds", "0"), "expected --rounds of at least 1, found 0"),
    ],
)
def test_wrong_arguments(
    arguments: tuple[str, ...],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    benchmark_module: Import,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "argv", ["peers.py", *arguments])
    with pytest.raises(SystemExit) as stopped:
        benchmark_module("peers").read_arguments()
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err

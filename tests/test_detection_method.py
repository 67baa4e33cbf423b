"""The detector from training to pixels, on drawn faces."""

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

from mien.cli import app
from mien.datasets.photographs import Photograph, Photographs
from mien.detection.boxes import iou
from mien.detection.face_finder import FaceFinder
from mien.errors import CheckpointError, ExperimentError, ModelError
from mien.export.pipeline import export_checkpoint
from mien.models import build_detector
from mien.models.face_finder import FaceFinder as Network
from mien.models.face_finder import FaceFinderOptions
from mien.preprocessing import Preprocessing
from mien.training.checkpoint import load_checkpoint
from mien.training.config import experiment_from_dict
from mien.training.detector.scenes import compose
from mien.training.loop import check_experiment, train
from mien.training.methods import detection
from mien.training.methods.detection import Detection, FaceDetection, maps_of


def drawn(seed: int, faces: int = 1) -> Photograph:
    """A bright disc with dark eyes and mouth on a dark ground."""
    generator = np.random.default_rng(seed)
    rows, columns = np.mgrid[:250, :250]
    pixels = generator.integers(0, 70, (250, 250, 3)).astype(np.uint8)
    boxes, landmarks = [], []
    for _ in range(faces):
        x, y = generator.uniform(100, 150, 2)
        pixels[((columns - x) / 45) ** 2 + ((rows - y) / 58) ** 2 < 1] = generator.integers(160, 250, 3)
        points = np.array([[-18, -15], [18, -15], [0, 5], [-15, 28], [15, 28]]) + np.array([x, y])
        for point_x, point_y in points[[0, 1, 3, 4]]:
            pixels[(columns - point_x) ** 2 + (rows - point_y) ** 2 < 49] = 20
        boxes.append([x - 45, y - 58, x + 45, y + 58])
        landmarks.append(points)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    box = np.array(boxes, np.float32).reshape(-1, 4)
    points_of = np.array(landmarks, np.float32) if faces else None
    return Photograph(stream.getvalue(), box, np.ones(faces, np.float32), points_of, ("",) * faces, f"{seed}.png")


def experiment(**changes: Any) -> dict[str, Any]:
    return {
        "name": "finder",
        "data": {"dataset": "photographs", "selection_split": "faces-dev", "size_px": 288, "channels": 3},
        "network": {"name": "face-finder", "options": {"width": 8, "neck": 16}},
        "method": {"name": "detection"},
        "schedule": {"epochs": 2, "batch_size": 8, "steps_per_epoch": 60, "warmup_epochs": 0.5, "learning_rate": 0.01},
        "averaging": 0.9,
        **changes,
    }


@pytest.fixture(scope="module")
def data() -> tuple[Photographs, Photographs]:
    training = Photographs("training", [*(drawn(seed) for seed in range(16)), drawn(50, 0), drawn(51, 0)])
    return training, Photographs("faces-dev", [drawn(seed) for seed in range(100, 106)])


@pytest.fixture(scope="module")
def run(data: tuple[Photographs, Photographs], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finder")
    train(experiment_from_dict(experiment(), "x"), *data, folder)
    return folder


@pytest.mark.slow
def test_it_learns_to_find_drawn_faces(run: Path) -> None:
    first, last = load_checkpoint(run / "last.safetensors").header.history
    assert last["training_loss"] < 0.8 * first["training_loss"]
    assert last["selection_average_precision"] > 0.5
    assert (run / "curves.png").exists()


@pytest.mark.slow
def test_killed_and_resumed_it_ends_bit_identical(
    data: tuple[Photographs, Photographs], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = experiment_from_dict(experiment(schedule={"epochs": 2, "batch_size": 4, "steps_per_epoch": 4}), "x")
    train(short, *data, tmp_path / "whole")
    step = Detection.loss

    def killed(self: Detection, network: Network, batch: Any, epoch: int) -> dict[str, torch.Tensor]:
        if epoch == 1:
            raise KeyboardInterrupt
        return step(self, network, batch, epoch)

    monkeypatch.setattr(Detection, "loss", killed)
    with pytest.raises(KeyboardInterrupt):
        train(short, *data, tmp_path / "resumed")
    monkeypatch.undo()
    train(short, *data, tmp_path / "resumed", resume=True)
    whole, resumed = (load_checkpoint(tmp_path / each / "last.safetensors").tensors for each in ("whole", "resumed"))
    assert whole.keys() == resumed.keys()
    assert all(torch.equal(tensor, resumed[name]) for name, tensor in whole.items())


def test_the_last_epochs_are_plain(data: tuple[Photographs, Photographs], monkeypatch: pytest.MonkeyPatch) -> None:
    shares = []

    def noted(*arguments: Any) -> Any:
        shares.append(arguments[5])
        return compose(*arguments)

    monkeypatch.setattr(detection, "compose", noted)
    found = experiment_from_dict(experiment(method={"name": "detection", "options": {"plain_epochs": 1}}), "x")
    options = Detection.read_options(found.method.options)
    source = FaceDetection(found, options).make_source(data[0], torch.device("cpu"))
    for epoch in (0, 1):
        source.batch(options, epoch, 0)
    assert shares == [0.0, detection.PLAIN_SHARE]


@pytest.mark.slow
def test_a_detector_is_trained_on(run: Path, data: tuple[Photographs, Photographs], tmp_path: Path) -> None:
    network = {**experiment()["network"], "weights": str(run / "last.safetensors")}
    schedule = {"epochs": 1, "batch_size": 4, "steps_per_epoch": 2, "warmup_epochs": 0, "learning_rate": 1e-9}
    train(experiment_from_dict(experiment(network=network, schedule=schedule), "x"), *data, tmp_path)
    before, after = (load_checkpoint(folder / "last.safetensors").part("average") for folder in (run, tmp_path))
    kernels = [name for name, tensor in before.items() if tensor.ndim == 4]
    assert len(kernels) > 20
    assert all((before[name] - after[name]).abs().max() < 1e-6 for name in kernels)


def with_people(photographs: Photographs) -> Photographs:
    """Half of them as if they came from the photographs of people."""
    people = [replace(each, collection="people") for each in photographs[::2]]
    return Photographs("training", [*photographs[1::2], *people])


def test_the_dense_network_learns_from_people_and_is_exported(
    data: tuple[Photographs, Photographs], tmp_path: Path
) -> None:
    options = {"stem": 8, "widths": [8, 16, 16], "depths": [1, 2, 1], "neck": 8}
    found = experiment_from_dict(
        experiment(
            network={"name": "dense-face-finder", "options": options},
            method={"name": "detection", "options": {"crowd_share": 0.5, "assignment": "cost"}},
            schedule={"epochs": 1, "batch_size": 4, "steps_per_epoch": 2, "warmup_epochs": 0.5},
        ),
        "x",
    )
    train(found, with_people(data[0]), data[1], tmp_path)
    out = tmp_path / "dense.onnx"
    assert export_checkpoint(tmp_path / "last.safetensors", out, None, "none") < 1e-3
    assert FaceFinder(str(out), score_threshold=0.9).detect(drawn(300).read()) == []
    (entry,) = json.loads((tmp_path / "manifest.json").read_text())["detectors"].values()
    folded = sum(parameter.numel() for parameter in build_detector("dense-face-finder", options).folded().parameters())
    assert (entry["name"], entry["parameters"]) == ("finder", folded)


@pytest.mark.parametrize(("share", "people"), [(0.5, False), (0.0, True)])
def test_people_and_their_share_go_together(
    share: float, people: bool, data: tuple[Photographs, Photographs], tmp_path: Path
) -> None:
    found = experiment_from_dict(experiment(method={"name": "detection", "options": {"crowd_share": share}}), "x")
    training = with_people(data[0]) if people else data[0]
    with pytest.raises(ExperimentError, match=f"where crowd_share > 0, found {9 if people else 0} in the split trai"):
        train(found, training, data[1], tmp_path)


@pytest.mark.slow
def test_from_checkpoint_to_faces(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exported by the command line, found in a photograph that was never seen, and in a larger copy of it."""
    # A network that learned so little also takes drawn faces for ones that stand on their head.
    monkeypatch.setattr("mien.detection.face_finder.are_upside_down", lambda _, faces, __: [False] * len(faces))
    out = tmp_path / "finder.onnx"
    result = CliRunner().invoke(app, ["export", str(run / "last.safetensors"), "--out", str(out), "--licence", "none"])
    assert result.exit_code == 0, result.output
    detector = FaceFinder(str(out), longest_px=250, score_threshold=0.5)
    photograph = drawn(200)
    best, *_ = detector.detect(photograph.read())
    assert iou(best.box_xyxy, [photograph.boxes_xyxy[0]])[0] > 0.6
    assert best.landmarks_xy is not None
    assert photograph.landmarks_xy is not None
    assert np.linalg.norm(best.landmarks_xy - photograph.landmarks_xy[0], axis=1).max() < 15  # of a face of 90 x 116
    image = Image.fromarray(photograph.read()).resize((1000, 1000))
    large, *_ = detector.detect(np.asarray(image))
    assert np.abs(np.array(large.box_xyxy) / 4 - best.box_xyxy).max() < 12
    assert detector.detect(np.zeros((5, 700, 3), np.uint8)) == []
    checkpoint = load_checkpoint(run / "last.safetensors")
    network = Network(FaceFinderOptions(8, 16))
    network.load_state_dict(checkpoint.part("average"), strict=False)
    maps = maps_of(network.eval(), Preprocessing(288, 3))(np.zeros((96, 64, 3), np.uint8))
    assert [each.shape for each in maps] == [(15, 12, 8), (15, 6, 4), (15, 3, 2)]
    result = CliRunner().invoke(app, ["export", str(run / "last.safetensors"), "--out", str(out), "--int8"])
    assert "expected name and licence alone for a detector" in str(result.exception)


def test_the_packaged_size() -> None:
    assert sum(parameter.numel() for parameter in Network(FaceFinderOptions()).parameters()) == 198_061


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data": {"dataset": "photographs", "size_px": 256, "channels": 3}}, "size_px divisible by 288"),
        ({"augmentation": {"rotation_degrees": 10}}, r"expected no \[augmentation\]"),
        ({"network": {"name": "rlr-cnet"}}, "expected the network 'dense-face-finder' or 'face-finder'"),
        ({"network": {"name": "face-finder", "options": {"depth": 2}}}, "network face-finder: .*depth"),
        ({"method": {"name": "detection", "options": {"empty_share": 2}}}, "empty_share"),
    ],
)
def test_wrong_experiments_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ExperimentError, match=message):
        check_experiment(experiment_from_dict(experiment(**changes), "x"))


def test_wrong_use_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ExperimentError, match="expected the data set 'photographs', found 'fer2013'"):
        FaceDetection.open("fer2013", tmp_path, "training")
    with pytest.raises(ValueError, match="score_threshold must lie between 0 and 1, not 1"):
        FaceFinder(score_threshold=1)
    with pytest.raises(ModelError, match="unknown model 'nothing'"):
        FaceFinder("nothing")
    with pytest.raises(CheckpointError):
        load_checkpoint(tmp_path / "none")

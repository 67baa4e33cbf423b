import csv
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from test_clustering import two_faced_class

from mien import Recognizer
from mien.cli import app
from mien.detection import Detection
from mien.errors import ImageError
from mien.labelling.faces import label_faces
from mien.labelling.guidance import Guidance
from mien.labelling.pictures import label_pictures
from mien.preprocessing import to_network_input


class DrawnScorer:
    """Faces whose first pixel on each side is their class, the second how sure the network is, in a hundred."""

    def logits_and_features(self, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        owner, sure = faces[:, 0, 0, 0], faces[:, 0, 1, 0] / 100
        probabilities = np.repeat((1 - sure)[:, None] / 2, 3, axis=1)
        probabilities[np.arange(len(faces)), owner] = sure
        noise = 0.1 * np.random.default_rng(0).normal(size=(len(faces), 3))
        return np.log(probabilities).astype(np.float32), (np.eye(3)[owner] + noise).astype(np.float32)


def drawn(owner: list[int], sure: list[int]) -> np.ndarray:
    faces = np.zeros((len(owner), 4, 4, 1), np.uint8)
    faces[:, 0, 0, 0], faces[:, 0, 1, 0] = owner, sure
    faces[:, 0, 3, 0], faces[:, 0, 2, 0] = owner, sure
    return faces


def test_clusters_decide_where_the_network_is_not_sure() -> None:
    owner = [index % 3 for index in range(90)]
    faces = drawn(owner, [95 if index < 30 else 40 for index in range(90)])
    found = label_faces(DrawnScorer(), faces)  # type: ignore[arg-type]
    assert found.sure.tolist() == [index < 30 for index in range(90)]
    named = found.labels >= 0
    assert named.mean() > 0.9
    assert (found.labels[named] == np.array(owner)[named]).all()
    assert found.confidence[:30] == pytest.approx(0.95)
    assert found.confidence[30:][named[30:]] == pytest.approx(0.4)
    strict = label_faces(DrawnScorer(), faces, guidance=Guidance(fewest_labelled=99, similarity=1.0))  # type: ignore[arg-type]
    assert (strict.labels >= 0).sum() == 30


def test_few_faces_are_not_all_alike() -> None:
    """Each of eleven or fewer faces is among the ten nearest of all others."""
    unlike = np.random.default_rng(0).normal(size=(30, 64)).astype(np.float32)
    for count in (5, 11, 30):
        scorer = ScorerOf(np.zeros((count, 3), np.float32), unlike[:count])
        clusters = label_faces(scorer, numbered(count)).clusters  # type: ignore[arg-type]
        assert np.bincount(clusters).max() <= count // 2 + 1


class ScorerOf:
    """Known logits and features of faces whose first pixel is their number."""

    def __init__(self, logits: np.ndarray, features: np.ndarray) -> None:
        self.logits, self.features = logits, features

    def logits_and_features(self, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return self.logits[faces[:, 0, 0, 0]], self.features[faces[:, 0, 0, 0]]


def numbered(count: int) -> np.ndarray:
    return np.tile(np.arange(count, dtype=np.uint8)[:, None, None, None], (1, 4, 4, 1))


def test_only_a_cluster_can_name_a_face_between_two_means() -> None:
    embeddings, labels, hard = two_faced_class()
    logits = np.where(hard[:, None], 0, np.eye(2)[labels] * 9).astype(np.float32)
    scorer = ScorerOf(logits, embeddings)
    found = label_faces(scorer, numbered(35), neighbours=8, threshold=1.5)  # type: ignore[arg-type]
    assert found.sure.tolist() == (~hard).tolist()
    assert (found.labels[hard] == 0).mean() > 0.8
    assert (found.labels[hard] != 1).all()
    without = label_faces(scorer, numbered(35), neighbours=8, threshold=1e-9)  # type: ignore[arg-type]
    assert (without.labels[hard] == 0).sum() < (found.labels[hard] == 0).sum()


def test_a_folder_with_one_expression_keeps_it() -> None:
    generator = np.random.default_rng(0)
    sure = np.arange(60) < 20
    features = (np.array([1.0, 0.2, 0.1]) + 0.05 * generator.normal(size=(60, 3))).astype(np.float32)
    logits = np.where(sure[:, None], [6.0, 0, 0], [0.5, 0.4, 0]).astype(np.float32)
    found = label_faces(ScorerOf(logits, features), numbered(60))  # type: ignore[arg-type]
    assert (found.labels == 0).all()


def test_one_face_alone() -> None:
    assert label_faces(DrawnScorer(), drawn([2], [95])).labels.tolist() == [2]  # type: ignore[arg-type]
    assert label_faces(DrawnScorer(), drawn([2], [40])).labels.tolist() == [-1]  # type: ignore[arg-type]


def test_a_folder_from_the_command_line(examples: Path, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    for file in examples.glob("*.jpg"):
        (tmp_path / "photos" / file.name).write_bytes(file.read_bytes())
    (tmp_path / "photos" / "zz.png").write_bytes(b"damaged")
    Image.new("RGB", (60, 60)).save(tmp_path / "photos" / "empty.png")
    out = tmp_path / "labels" / "found.csv"
    result = CliRunner().invoke(app, ["label", str(tmp_path / "photos"), "--out", str(out), "--confidence", "0.3"])
    assert result.exit_code == 1  # one picture could not be read
    assert "zz.png" in result.stderr
    assert result.stdout.strip() == str(out)
    assert "1 of 5 pictures could not be read" in result.stderr
    assert "1 of 5 pictures show no face that was found" in result.stderr
    result = CliRunner().invoke(app, ["label", str(tmp_path / "photos"), "--out", str(tmp_path / "labels")])
    assert "expected a csv file to write for --out, found a folder" in str(result.exception)
    result = CliRunner().invoke(app, ["label", str(tmp_path / "photos"), "--out", str(out / "more.csv")])
    assert isinstance(result.exception, OSError)  # told before pictures are read
    assert "zz.png" not in result.stderr
    with out.open(encoding="utf-8-sig") as stream:
        rows = list(csv.DictReader(stream))
    assert [Path(row["source"]).name for row in rows] == [
        "eileen-collins.jpg",
        "grace-hopper.jpg",
        *["two-people.jpg"] * 2,
    ]
    assert rows[0]["expression"] == "happiness"
    assert all(row["by"] == "network" and 0.3 <= float(row["confidence"]) <= 1 for row in rows)
    assert all(float(row["x0"]) < float(row["x1"]) for row in rows)
    with Image.open(tmp_path / "labels" / "found-happiness.png") as sheet:
        assert sheet.width >= 64
    for file in (tmp_path / "photos").glob("*.jpg"):
        file.unlink()
    result = CliRunner().invoke(app, ["label", str(tmp_path / "photos"), "--out", str(out)])
    assert isinstance(result.exception, ImageError)
    assert "expected pictures of faces, found no face in 1; 1 could not be read" in str(result.exception)


def test_a_drawing_in_the_place_of_a_sheet_stays(examples: Path, tmp_path: Path) -> None:
    drawing = tmp_path / "found-happiness.png"
    Image.new("RGB", (9, 9), "red").save(drawing)
    before = drawing.read_bytes()
    result = CliRunner().invoke(app, ["label", str(examples), "--out", str(tmp_path / "found.csv")])
    assert "found-happiness.png: exists, and not as a PNG file that mien wrote" in str(result.exception)
    assert drawing.read_bytes() == before
    assert not (tmp_path / "found.csv").exists()


def test_memory_does_not_grow_with_the_pixels_of_faces(monkeypatch: pytest.MonkeyPatch, examples: Path) -> None:
    """Faces by the thousand, of which only the features stay in memory; and their labels are those of all at once."""
    recognizer = Recognizer()
    size_px, channels = recognizer.scorer.card.preprocessing.size_px, recognizer.scorer.card.preprocessing.channels
    shape = (size_px, size_px, channels)

    def found(image: object) -> tuple[list[Detection], np.ndarray]:
        return [Detection((0.0, 0.0, 9.0, 9.0), 1.0)] * 50, np.zeros((50, *shape), np.uint8)

    def answers(faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        assert len(faces) <= 64
        return np.tile(np.float32([9, 0, 0]), (len(faces), 1)), np.ones((len(faces), 4), np.float32)

    def counted(probabilities: np.ndarray, *others: object) -> int:
        return len(probabilities)

    monkeypatch.setattr(recognizer, "find_faces", found)
    monkeypatch.setattr(recognizer.scorer, "logits_and_features", answers)
    monkeypatch.setattr("mien.labelling.pictures.label_scored", counted)
    monkeypatch.setattr("mien.labelling.pictures.read_image", lambda file: None)
    tracemalloc.start()
    try:
        result = label_pictures(recognizer, [examples / "none.jpg"] * 80)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert result.labels == len(result.faces) == len(result.places) == 4000
    assert result.faces.shape == (4000, *shape)
    assert peak_bytes < 4000 * size_px * size_px * channels / 2


def test_the_network_converts_faces_batch_by_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    scorer = Recognizer().scorer
    size_px, channels = scorer.card.preprocessing.size_px, scorer.card.preprocessing.channels
    seen: list[int] = []

    def converted(faces: np.ndarray, preprocessing: object) -> np.ndarray:
        seen.append(len(faces))
        return to_network_input(faces, scorer.card.preprocessing)

    monkeypatch.setattr("mien.scorer.to_network_input", converted)
    assert len(scorer(np.zeros((70, size_px, size_px, channels), np.uint8))) == 70
    assert seen == [64, 6]

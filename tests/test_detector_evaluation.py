import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from test_box_files import NAMES, TEXT, draw_pictures, write_lists
from test_photographs import write_files

from mien.cli import app
from mien.datasets.box_files import read_box_file
from mien.datasets.photographs import Photograph, Photographs, read_photographs
from mien.detection.detection import Detection
from mien.errors import DatasetError
from mien.evaluation.detectors import evaluate_detectors, landmark_error
from mien.preprocessing import ImageArray

pytest.importorskip("pyarrow")


class Known:
    """Finds what it was told to find in pictures of one grey."""

    def __init__(self, faces: dict[int, list[Detection]]) -> None:
        self.faces = faces

    def detect(self, image: ImageArray) -> list[Detection]:
        return self.faces.get(int(image[0, 0, 0]), [])


def test_measures_by_hand(tmp_path: Path) -> None:
    """One masked face of 32.9 px, found; a hit where nobody is; landmarks off by a tenth of the eyes' distance."""
    write_files(tmp_path)
    people = read_photographs(tmp_path, "faces-dev")
    empty = read_photographs(tmp_path, "no-people-held-out")
    portraits = Photographs("lfw-held-out", read_photographs(tmp_path, "training")[:1])
    truth = portraits[0].landmarks_xy
    assert truth is not None
    off = truth[0] + np.array([0.1 * np.hypot(2, 2), 0], np.float32)
    portrait = [Detection((80, 60, 180, 190), 0.9, off)]
    grey = {int(people[0].read()[0, 0, 0]): [Detection((1, 2, 30, 40), 0.9)], 5: portrait}
    grey[int(portraits[0].read()[0, 0, 0])] = portrait
    for photograph in empty[:3]:
        grey.setdefault(int(photograph.read()[0, 0, 0]), [Detection((0, 0, 50, 50), 0.8, off)])
    hits = sum(len(Known(grey).detect(each.read())) for each in empty)
    report = evaluate_detectors({"known": (Known(grey), Known(grey))}, [people], empty, portraits)
    parts = report.values["detectors"]["known"]
    found = parts["faces-dev"]
    assert found["average_precision_all"] == found["average_precision_masked"] == found["precision"] == 1
    assert "average_precision_bare" not in found
    assert found["recall"] == found["recall_32_to_48_px"] == 1
    assert found["recall_from_96_px"] is None
    assert found["calibration_error"] == pytest.approx(0.1)
    assert found["reliability"][8]["count"] == found["reliability"][8]["right"] == 1  # 0.9 in 32 bits is a little less
    assert parts["no-people-held-out"] == {"false_faces": hits, "false_faces_on_100_pictures": hits / 0.6}
    assert hits > 0
    landmarks = parts["lfw-held-out"]
    assert landmarks["landmark_error"] == landmarks["landmark_error_median"] == pytest.approx(0.1, abs=1e-4)
    assert landmarks["portraits_with_landmarks"] == 1
    assert parts["640x480"]["latency_ms"] > 0
    assert "| faces-dev: average precision masked | 1.000 |" in report.to_markdown()


def test_nothing_to_measure_on(tmp_path: Path) -> None:
    write_files(tmp_path)
    people, empty = (read_photographs(tmp_path, split) for split in ("faces-dev", "no-people-held-out"))
    nobody = Photographs("lfw-held-out", [])
    detectors = {"known": (Known({}), Known({}))}
    assert evaluate_detectors(detectors, [people]).values["detectors"]["known"]["faces-dev"]["precision"] is None
    with pytest.raises(DatasetError, match="expected pictures in the split lfw-held-out, found none"):
        evaluate_detectors(detectors, [people], empty, nobody)
    with pytest.raises(DatasetError, match="expected a face with landmarks in each portrait, found none"):
        evaluate_detectors(detectors, [people], empty, people)


def test_landmarks_of_the_main_face() -> None:
    """The largest face counts, found or not; the others, with eyes that may lie a pixel apart, do not."""
    eyes = np.array([[0, 0], [10, 0], [5, 5], [2, 8], [8, 8]], np.float32)
    small = (eyes * 0.01 + 100).astype(np.float32)
    truth = Photograph(b"", np.array([[100, 100, 104, 104], [0, 0, 20, 20]], np.float32), np.ones(2, np.float32),
                       np.stack((small, eyes)), ("", ""), "x")  # fmt: skip
    second = Detection((100, 100, 104, 104), 0.9, small + 2)
    assert landmark_error([second, Detection((0, 0, 20, 20), 0.3, eyes + np.array([0, 2]))], truth) == pytest.approx(
        0.2
    )
    assert landmark_error([second], truth) is None
    assert landmark_error([Detection((0, 0, 20, 20), 0.9)], truth) is None
    assert landmark_error([], truth) is None


def test_detectors_from_the_command_line(tmp_path: Path) -> None:
    write_files(tmp_path, persons=20, empty=62)
    out = tmp_path / "r" / "report.json"
    command = ["evaluate-detector", "--root", str(tmp_path), "--json", str(out)]
    command += ["--detector", "haar", "--detector", "face-finder", "--longest-px", "96", "--longest-px", "128"]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    values = json.loads(out.read_text())["detectors"]
    assert list(values) == ["haar", "face-finder, 96 px", "face-finder, 128 px"]
    assert values["haar"]["faces-dev"]["average_precision_all"] == 0
    assert values["haar"]["lfw-held-out"]["landmark_error"] is None
    assert "| no-people-held-out: false faces | 0.000 | 0.000 | 0.000 |" in result.output


def test_wider_face_and_pictures_without_a_face(tmp_path: Path) -> None:
    """Of the first picture one of two faces is found, and an unsure one; none of the second; one where none is."""
    draw_pictures(tmp_path / "images")
    (tmp_path / "val.txt").write_text(TEXT)
    write_lists(tmp_path / "lists")
    people = read_box_file(tmp_path / "val.txt", tmp_path / "images", tmp_path / "lists")
    assert [each.source for each in people] == list(NAMES)
    grey = {
        0: [Detection((10, 20, 40, 60), 0.9), Detection((100, 20, 108, 29), 0.8)],
        80: [Detection((0, 0, 50, 50), 0.7)],
    }
    report = evaluate_detectors({"known": (Known(grey), Known(grey))}, [people], absent={"yunet": "no file"})
    found = report.values["detectors"]["known"]["val"]
    assert found["average_precision_easy_wider_face"] == 1
    assert found["average_precision_medium_wider_face"] == 0.5
    assert found["average_precision_hard_wider_face"] == found["recall"] == pytest.approx(1 / 3)
    assert found["precision"] == 0.5
    assert found["false_faces_on_100_pictures_without_a_face"] == 100
    assert report.to_markdown().endswith("Not measured: yunet (no file)\n")

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from mien.cli import app
from mien.datasets import Dataset, Sample, as_faces, open_dataset, pixel_key
from mien.errors import DatasetError
from mien.evaluation.plots import draw_reliability, draw_risk_coverage
from mien.evaluation.report import evaluate
from mien.expressions import BASIC_7, FERPLUS_8
from mien.preprocessing import ImageArray, Preprocessing
from mien.scorer import OnnxScorer, mirrored
from mien.weights import ModelCard, default_model


class Drawn(Dataset):
    """Pictures whose grey value is 10 times what a scorer should answer."""

    name, split = "drawn", "test"

    def __init__(self, labels: list[int], answers: list[int], expressions: tuple[str, ...]) -> None:
        self.expressions, self._labels, self._answers = expressions, labels, answers

    def __len__(self) -> int:
        return len(self._labels)

    def sample(self, index: int) -> Sample:
        image = np.full((4, 4, 1), 10 * self._answers[index], np.uint8)
        image[0, 0, 0] = index  # every picture is its own
        return Sample(image, self._labels[index], f"picture {index}")


def card(expressions: tuple[str, ...]) -> ModelCard:
    return ModelCard("drawn-net", expressions, Preprocessing(size_px=4), "nothing", 5, 9, {}, "none", "none")


def scorer_of(classes: int) -> object:
    def score(faces: ImageArray) -> np.ndarray:
        assert faces.shape[1:] == (4, 4, 1)
        answers = faces[:, 2, 2, 0] // 10
        scores = np.full((len(faces), classes), 0.4 / (classes - 1), np.float32)
        scores[np.arange(len(faces)), answers] = 0.6
        return scores

    return score


def test_report_worked_by_hand() -> None:
    labels = [0, 0, 0, 0, 0, 1, 1, 2]
    answers = [0, 0, 0, 0, 1, 1, 0, 0]
    names = ("a", "b", "c")
    values = evaluate(scorer_of(3), Drawn(labels, answers, names), card(names)).values  # type: ignore[arg-type]
    assert values["n"] == 8
    assert values["accuracy"] == 5 / 8
    assert values["mean_class_accuracy"] == pytest.approx(1.3 / 3)
    assert values["confusion_matrix"] == [[4, 1, 0], [1, 1, 0], [1, 0, 0]]
    assert values["per_class"]["b"]["recall"] == 0.5
    assert math.isnan(values["per_class"]["c"]["precision"])
    assert values["ece"] == pytest.approx(5 / 8 - 0.6, abs=1e-6)
    low, high = values["accuracy_interval"]
    assert low < 5 / 8 < high
    assert values["negative_log_likelihood"] == pytest.approx(-(5 * math.log(0.6) + 3 * math.log(0.2)) / 8)
    right, wrong = 0.4**2 + 2 * 0.2**2, 0.6**2 + 0.8**2 + 0.2**2
    assert values["brier_score"] == pytest.approx((5 * right + 3 * wrong) / 8)
    for key in ("ece", "negative_log_likelihood", "brier_score"):
        low, high = values[f"{key}_interval"]
        assert 0 <= low <= values[key] <= high or key == "ece"  # whose resamples are never better calibrated
    filled = [found for found in values["reliability"] if found["count"]]
    assert len(values["reliability"]) == 15
    assert filled == [{"count": 8, "mean_confidence": pytest.approx(0.6), "accuracy": 5 / 8}]
    assert values["without_training_duplicates"] is None
    assert values["parameters"] == 5
    assert values["multiply_adds"] == 9
    assert (values["labels"], values["predictions"]) == (labels, answers)
    needed = "model dataset split n accuracy mean_class_accuracy macro_f1 per_class confusion_matrix ece parameters"
    assert set(needed.split()) | {"model_bytes", "preprocessing"} <= set(values)


def test_a_calibrated_network_is_told() -> None:
    calibrated = replace(card(("a", "b")), temperature=1.25, calibration="drawn tenth", unsure_below=0.7)
    dataset = Drawn([0, 1, 1, 0], [0, 1, 0, 0], ("a", "b"))
    report = evaluate(scorer_of(2), dataset, calibrated)  # type: ignore[arg-type]
    assert report.values["protocol"].endswith("Calibrated on drawn tenth: temperature 1.250, unsure below 0.700.")
    assert report.values["unsure"]["share"] == 1
    assert report.values["unsure"]["accuracy_of_unsure"] == 0.75
    assert "Unsure, below a confidence of 0.700: 100.0% of the faces, accuracy 0.7500; nan on" in report.to_markdown()
    plain = evaluate(scorer_of(2), dataset, card(("a", "b")))  # type: ignore[arg-type]
    assert plain.values["unsure"] is None
    assert "Calibrated" not in plain.values["protocol"]


def test_mirrored_faces_are_averaged_and_the_report_says_so(class_folders: Path, tmp_path: Path) -> None:
    command = ["evaluate", "--dataset", "folder", "--root", str(class_folders), "--split", "public_test"]
    reports = {}
    for name, more in {"plain": [], "mirrored": ["--mirror"]}.items():
        file = tmp_path / f"{name}.json"
        result = CliRunner().invoke(app, [*command, *more, "--json", str(file)])
        assert result.exit_code == 0, result.output
        reports[name] = json.loads(file.read_text())
    assert "one forward pass, no test-time augmentation" in reports["plain"]["protocol"]
    assert "mean of each face and its mirror image (two forward passes)" in reports["mirrored"]["protocol"]
    scorer = OnnxScorer(default_model())
    samples = open_dataset("folder", class_folders, "public_test")
    faces, _ = as_faces(samples[:], scorer.card.preprocessing)
    expected = (scorer(faces) + scorer(np.ascontiguousarray(faces[:, :, ::-1]))) / 2
    np.testing.assert_allclose(mirrored(scorer.logits_and_features)(faces), expected, atol=1e-6)
    names = [scorer.card.expressions.index(name) for name in reports["mirrored"]["expressions"]]
    assert reports["mirrored"]["predictions"] == expected[:, names].argmax(axis=1).tolist()


def test_images_of_the_training_split_are_left_out_of_the_second_figure() -> None:
    dataset = Drawn([0, 1, 1, 0], [0, 1, 0, 1], ("a", "b"))
    keys = {pixel_key(dataset[0].image), pixel_key(dataset[1].image)}
    values = evaluate(scorer_of(2), dataset, card(("a", "b")), keys).values  # type: ignore[arg-type]
    assert values["accuracy"] == 0.5
    assert values["without_training_duplicates"]["n"] == 2
    assert values["without_training_duplicates"]["accuracy"] == 0


def test_seven_classes_on_a_set_of_eight() -> None:
    contempt = FERPLUS_8.index("contempt")
    dataset = Drawn([0, contempt, 3], [0, 2, 3], FERPLUS_8)
    values = evaluate(scorer_of(7), dataset, card(BASIC_7)).values  # type: ignore[arg-type]
    assert values["n"] == 2
    assert values["accuracy"] == 1
    assert "Only the classes both have: anger" in values["protocol"]


def test_eight_classes_on_a_set_of_seven_are_renormalised() -> None:
    values = evaluate(scorer_of(8), Drawn([0, 1], [0, 1], BASIC_7), card(FERPLUS_8)).values  # type: ignore[arg-type]
    assert values["ece"] == pytest.approx(1 - 0.6 / (1 - 0.4 / 7), abs=1e-5)


def test_nothing_in_common_is_an_error() -> None:
    with pytest.raises(DatasetError, match="expected at least two in common"):
        evaluate(scorer_of(2), Drawn([0], [0], ("wink", "bored")), card(("anger", "fear")))  # type: ignore[arg-type]


def test_json_markdown_and_picture(tmp_path: Path) -> None:
    report = evaluate(scorer_of(3), Drawn([0, 1], [0, 0], ("a", "b", "c")), card(("a", "b", "c")))  # type: ignore[arg-type]
    report.write(tmp_path / "report.json")
    values = json.loads((tmp_path / "report.json").read_text())
    assert values["per_class"]["c"]["recall"] is None
    assert "| a | 1 (too few for a claim) | 1.0000 [" in report.to_markdown()
    assert values["reliability"][0] == {"count": 0, "mean_confidence": None, "accuracy": None}
    report.draw(tmp_path / "matrix.png")
    draw_reliability(report.values, tmp_path / "reliability.png")
    draw_risk_coverage(values, tmp_path / "risk.png")
    for name in ("matrix", "reliability", "risk"):
        assert (tmp_path / f"{name}.png").stat().st_size > 5000


def test_agreement_with_votes_worked_by_hand() -> None:
    class Voted(Drawn):
        labelled_by_votes = True

        def votes(self) -> np.ndarray:
            return np.array([[10, 0, 0, 0, 0, 0, 0, 0, 0, 0], [4, 6, 0, 0, 0, 0, 0, 0, 0, 0]], np.int8)

    names = ("neutral", "happiness")
    values = evaluate(scorer_of(2), Voted([0, 1], [0, 0], names), card(names)).values  # type: ignore[arg-type]
    found = values["votes"]
    divergences = math.log(1 / 0.6), 0.4 * math.log(0.4 / 0.6) + 0.6 * math.log(0.6 / 0.4)
    assert found["kl_divergence"] == pytest.approx(sum(divergences) / 2)
    assert found["votes_for_answer"] == pytest.approx((1 + 0.4) / 2)
    assert found["votes_for_label"] == pytest.approx((1 + 0.6) / 2)
    assert found["n"] == 2
    # Both answers are neutral with 0.6; all of the first voters chose it, and 0.4 of the second.
    assert found["ece"] == pytest.approx(0.7 - 0.6)
    entropies = math.log(1 / 0.6), 0.4 * math.log(1 / 0.6) + 0.6 * math.log(1 / 0.4)
    assert found["negative_log_likelihood"] == pytest.approx(sum(entropies) / 2)
    assert found["brier_score"] == pytest.approx((2 * 0.4**2 + 2 * 0.2**2) / 2)
    assert {f"{key}_interval" for key in ("ece", "negative_log_likelihood", "brier_score")} <= set(found)
    shown = evaluate(scorer_of(2), Voted([0, 1], [0, 0], names), card(names)).to_markdown()  # type: ignore[arg-type]
    assert "Calibration error against the share of voters 0.1000 [" in shown
    plain = evaluate(scorer_of(2), Drawn([0, 1], [0, 0], names), card(names)).values  # type: ignore[arg-type]
    assert plain["votes"] is None

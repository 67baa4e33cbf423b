import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from mien.cli import app
from mien.errors import DatasetError
from mien.evaluation.comparison import compare, read_report


def report(labels: list[int], predictions: list[int]) -> dict[str, Any]:
    return {
        "dataset": "x",
        "split": "test",
        "n": len(labels),
        "expressions": ["a", "b"],
        "labels": labels,
        "predictions": predictions,
    }


LABELS = [0] * 80 + [1] * 20
FIRST = report(LABELS, [0] * 60 + [1] * 20 + [1] * 10 + [0] * 10)
SECOND = report(LABELS, [0] * 70 + [1] * 10 + [1] * 12 + [0] * 8)


def test_differences_worked_by_hand() -> None:
    found = compare([FIRST], [SECOND])
    assert found["accuracy"][0] == pytest.approx(0.82 - 0.70)
    assert found["recall of a"][0] == pytest.approx(70 / 80 - 60 / 80)
    assert found["recall of b"][0] == pytest.approx(0.6 - 0.5)
    assert found["mean class accuracy"][0] == pytest.approx((0.125 + 0.1) / 2)
    assert list(found) == ["accuracy", "mean class accuracy", "macro F1", "recall of a", "recall of b"]


def test_intervals_are_paired() -> None:
    """12 images change for the better and none for the worse: the deviation is that of a share of 0.12 in 100."""
    difference, low, high = compare([FIRST], [SECOND])["accuracy"]
    deviation = (0.12 * 0.88 / 100) ** 0.5
    assert low == pytest.approx(difference - 1.96 * deviation, abs=0.015)
    assert high == pytest.approx(difference + 1.96 * deviation, abs=0.015)
    assert compare([FIRST], [FIRST])["accuracy"] == (0.0, 0.0, 0.0)


def test_interval_covers_the_truth_as_often_as_it_says() -> None:
    generator = np.random.default_rng(0)
    covered = 0
    for _ in range(20):
        labels = generator.integers(0, 2, 200)
        sides = [np.where(generator.random(200) < p, labels, 1 - labels) for p in (0.6, 0.7)]
        reports = [report(labels.tolist(), side.tolist()) for side in sides]
        _, low, high = compare([reports[0]], [reports[1]])["accuracy"]
        covered += low <= 0.1 <= high
    assert covered >= 17


def test_seeds_are_averaged() -> None:
    found = compare([FIRST, SECOND], [SECOND, SECOND])
    assert found["accuracy"][0] == pytest.approx(0.06)


def test_other_images_are_refused() -> None:
    other = report([1, *LABELS[1:]], FIRST["predictions"])
    with pytest.raises(DatasetError, match=r"reports on the same images: x test \(n = 100\), found x test \(n = 100\)"):
        compare([FIRST], [other])


def test_on_the_command_line(tmp_path: Path) -> None:
    for name, values in (("a", FIRST), ("b", SECOND), ("c", {"n": 3})):
        (tmp_path / f"{name}.json").write_text(json.dumps(values))
    result = CliRunner().invoke(app, ["compare", str(tmp_path / "a.json"), str(tmp_path / "b.json")])
    assert result.exit_code == 0
    assert "| accuracy | +0.1200 | [+0.0" in result.stdout
    with pytest.raises(DatasetError, match=r"c\.json: expected a report of mien evaluate --json"):
        read_report(tmp_path / "c.json")

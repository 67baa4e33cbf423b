"""Series of experiments, and the tables that are made of their reports."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mien.errors import ExperimentError
from mien.evaluation import series_tables
from mien.evaluation.markdown import markdown_table
from mien.evaluation.series import Series, find_series, read_series
from mien.evaluation.tables import with_tables

REPOSITORY = Path(__file__).parents[1]
SERIES = """
title = "Two networks"
seeds = [0, 1]
measured_on = "fer2013"
columns = [
    { heading = "arm", measure = "title" },
    { heading = "accuracy", measure = "accuracies" },
    { heading = "against small", measure = "accuracy_difference" },
]
[arms.small]
[arms.large]
seeds = [0]
forms = { both = "fer2013", votes = "ferplus" }
[tables.two]
rows = [
    { arm = "small", title = "small network", compared_with = ["small"] },
    { arm = "large", form = "both", title = "large network", compared_with = ["small"] },
    { arm = "large", form = "votes", title = "its other head" },
]
"""


def written(folder: Path, text: str = SERIES) -> Path:
    (folder / "two").mkdir()
    for name in ("small", "large"):
        (folder / "two" / f"{name}.toml").touch()
    file = folder / "two" / "series.toml"
    file.write_text(text)
    return file


def report(right: int) -> dict[str, Any]:
    """A report that says it has an accuracy of so many percent."""
    found: dict[str, Any] = json.loads((REPOSITORY / "reports" / "rlr-cnet-fer2013-public_test.json").read_text())
    return {**found, "accuracy": right / 100}


def write_reports(folder: Path, accuracies: dict[str, int]) -> None:
    for name, right in accuracies.items():
        (folder / f"{name}.json").write_text(json.dumps(report(right)))


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> None:
    """A comparison tells how many reports it was given, without the time of a bootstrap."""
    monkeypatch.setattr(
        series_tables,
        "compare",
        lambda first, second: {"accuracy": (len(first), len(second), 1.0), "mean class accuracy": (0.0, 0.0, 0.0)},
    )


def joint() -> Series:
    return find_series(REPOSITORY / "experiments")["joint"]


def test_an_arm_without_a_report_is_shown_as_not_run(tmp_path: Path, compared: None) -> None:
    series = read_series(written(tmp_path))
    assert series.arms["small"].seeds == (0, 1)
    assert series.arms["large"].seeds == (0,)
    assert dict(series.arms["large"].measured) == {"both": "fer2013", "votes": "ferplus"}
    write_reports(tmp_path, {"small-seed0": 50, "large-both-seed0": 60, "large-both-seed7": 70})
    assert series_tables.series_tables(series, tmp_path)["two"].splitlines() == [
        "| arm | accuracy | against small |",
        "|---|---|---|",
        "| small network | 0.5000 / not run | - |",
        "| large network | 0.6000 | +1.0000 [+1.0000, +1.0000] better |",
        "| its other head | not run | - |",
    ]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('title = "Two networks"', "", "expected the keys title, seeds, .* found seeds"),
        ("[arms.small]", "[arms.small]\ncolour = 3", "arms.small: expected the keys .*, found colour"),
        ("[arms.small]", "[arms.tiny]", "expected .* found small"),
        (
            "[arms.small]",
            "[arms.small]\n[arms.tiny]",
            "each experiment beside it .large, small., found large, small, tiny",
        ),
        ('compared_with = ["small"]', 'compared_with = ["tiny"]', "tables.two: .*small.*, found tiny"),
        ('form = "both"', 'form = "all"', "found large-all"),
        ('heading = "arm", ', "", "columns: expected the keys heading, measure, .expression., .rival., found measure"),
        ("seeds = [0, 1]", "seeds =", "expected the TOML of a series"),
    ],
)
def test_what_is_wrong_in_a_series_is_named(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in SERIES
    with pytest.raises(ExperimentError, match=rf"series\.toml: .*{message}"):
        read_series(written(tmp_path, SERIES.replace(old, new, 1)))


def test_an_unknown_measure_is_named(tmp_path: Path) -> None:
    series = read_series(written(tmp_path, SERIES.replace('"accuracies"', '"accuracy"')))
    with pytest.raises(ExperimentError, match=r"two: expected a measure of title, .*, found 'accuracy'"):
        series_tables.series_tables(series, tmp_path)


def test_each_report_of_a_series_belongs_to_an_arm_and_a_seed() -> None:
    for name, series in find_series(REPOSITORY / "experiments").items():
        known = {f"{each}-seed{seed}" for arm in series.arms.values() for each in arm.reports() for seed in arm.seeds}
        made = {f"labels-{arm.name}-seed{seed}" for arm in series.arms.values() for seed in arm.seeds}
        found = {file.stem for file in (REPOSITORY / "reports" / name).glob("*-seed*.json")}
        assert found - known - made <= {"proposals-seed1"}


def test_tables_of_joint_learning(tmp_path: Path, compared: None) -> None:
    write_reports(
        tmp_path, {"alone-seed1": 50, "alone-seed2": 51, "self-training-seed1": 60, "self-training-seed2": 61}
    )
    write_reports(tmp_path, {f"rank-order-anew-seed{seed}": 70 + seed for seed in (1, 2, 3)})
    judged = {"faces": 20, "labels": 8, "coverage": 0.9, "precision": 1.0, "recall": 0.8}
    nothing = {**judged, "labels": 0, "coverage": 0.0, "precision": None}
    classes = {"disgust": nothing, "happiness": judged}
    kinds = {"faces": 40, "coverage": 0.5, "precision": 0.8, "per_class": classes}
    for seed in (1, 2):
        text = json.dumps({"rounds": [{"round": 1, "fer2013": kinds, "ferplus": {**kinds, "precision": None}}]})
        (tmp_path / f"labels-rank-order-anew-seed{seed}.json").write_text(text)
    tables = series_tables.series_tables(joint(), tmp_path)
    alone, self_training, rank_order, _, _, anew = (row[2:-2].split(" | ") for row in tables["joint"].splitlines()[2:])
    elsewhere = "0.6655 (n = 3309)"
    accuracies = "0.5000 / 0.5100 / not run"
    two = "+2.0000 [+2.0000, +1.0000] better"
    assert alone[1:] == [accuracies, "0.5050", "0.0071", elsewhere, "0.6526", "-", two, "-", "-"]
    assert self_training[2:] == ["0.6050", "0.0071", elsewhere, "0.6526", two, "-", "-", "-"]
    assert rank_order == ["joint, guided rank-order clusters", "not run", *["-"] * 8]
    assert anew[1:3] == ["0.7100 / 0.7200 / 0.7300", "0.7200"]
    assert anew[6:] == ["-", "-", "20 of 40: 0 disgust, 8 happiness", "0.800, -"]
    assert tables["joint-labels"].splitlines()[2:] == [
        "| disgust | not run | 0 labels, - / - right; 0.000 of the class got a label |",
        "| happiness | not run | 8 labels, 1.000 / 1.000 right; 0.900 of the class got a label |",
    ]


def test_markdown_tables() -> None:
    assert markdown_table(["", "b"], [["x|y", "1"], ["z", ""]]) == "| | b |\n|---|---|\n| x\\|y | 1 |\n| z | |"
    with pytest.raises(ValueError, match="expected 2 cells in a row, found 1: only"):
        markdown_table(["a", "b"], [["only"]])


def test_a_table_needs_its_marks_once() -> None:
    text = "x\n<!-- a: generated by scripts/update-readme -->\nold\n<!-- end of a -->\ny"
    assert with_tables({"README.md": text}, {"a": "new"}) == {"README.md": text.replace("old", "new")}
    for documents, name in (({"README.md": text}, "b"), ({"README.md": "", "docs/x.md": "no marks"}, "a")):
        with pytest.raises(ValueError, match=f"expected <!-- {name}: generated by scripts/update-readme -->"):
            with_tables(documents, {"a": "new", name: "new"})
    with pytest.raises(ValueError, match="found them 2 times"):
        with_tables({"README.md": text, "docs/x.md": text}, {"a": "new"})
    with pytest.raises(ValueError, match="expected <!-- a: generated"):
        with_tables({"README.md": text}, {})


def test_links_in_tables_lead_to_the_reports_from_where_the_table_stands() -> None:
    text = "<!-- a: generated by scripts/update-readme -->\n<!-- end of a -->"
    found = with_tables({"docs/results/x.md": text}, {"a": "[x](reports/x.json)"})
    assert "[x](../../reports/x.json)" in found["docs/results/x.md"]


def test_a_series_is_chosen_by_name_arm_and_seed() -> None:
    script = [sys.executable, str(REPOSITORY / "scripts" / "run-series")]
    listed = subprocess.run([*script, "--help"], capture_output=True, text=True, timeout=60)
    assert re.search(r"\n  ladder +What each part of RLR-CNet brings\n", listed.stdout)
    done = subprocess.run([*script, "ladder", "x", "2-clip-k5", "--seed", "1"], capture_output=True, text=True)
    assert done.stderr == "expected a seed of these arms (0), found 1\n"

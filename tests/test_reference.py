from pathlib import Path

from mien.training.reference import experiment_reference

PAGE = Path(__file__).parents[1] / "docs" / "experiments.md"


def test_the_page_is_that_of_the_code() -> None:
    assert PAGE.read_text(encoding="utf-8") == experiment_reference(), "run scripts/update-reference"


def test_every_key_has_a_meaning() -> None:
    rows = [line for line in experiment_reference().splitlines() if line.startswith("| `")]
    assert len(rows) > 100
    assert [row for row in rows if row.endswith("| |")] == []
    assert "| `dropout` | number ≥ 0, ≤ 1 | `0.0` | Share of the features that is set to 0 in training" in "\n".join(
        rows
    )

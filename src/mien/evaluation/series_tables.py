"""The reports of a series as tables: a row for each arm, which says `not run` where there is no report."""

import json
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mien.errors import ExperimentError
from mien.evaluation.comparison import Difference, compare, read_report
from mien.evaluation.markdown import markdown_table
from mien.evaluation.series import Column, Row, Series, report_name

Report = dict[str, Any]
NOT_RUN, NOTHING = "not run", "-"


class SeriesReports:
    """The reports of a series that there are, by name and seed."""

    def __init__(self, series: Series, folder: Path) -> None:
        self.folder = folder
        self.seeds = {name: arm.seeds for arm in series.arms.values() for name in arm.reports()}
        self.found: dict[str, dict[int, Report]] = {
            name: {seed: read_report(file) for seed in seeds if (file := folder / f"{name}-seed{seed}.json").exists()}
            for name, seeds in self.seeds.items()
        }
        self._compared: dict[tuple[str, str], dict[str, Difference]] = {}

    def compare(self, first: str, second: str) -> dict[str, Difference] | None:
        """The second minus the first, on the seeds that both have; None without such."""
        if (first, second) not in self._compared:
            one, other = self.found[first], self.found[second]
            both = sorted(one.keys() & other.keys())
            if not both:
                return None
            self._compared[first, second] = compare([one[seed] for seed in both], [other[seed] for seed in both])
        return self._compared[first, second]

    def labels(self, name: str) -> dict[int, dict[str, Any]]:
        """What is known of the labels that the last round made, by seed."""
        files = {seed: self.folder / f"labels-{name}-seed{seed}.json" for seed in self.seeds[name]}
        return {seed: json.loads(file.read_text())["rounds"][-1] for seed, file in files.items() if file.exists()}


def series_tables(series: Series, folder: Path) -> dict[str, str]:
    """All tables of a series in Markdown, from the reports in a folder; ExperimentError for an unknown measure."""
    for column in series.columns:
        if column.measure not in MEASURES:
            raise ExperimentError(
                f"{series.name}: expected a measure of {', '.join(MEASURES)}, found {column.measure!r}"
            )
    reports = SeriesReports(series, folder)
    return {
        name: _expression_table(table.rows, reports)
        if table.by_expression
        else markdown_table(
            [column.heading for column in series.columns],
            ([MEASURES[column.measure](reports, row, column) for column in series.columns] for row in table.rows),
        )
        for name, table in series.tables.items()
    }


def difference_in_words(difference: Difference) -> str:
    """A difference with its interval, and what that shows."""
    value, low, high = difference
    shown = "better" if low > 0 else "worse" if high < 0 else "no difference shown"
    return f"{value:+.4f} [{low:+.4f}, {high:+.4f}] {shown}"


def relative_speeds(file: Path) -> dict[str, tuple[str, str]]:
    """Time for a face and training speed of each form that benchmarks/forms.py timed, relative to the first."""
    if not file.exists():
        return {}
    found = json.loads(file.read_text())
    first = next(iter(found.values()))
    return {
        name: (
            f"{values['predict_ms'] / first['predict_ms']:.2f}",
            f"{values['train_images_per_second'] / first['train_images_per_second']:.1f}",
        )
        for name, values in found.items()
    }


Measure = Callable[[SeriesReports, Row, Column], str]


def _of_reports(cell: Callable[[list[Report], Column], str]) -> Measure:
    """A measure of the reports of all seeds of a row."""

    def measure(reports: SeriesReports, row: Row, column: Column) -> str:
        found = list(reports.found[report_name(row.arm, row.form)].values())
        return cell(found, column) if found else NOTHING

    return measure


def _accuracies(reports: SeriesReports, row: Row, column: Column) -> str:
    """By seed; `not run` once where there are none."""
    name = report_name(row.arm, row.form)
    found = reports.found[name]
    if not found:
        return NOT_RUN
    return " / ".join(f"{found[seed]['accuracy']:.4f}" if seed in found else NOT_RUN for seed in reports.seeds[name])


def _mean(found: list[Report], *keys: str) -> float:
    total = 0.0
    for report in found:
        value: Any = report
        for key in keys:
            value = value[key]
        total += value
    return total / len(found)


def _deviation(found: list[Report], column: Column) -> str:
    return f"{statistics.stdev(report['accuracy'] for report in found):.4f}" if len(found) > 1 else NOTHING


def _mean_elsewhere(found: list[Report], column: Column) -> str:
    parts = [report["without_training_duplicates"] for report in found]
    return f"{statistics.mean(part['accuracy'] for part in parts):.4f} (n = {parts[0]['n']})"


def _difference(key: str) -> Measure:
    def measure(reports: SeriesReports, row: Row, column: Column) -> str:
        own = report_name(row.arm, row.form)
        rival = row.compared_with[column.rival] if column.rival < len(row.compared_with) else own
        compared = None if rival == own else reports.compare(rival, own)
        return difference_in_words(compared[key]) if compared else NOTHING

    return measure


def _relative_speed(index: int) -> Measure:
    def measure(reports: SeriesReports, row: Row, column: Column) -> str:
        return relative_speeds(reports.folder / "forms.json").get(row.arm, (NOTHING, NOTHING))[index]

    return measure


def _training_speed(reports: SeriesReports, row: Row, column: Column) -> str:
    speeds = json.loads((reports.folder / "speed.json").read_text())["images_per_second"]
    return f"{speeds[row.arm]:.0f}" if row.arm in speeds else NOTHING


def _labels_made(reports: SeriesReports, row: Row, column: Column) -> str:
    """How many faces got a label with the first seed, and how many by class."""
    last = next(iter(reports.labels(row.arm).values()), None)
    if last is None:
        return NOTHING
    if "named" in last:
        by_class = ", ".join(f"{count} {name}" for name, count in last["by_class"].items())
        return f"{last['named']} of {last['unlabelled']}: {by_class}"
    judged = last["fer2013"]
    by_class = ", ".join(f"{values['labels']} {name}" for name, values in judged["per_class"].items())
    return f"{round(judged['coverage'] * judged['faces'])} of {judged['faces']}: {by_class}"


def _labels_right(reports: SeriesReports, row: Row, column: Column) -> str:
    last = next(iter(reports.labels(row.arm).values()), None)
    if last is None:
        return NOTHING
    if "fer2013" not in last:
        return "not known"
    right = (last[kind]["precision"] for kind in ("fer2013", "ferplus"))  # None where no face got a label
    return ", ".join(NOTHING if share is None else f"{share:.3f}" for share in right)


MEASURES: dict[str, Measure] = {
    "title": lambda reports, row, column: row.title,
    "parameters": _of_reports(lambda found, column: f"{found[0]['parameters']:,}"),
    "multiply_adds": _of_reports(lambda found, column: f"{found[0]['multiply_adds'] / 1e6:.1f} M"),
    "seeds": _of_reports(lambda found, column: f"{len(found)}"),
    "accuracies": _accuracies,
    "accuracy_mean": _of_reports(lambda found, column: f"{_mean(found, 'accuracy'):.4f}"),
    "accuracy_deviation": _of_reports(_deviation),
    "accuracy_mean_without_training_duplicates": _of_reports(_mean_elsewhere),
    "mean_class_accuracy": _of_reports(lambda found, column: f"{_mean(found, 'mean_class_accuracy'):.4f}"),
    "recall": _of_reports(lambda found, column: f"{_mean(found, 'per_class', column.expression, 'recall'):.3f}"),
    "kl_divergence": _of_reports(lambda found, column: f"{_mean(found, 'votes', 'kl_divergence'):.3f}"),
    "accuracy_difference": _difference("accuracy"),
    "mean_class_accuracy_difference": _difference("mean class accuracy"),
    "relative_time": _relative_speed(0),
    "relative_training_speed": _relative_speed(1),
    "training_images_per_second": _training_speed,
    "labels_made": _labels_made,
    "labels_right": _labels_right,
}
"""What a column can tell of a row, by name."""


def _expression_table(rows: tuple[Row, ...], reports: SeriesReports) -> str:
    """A row for each expression: the labels of each arm's last round, how many are right, how many faces got one."""
    judged = [list(reports.labels(row.arm).values()) for row in rows]
    nothing: dict[str, Any] = {NOT_RUN: {}}
    expressions = next((rounds[0]["fer2013"]["per_class"] for rounds in judged if rounds), nothing)
    return markdown_table(
        ["expression", *(row.title for row in rows)],
        ([name, *(_labels_of(name, rounds) for rounds in judged)] for name in expressions),
    )


def _labels_of(expression: str, rounds: list[dict[str, Any]]) -> str:
    if not rounds:
        return NOT_RUN
    own, plus = ([last[kind]["per_class"].get(expression) for last in rounds] for kind in ("fer2013", "ferplus"))
    labels = statistics.mean(found["labels"] for found in own)
    right, right_plus = (_mean_of_known([found and found["precision"] for found in each]) for each in (own, plus))
    covered = _mean_of_known([found["coverage"] for found in own])
    return f"{labels:.0f} labels, {right} / {right_plus} right; {covered} of the class got a label"


def _mean_of_known(values: list[float | None]) -> str:
    known = [value for value in values if value is not None]
    return f"{statistics.mean(known):.3f}" if known else NOTHING

"""A series of experiments as data: what `experiments/SERIES/series.toml` says of its arms and its tables."""

import sys
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

from mien.errors import ExperimentError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FILE = "series.toml"
WHOLE = ""
"""The form of a network that ships as it is."""

T = TypeVar("T")


@dataclass(frozen=True)
class Arm:
    """One experiment of a series, the file of its name beside series.toml."""

    name: str
    seeds: tuple[int, ...]
    """One training each."""
    measured: Mapping[str, str]
    """The data set that each form which ships is measured on, by form; `WHOLE` where there is one form alone."""

    def reports(self) -> tuple[str, ...]:
        """Names of its reports, which are the files NAME-seedN.json."""
        return tuple(report_name(self.name, form) for form in self.measured)


@dataclass(frozen=True)
class Column:
    """One measure of all rows of a table."""

    heading: str
    measure: str
    """A name in `mien.evaluation.series_tables.MEASURES`."""
    expression: str = ""
    """Whose recall it is."""
    rival: int = 0
    """With which of the row's `compared_with` it compares."""


@dataclass(frozen=True)
class Row:
    """One form of an arm in a table."""

    title: str
    arm: str
    form: str = WHOLE
    compared_with: tuple[str, ...] = ()
    """Names of reports. A report compared with itself is a cell without a difference."""


@dataclass(frozen=True)
class Table:
    """What stands in docs/results between the marks of its name."""

    rows: tuple[Row, ...]
    by_expression: bool = False
    """A row for each expression with the labels that each arm made, instead of a row for each arm."""


@dataclass(frozen=True)
class Series:
    """Experiments that are compared with each other."""

    name: str
    title: str
    arms: Mapping[str, Arm]
    columns: tuple[Column, ...]
    tables: Mapping[str, Table]


@dataclass(frozen=True)
class _Values:
    """The keys of series.toml."""

    title: str
    seeds: list[int]
    measured_on: str
    arms: dict[str, dict[str, Any]]
    columns: list[dict[str, Any]]
    tables: dict[str, dict[str, Any]]


@dataclass(frozen=True)
class _ArmValues:
    """The keys of an arm; those of the series count where it has none."""

    seeds: list[int] | None = None
    forms: dict[str, str] | None = None


def report_name(arm: str, form: str) -> str:
    """What a report is called, but for its seed."""
    return f"{arm}-{form}" if form else arm


def read_series(file: Path) -> Series:
    """Read a series.toml; ExperimentError tells what is wrong in it, and which arm has no experiment beside it."""
    try:
        values = _made(_Values, tomllib.loads(file.read_text(encoding="utf-8")), str(file))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ExperimentError(f"{file}: expected the TOML of a series: {error}") from error
    arms = {}
    for name, given in values.arms.items():
        arm = _made(_ArmValues, given, f"{file}: arms.{name}")
        seeds = values.seeds if arm.seeds is None else arm.seeds
        arms[name] = Arm(name, tuple(seeds), arm.forms or {WHOLE: values.measured_on})
    tables = {
        name: _read_table(given, f"{file}: tables.{name}", {name for arm in arms.values() for name in arm.reports()})
        for name, given in values.tables.items()
    }
    there = {each.stem for each in file.parent.glob("*.toml") if each.name != FILE}
    if there != set(arms):
        raise ExperimentError(
            f"{file}: expected an arm for each experiment beside it ({', '.join(sorted(there))}), "
            f"found {', '.join(sorted(arms))}"
        )
    columns = tuple(_made(Column, each, f"{file}: columns") for each in values.columns)
    return Series(file.parent.name, values.title, arms, columns, tables)


def find_series(experiments: Path) -> dict[str, Series]:
    """All series below the folder `experiments`, by name."""
    return {file.parent.name: read_series(file) for file in sorted(experiments.glob(f"*/{FILE}"))}


def _read_table(values: dict[str, Any], where: str, reports: set[str]) -> Table:
    table = _made(Table, values, where)
    rows = [_made(Row, {**row, "compared_with": tuple(row.get("compared_with", ()))}, where) for row in values["rows"]]
    for row in rows:
        for name in (report_name(row.arm, row.form), *row.compared_with):
            if name not in reports:
                raise ExperimentError(f"{where}: expected reports of arms ({', '.join(sorted(reports))}), found {name}")
    return Table(tuple(rows), table.by_expression)


def _made(kind: type[T], values: dict[str, Any], where: str) -> T:
    every = fields(kind)  # type: ignore[arg-type]
    needed = {each.name for each in every if each.default is MISSING}
    if not needed <= set(values) <= {each.name for each in every}:
        names = ", ".join(each.name if each.name in needed else f"[{each.name}]" for each in every)
        raise ExperimentError(f"{where}: expected the keys {names}, found {', '.join(values) or 'none'}")
    return kind(**values)

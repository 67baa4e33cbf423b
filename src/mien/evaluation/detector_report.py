"""The report of an evaluation of face detectors: JSON and a table."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mien.atomic import replacing
from mien.evaluation.markdown import markdown_table


@dataclass(frozen=True)
class DetectorReport:
    """What an evaluation found; `values` is what `mien evaluate-detector --json` writes."""

    values: dict[str, Any]

    def write(self, file: Path) -> None:
        """Write the JSON document, atomically."""
        write_json(self.values, file)

    def to_markdown(self) -> str:
        """A table with a column for each detector, and below it the detectors that could not be measured."""
        detectors: dict[str, dict[str, dict[str, Any]]] = self.values["detectors"]
        rows = []
        for part, measures in next(iter(detectors.values())).items():
            for measure, first in measures.items():
                if not isinstance(first, list):
                    found = (values[part][measure] for values in detectors.values())
                    cells = ("-" if value is None else f"{value:.3f}" for value in found)
                    rows.append([f"{part}: {measure.replace('_', ' ')}", *cells])
        absent = [f"Not measured: {name} ({reason})" for name, reason in self.values["absent"].items()]
        return "\n\n".join([self.values["protocol"], markdown_table(["", *detectors], rows), *absent]) + "\n"


def write_json(values: dict[str, Any], file: Path) -> None:
    """Write a JSON document, atomically."""
    with replacing(file) as temporary:
        temporary.write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")

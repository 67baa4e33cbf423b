"""The report of an evaluation of face detectors: JSON and a table."""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any


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
        lines = [f"| | {' | '.join(detectors)} |", "|---" * (len(detectors) + 1) + "|"]
        for part, measures in next(iter(detectors.values())).items():
            for measure, first in measures.items():
                if not isinstance(first, list):
                    found = (values[part][measure] for values in detectors.values())
                    cells = ("-" if value is None else f"{value:.3f}" for value in found)
                    lines.append(f"| {part}: {measure.replace('_', ' ')} | {' | '.join(cells)} |")
        absent = [f"Not measured: {name} ({reason})" for name, reason in self.values["absent"].items()]
        return "\n\n".join([self.values["protocol"], "\n".join(lines), *absent]) + "\n"


def write_json(values: dict[str, Any], file: Path) -> None:
    """Write a JSON document, atomically."""
    temporary = file.with_name(file.name + ".part")
    temporary.write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")
    os.replace(temporary, file)

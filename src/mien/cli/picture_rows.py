"""The csv file of `mien predict`, which goes on where an interruption cut it off."""

import csv
import json
import os
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from mien.atomic import replacing
from mien.cli.csv_files import PICTURE_COLUMNS, named
from mien.errors import OutputError


class CsvFile:
    """A csv file with a row for each face; pictures without faces or with an error have one row too.

    Rows are written as they come, so that an interruption loses nothing. resume: the rows that are there stay, but for
    those of the last picture, which may not be whole. Raises OutputError where these are not of these expressions.
    """

    def __init__(self, file: Path, expressions: Sequence[str], resume: bool = False) -> None:
        self.file, self._expressions = file, expressions
        header = [*PICTURE_COLUMNS, *expressions, "error", "unsure", "mouth_covered"]
        file.parent.mkdir(parents=True, exist_ok=True)
        self.kept = _keep_whole_rows(file, header) if resume and file.exists() else None
        """Of each picture that has its rows already whether it could not be read; None where nothing was kept."""
        self._stream = file.open(
            "w" if self.kept is None else "a",
            newline="",
            encoding="utf-8-sig" if self.kept is None else "utf-8",
            errors="backslashreplace",
        )
        self._writer = csv.writer(self._stream)
        if self.kept is None:
            self._writer.writerow(header)

    def has(self, name: str) -> bool:
        """Whether a picture has its rows already."""
        return self.kept is not None and _as_written(name) in self.kept

    def write(self, record: dict[str, Any]) -> None:
        """Append the rows of a record."""
        start = [record["source"], record.get("width", ""), record.get("height", "")]
        blank = [""] * (len(PICTURE_COLUMNS) - len(start) + len(self._expressions))
        rows = [[*start, *blank, record.get("error", ""), "", ""]] if not record.get("faces") else []
        for index, face in enumerate(record.get("faces", [])):
            scores = [face["scores"][name] for name in self._expressions]
            found = [*face["box_xyxy"], face["detection_score"], face["expression"], *scores]
            rows.append([*start, index, *found, "", *map(json.dumps, (face["unsure"], face["mouth_covered"]))])
        with named(self.file):
            self._writer.writerows(rows)
            self._stream.flush()

    def close(self) -> None:
        """Close the file."""
        with named(self.file):
            self._stream.close()


def _as_written(name: str) -> str:
    """A name as it stands in a csv file, which names that are no text need not."""
    return name.encode("utf-8", "backslashreplace").decode("utf-8")


def _keep_whole_rows(file: Path, header: list[str]) -> dict[str, bool]:
    """Cut off the last picture's rows; of each one before, whether there was an error."""
    kept: dict[str, bool] = {}
    with replacing(file) as temporary, file.open(newline="", encoding="utf-8-sig", errors="replace") as old:
        rows: Iterator[list[str]] = csv.reader(old)
        if (found := next(rows, header)) != header:
            raise OutputError(f"{file}: expected rows of {', '.join(header)} for --resume, found {', '.join(found)}")
        with temporary.open("w", newline="", encoding="utf-8-sig") as new:
            writer = csv.writer(new)
            writer.writerow(header)
            if not _ends_with_a_row(file):  # the last row is torn, perhaps in its picture's name
                rows = (row for row, _ in pairwise(rows))
            before: list[list[str]] = []
            for row in rows:
                if before and row[:1] != before[0][:1]:
                    writer.writerows(before)
                    kept[before[0][0]] = bool(before[0][header.index("error")])
                    before = []
                before.append(row)
    return kept


def _ends_with_a_row(file: Path) -> bool:
    with file.open("rb") as stream:
        stream.seek(-min(2, file.stat().st_size), os.SEEK_END)
        return stream.read() == b"\r\n"

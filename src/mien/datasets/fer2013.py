"""FER2013 and its table, which FERPlus shares: csv or packed parquet in, samples out.

FER2013: Goodfellow et al., "Challenges in Representation Learning", arXiv:1307.0414: 35,887 grey faces of
48x48 pixels, seven classes. Many images stand in it more than once, also across splits.
"""

import contextlib
import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mien.datasets.parquet_file import read_parquet
from mien.datasets.sample import Dataset, Sample
from mien.datasets.splits import MADE_SPLITS
from mien.errors import DatasetError, MissingSplitError, MissingVotesError
from mien.expressions import BASIC_7, FERPLUS_VOTES
from mien.preprocessing import ImageArray

SIZE_PX = 48
USAGES = {"training": "Training", "public_test": "PublicTest", "private_test": "PrivateTest"}
VOTES_FILE = "fer2013new.csv"
UNSURE_ROWS = (5274, 33200)
"""Rows of the csv that may carry another image's votes."""
CSV_FILES = ("fer2013.csv", "icml_face_data.csv")
PARQUET_FILE = "fer2013.parquet"


@dataclass(frozen=True)
class FerTable:
    """The rows of one or all splits of FER2013, in file order."""

    row: NDArray[np.int32]
    """(N,) position in the original csv."""
    usage: tuple[str, ...]
    """N times "Training", "PublicTest" or "PrivateTest"."""
    emotion: NDArray[np.int8]
    """(N,) 0 to 6, the order of `BASIC_7`."""
    images: ImageArray
    """(N, 48, 48, 1) grey."""
    votes: NDArray[np.int8] | None
    """(N, 10) in the order of `FERPLUS_VOTES`, where the FERPlus file is present."""


class Fer2013(Dataset):
    """FER2013 with the seven labels of the challenge."""

    name = "fer2013"
    expressions = BASIC_7

    def __init__(self, table: FerTable, split: str, root: Path) -> None:
        self.split = split
        self._table, self._root = table, root

    def __len__(self) -> int:
        return len(self._table.row)

    def sample(self, index: int) -> Sample:
        """The sample at a position from 0 to len - 1."""
        table = self._table
        return Sample(table.images[index], int(table.emotion[index]), f"row {table.row[index]}")

    def arrays(self) -> tuple[ImageArray, NDArray[np.int64]]:
        """All images (N, 48, 48, 1) and labels (N,)."""
        return self._table.images, self._table.emotion.astype(np.int64)

    def votes(self) -> NDArray[np.int8] | None:
        """FERPlus votes (N, 10); DatasetError where their file is missing or damaged."""
        votes = self._table.votes
        if votes is None:
            votes = read_table(self._root, self.split, with_votes=True).votes
            assert votes is not None  # it was asked for them
        return np.where(np.isin(self._table.row, UNSURE_ROWS)[:, None], np.int8(0), votes)


def read_fer2013(root: Path, split: str) -> Fer2013:
    """Read one split (`training`, `public_test`, `private_test`, `all`).

    root: the Kaggle `fer2013.csv`, `icml_face_data.csv`, the packed parquet, or a folder with one of them.
    Raises DatasetError when root holds none of these or a row is damaged.
    """
    return Fer2013(read_table(root, split), split, root)


def read_table(root: Path, split: str, with_votes: bool = False) -> FerTable:
    """Read the rows of a split from any of the forms; with_votes also demands the FERPlus votes."""
    if split != "all" and split not in USAGES:
        raise MissingSplitError(f"unknown split {split!r}; known: {', '.join([*USAGES, 'all'])}, {MADE_SPLITS}")
    usages = set(USAGES.values()) if split == "all" else {USAGES[split]}
    file = _find_file(root)
    if file.suffix == ".parquet":
        table = _read_parquet(file, usages)
    else:
        table = _read_csv(file, usages, file.parent / VOTES_FILE if with_votes else None)
    if len(table.row) == 0:
        raise MissingSplitError(f"{file}: expected rows of the split {split!r}, found none")
    return table


def _find_file(root: Path) -> Path:
    if root.is_file():
        return root
    if not root.exists():
        raise DatasetError(f"{root}: expected a FER2013 csv, parquet or a folder with one, found nothing")
    for name in (*CSV_FILES, PARQUET_FILE):
        if (root / name).is_file():
            return root / name
    raise DatasetError(f"{root}: expected {', '.join(CSV_FILES)} or {PARQUET_FILE} in this folder, found none of them")


def _read_parquet(file: Path, usages: set[str]) -> FerTable:
    columns = ["row", "usage", "emotion", "image", *FERPLUS_VOTES]
    table = read_parquet(file, columns, "the packed parquet of FER2013", filters=[("usage", "in", sorted(usages))])
    images = np.empty((table.num_rows, SIZE_PX, SIZE_PX, 1), np.uint8)
    for index, encoded in enumerate(table["image"]):
        images[index, :, :, 0] = _decode(encoded.as_py(), f"{file}: row {table['row'][index]}")
    votes = np.stack([table[name].to_numpy() for name in FERPLUS_VOTES], axis=1).astype(np.int8)
    return FerTable(
        row=table["row"].to_numpy().astype(np.int32),
        usage=tuple(table["usage"].to_pylist()),
        emotion=table["emotion"].to_numpy().astype(np.int8),
        images=images,
        votes=votes,
    )


def _decode(encoded: bytes, source: str) -> ImageArray:
    try:
        with Image.open(io.BytesIO(encoded)) as image:
            grey = np.asarray(image.convert("L"))
    except (OSError, TypeError, ValueError, SyntaxError) as error:
        raise DatasetError(f"{source}: expected an encoded image, found a damaged one: {error}") from error
    if grey.shape != (SIZE_PX, SIZE_PX):
        raise DatasetError(f"{source}: expected 48x48 pixels, found {grey.shape[1]}x{grey.shape[0]}")
    return grey


def _read_csv(file: Path, usages: set[str], votes_file: Path | None) -> FerTable:
    rows, row_usages, emotions, images = [], [], [], []
    for row, usage, emotion, pixels in _csv_rows(file):
        if usage in usages:
            rows.append(row)
            row_usages.append(usage)
            emotions.append(emotion)
            images.append(_parse_pixels(pixels, file, row))
    votes = None
    if votes_file is not None:
        votes = _read_votes(votes_file)
        if rows and rows[-1] >= len(votes):
            raise DatasetError(
                f"{votes_file}: expected a line for each of at least {rows[-1] + 1} rows of {file.name}, "
                f"found {len(votes)}"
            )
        votes = votes[rows]
    return FerTable(
        row=np.array(rows, np.int32),
        usage=tuple(row_usages),
        emotion=np.array(emotions, np.int8),
        images=np.array(images, np.uint8).reshape(-1, SIZE_PX, SIZE_PX, 1),
        votes=votes,
    )


def _csv_rows(file: Path) -> Iterator[tuple[int, str, int, str]]:
    """Row number, usage, emotion and the pixel text of every line; columns are found by their names."""
    with _open_csv(file, {"emotion", "pixels", "usage"}) as (names, lines):
        emotion_at, pixels_at, usage_at = (names.index(name) for name in ("emotion", "pixels", "usage"))
        for row, line in enumerate(lines):
            if len(line) != len(names):
                raise DatasetError(f"{file}: row {row}: expected {len(names)} columns, found {len(line)}")
            emotion = line[emotion_at].strip()
            if emotion not in {str(index) for index in range(len(BASIC_7))}:
                raise DatasetError(f"{file}: row {row}: expected an emotion from 0 to 6, found {emotion!r}")
            usage = line[usage_at].strip()
            if usage not in USAGES.values():
                raise DatasetError(
                    f"{file}: row {row}: expected a usage of {', '.join(USAGES.values())}, found {usage!r}"
                )
            yield row, usage, int(emotion), line[pixels_at]


def _parse_pixels(text: str, file: Path, row: int) -> NDArray[np.uint8]:
    values = text.split()
    if len(values) != SIZE_PX * SIZE_PX:
        raise DatasetError(f"{file}: row {row}: expected {SIZE_PX * SIZE_PX} pixel values, found {len(values)}")
    try:
        return np.array(values, dtype=np.uint8)
    except (ValueError, OverflowError) as error:
        raise DatasetError(f"{file}: row {row}: expected pixel values from 0 to 255: {error}") from error


def _read_votes(file: Path) -> NDArray[np.int8]:
    """Votes (N, 10) of fer2013new.csv, one line for each row of fer2013.csv."""
    if not file.is_file():
        raise MissingVotesError(f"{file}: expected the FERPlus votes beside the FER2013 csv, found nothing")
    with _open_csv(file, set(FERPLUS_VOTES)) as (names, lines):
        columns = [names.index(name) for name in FERPLUS_VOTES]
        votes = []
        for row, line in enumerate(lines):
            try:
                votes.append([int(line[column]) for column in columns])
            except (ValueError, IndexError) as error:
                raise DatasetError(f"{file}: row {row}: expected ten vote counts: {error}") from error
            if not 0 <= min(votes[-1]) <= max(votes[-1]) <= 100:
                raise DatasetError(f"{file}: row {row}: expected vote counts from 0 to 100, found {votes[-1]}")
    return np.array(votes, np.int8).reshape(-1, len(FERPLUS_VOTES))


@contextlib.contextmanager
def _open_csv(file: Path, expected: set[str]) -> Iterator[tuple[list[str], Iterator[list[str]]]]:
    """Open a csv file, check its header, and give the column names and the lines after it, empty ones left out."""
    with file.open(newline="", encoding="utf-8-sig") as stream:
        lines = csv.reader(stream)
        try:
            names = [name.strip().lower() for name in next(lines, [])]
            if missing := expected - set(names):
                raise DatasetError(
                    f"{file}: expected the columns {', '.join(sorted(missing))}, found {', '.join(names)[:80]}"
                )
            yield names, (line for line in lines if line)
        except (UnicodeDecodeError, csv.Error) as error:
            raise DatasetError(f"{file}: expected a csv file, found something else: {error}") from error

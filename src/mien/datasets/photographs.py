"""Photographs with face boxes, to train and measure the face detector: LFW, people, faces-dev, pictures without people.

One folder holds the parquet files. LFW's boxes and landmarks were made by a network (CenterFace), those of `people` by
two, those of faces-dev by people; `no-people` has none. Persons of LFW, and pictures of the others, are held out of
training by their names.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from mien.datasets.parquet_file import read_parquet
from mien.errors import DatasetError, MissingSplitError
from mien.images import read_image
from mien.preprocessing import ImageArray

FILES = {
    "training": ("lfw.parquet", "no-people.parquet"),
    "training-people": ("lfw.parquet", "no-people.parquet", "people.parquet"),
    "training-people-without-facecount": ("lfw.parquet", "no-people.parquet", "people.parquet"),
    "people-dev": ("people.parquet",),
    "lfw-held-out": ("lfw.parquet",),
    "faces-dev": ("faces-dev.parquet",),
    "no-people-held-out": ("no-people.parquet",),
}
"""The files of each split."""
HELD_OUT_NO_PEOPLE = 60
"""Pictures without people that are never learned from: those whose names have the smallest digests."""
HELD_OUT_PERSONS = 20
"""One of so many persons of LFW is never learned from."""
HELD_OUT_PEOPLE = 5
"""One of so many pictures of `people` is never learned from: the split `people-dev`."""
PEOPLE = "people"
"""The collection whose pictures show people as they come, in any size and number."""
UNLICENSED = "facecount"
"""The source of pictures of `people` for which no licence was found; `training-people-without-facecount` does without
(DATA.md)."""


@dataclass(frozen=True)
class Photograph:
    """One picture and the faces in it, N of them."""

    encoded: bytes | Path
    """The picture's file, or where it lies."""
    boxes_xyxy: NDArray[np.float32]
    """(N, 4) float pixels."""
    box_scores: NDArray[np.float32]
    """(N,) how sure the boxes are; 1 where people drew them."""
    landmarks_xy: NDArray[np.float32] | None
    """(N, 5, 2) float pixels: left eye, right eye, nose tip, left and right mouth corner, as seen; or unknown."""
    labels: tuple[str, ...]
    """What is known of each face, such as "mask"; empty texts where nothing is."""
    source: str
    """Its name in the file."""
    unsure_boxes_xyxy: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 4), np.float32))
    """(M, 4) float pixels of what may be faces: neither faces nor background."""
    collection: str = ""
    """The file that it is from, without its ending: `lfw`, `people` ..."""

    @property
    def main(self) -> int:
        """The index of the largest face; ValueError where there is none."""
        return int(np.argmax((self.boxes_xyxy[:, 2:] - self.boxes_xyxy[:, :2]).prod(axis=1)))

    def read(self) -> ImageArray:
        """The picture as RGB uint8 (H, W, 3)."""
        return read_image(self.encoded, name=self.source)


class Photographs(Sequence[Photograph]):
    """A sequence of photographs, decoded as they are asked for."""

    name: str = "photographs"
    expressions: tuple[str, ...] = ("face",)

    def __init__(self, split: str, photographs: list[Photograph]) -> None:
        self.split, self._photographs = split, photographs

    def __len__(self) -> int:
        return len(self._photographs)

    @overload
    def __getitem__(self, index: int) -> Photograph: ...
    @overload
    def __getitem__(self, index: slice) -> list[Photograph]: ...
    def __getitem__(self, index: int | slice) -> Photograph | list[Photograph]:
        return self._photographs[index]


def read_photographs(root: Path, split: str) -> Photographs:
    """Open a split of the folder that holds the parquet files; DatasetError names the first that is missing."""
    if split not in FILES:
        raise MissingSplitError(f"photographs: expected the split {', '.join(FILES)}, not {split!r}")
    found: list[Photograph] = []
    for file in FILES[split]:
        known = _rows(root / file)
        if split.endswith("-without-facecount"):
            known = [row for row in known if row.get("source") != UNLICENSED]
        rows = [_photograph(row, Path(file).stem) for row in known]
        held_out = _held_out(file, rows)
        if split.startswith("training"):
            rows = [row for row in rows if row.source not in held_out]
        elif split == "people-dev" or split.endswith("held-out"):
            rows = [row for row in rows if row.source in held_out]
        found += rows
    return Photographs(split, found)


def read_parquet_photographs(file: Path) -> Photographs:
    """All pictures of one parquet file with the columns `file` and `image`; its stem is the split.

    Further columns that are read where they are there: `boxes_xyxy` (list of boxes, float pixels), `labels`,
    `box_scores`, `landmarks_xy`, and `unsure_boxes_xyxy`.
    """
    return Photographs(file.stem, [_photograph(row, file.stem) for row in _rows(file)])


def _rows(file: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = read_parquet(file, None, "a parquet file").to_pylist()
    if rows and not {"file", "image"} <= rows[0].keys():
        raise DatasetError(f"{file}: expected the columns file and image, found {', '.join(rows[0])}")
    return rows


def _photograph(row: dict[str, Any], collection: str) -> Photograph:
    boxes = np.array(row.get("boxes_xyxy") or [], np.float32).reshape(-1, 4)
    landmarks = row.get("landmarks_xy")
    return Photograph(
        encoded=row["image"],
        boxes_xyxy=boxes,
        box_scores=np.array(row.get("box_scores") or [1.0] * len(boxes), np.float32),
        landmarks_xy=None if landmarks is None else np.array(landmarks, np.float32).reshape(-1, 5, 2),
        labels=tuple(row.get("labels") or [""] * len(boxes)),
        source=row["file"],
        unsure_boxes_xyxy=np.array(row.get("unsure_boxes_xyxy") or [], np.float32).reshape(-1, 4),
        collection=collection,
    )


def _held_out(file: str, rows: list[Photograph]) -> set[str]:
    if file == "no-people.parquet":
        return set(sorted((row.source for row in rows), key=_digest)[:HELD_OUT_NO_PEOPLE])
    if file == "lfw.parquet":
        return {row.source for row in rows if int(_digest(_person(row.source)), 16) % HELD_OUT_PERSONS == 0}
    if file == "people.parquet":
        return {row.source for row in rows if int(_digest(row.source), 16) % HELD_OUT_PEOPLE == 0}
    return set()


def _person(source: str) -> str:
    """`Aaron_Peirsol_0001.jpg` is a picture of `Aaron_Peirsol`."""
    return Path(source).stem.rpartition("_")[0]


def fold_of(source: str, folds: int) -> int:
    """Which of so many parts a picture belongs to, by its name."""
    return int(_digest(source), 16) // HELD_OUT_PEOPLE % folds  # people-dev has multiples of HELD_OUT_PEOPLE alone


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()

"""WIDER FACE (Yang et al., CVPR 2016, https://arxiv.org/abs/1511.06523), in the form in which it is distributed.

`wider_face_val_bbx_gt.txt` has, for each picture, its path, the number of faces, and a line for each: left, top,
width, height, blur, expression, illumination, invalid, occlusion, pose; a picture without faces has one line of zeros.
Which faces are easy, medium and hard stands in MATLAB files of the evaluation tools alone (`wider_easy_val.mat` and so
on), as indices of the boxes, from 1 on: the authors went by how often EdgeBox proposes a face, which the text does not
tell. The readers follow the published layout; they were tried on drawn copies of it, not on the files themselves.
"""

from pathlib import Path
from typing import Any

import numpy as np

from mien.datasets.photographs import Photograph, Photographs
from mien.errors import DatasetError, MissingExtraError

DIFFICULTIES = ("easy", "medium", "hard")
FIELDS = 10
INVALID = 7
"""Index of the field that is 1 for boxes which nobody could judge."""

Listed = dict[str, dict[str, set[int]]]
"""By picture, without its ending, and difficulty: indices of faces, from 0 on."""


def read_wider_face(file: Path, pictures: Path, difficulties: Path | None = None) -> Photographs:
    """The pictures that a text file names, in the folder `pictures`, with their faces; DatasetError for other files.

    difficulties: the folder of the MATLAB files. With it, the labels of a face name its difficulties, such as
    "medium hard"; otherwise they are empty. Invalid faces of no difficulty are unsure boxes.
    """
    listed = read_difficulties(difficulties) if difficulties else None
    found = []
    for name, rows in _read_text(file):
        if not (pictures / name).is_file():
            raise DatasetError(f"{file}: expected the picture {pictures / name}, found no such file")
        found.append(_photograph(file, pictures / name, name, rows, listed))
    return Photographs(file.stem, found)


def _photograph(file: Path, picture: Path, name: str, rows: list[list[float]], listed: Listed | None) -> Photograph:
    faces = np.array(rows, np.float32).reshape(-1, FIELDS)
    boxes = np.concatenate((faces[:, :2], faces[:, :2] + faces[:, 2:4]), axis=1)
    labels = [""] * len(faces)
    if listed is not None:
        known = listed.get(str(Path(name).with_suffix("")))
        if known is None or max((index for each in known.values() for index in each), default=-1) >= len(faces):
            raise DatasetError(f"{file}: expected lists of easy, medium and hard faces of {name}'s {len(faces)}")
        labels = [" ".join(each for each in DIFFICULTIES if index in known[each]) for index in range(len(faces))]
    invalid = (faces[:, INVALID] == 1) & np.array([not label for label in labels], np.bool_)
    return Photograph(
        encoded=picture,
        boxes_xyxy=boxes[~invalid],
        box_scores=np.ones(int((~invalid).sum()), np.float32),
        landmarks_xy=None,
        labels=tuple(label for label, without in zip(labels, invalid, strict=True) if not without),
        source=name,
        unsure_boxes_xyxy=boxes[invalid],
    )


def _read_text(file: Path) -> list[tuple[str, list[list[float]]]]:
    try:
        lines = [line.strip() for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, ValueError) as error:
        raise DatasetError(f"{file}: expected WIDER FACE's text: {error}") from error
    pictures, place = [], 0
    while place < len(lines):
        name = lines[place]
        try:
            count = int(lines[place + 1])
            rows = [[float(value) for value in line.split()] for line in lines[place + 2 : place + 2 + max(1, count)]]
        except (ValueError, IndexError):
            raise DatasetError(f"{file}: expected a count and lines of numbers below {name}, found others") from None
        if len(rows) != max(1, count) or any(len(row) != FIELDS for row in rows):
            raise DatasetError(f"{file}: expected {max(1, count)} lines of {FIELDS} numbers for {name}, found others")
        pictures.append((name, rows if count else []))
        place += 2 + len(rows)
    return pictures


def read_difficulties(folder: Path) -> Listed:
    """The faces that count as easy, medium and hard, from `wider_easy_val.mat` and so on; needs SciPy.

    The names of the pictures are taken from `wider_face_val.mat` where these files do not have them.
    """
    found: Listed = {}
    for difficulty in DIFFICULTIES:
        file = folder / f"wider_{difficulty}_val.mat"
        values = _read_matlab(file)
        names = values if "file_list" in values else _read_matlab(folder / "wider_face_val.mat")
        try:
            lists = (names["event_list"].ravel(), names["file_list"].ravel(), values["gt_list"].ravel())
            for event, files, faces in zip(*lists, strict=True):
                for name, indices in zip(files.ravel(), faces.ravel(), strict=True):
                    picture = found.setdefault(f"{event.item()}/{name.item()}", {each: set() for each in DIFFICULTIES})
                    picture[difficulty] = {int(index) - 1 for index in np.ravel(indices)}
        except (KeyError, ValueError, AttributeError, TypeError) as error:
            raise DatasetError(f"{file}: expected event_list, file_list and gt_list of WIDER FACE: {error}") from error
    return found


def _read_matlab(file: Path) -> dict[str, Any]:
    try:
        from scipy.io import loadmat
        from scipy.io.matlab import MatReadError
    except ImportError as error:
        raise MissingExtraError(f"{file}: MATLAB files need SciPy; install it with: pip install scipy") from error
    try:
        values: dict[str, Any] = loadmat(str(file))
    except (OSError, ValueError, NotImplementedError, TypeError, MatReadError) as error:
        raise DatasetError(f"{file}: expected a MATLAB file of WIDER FACE's evaluation tools: {error}") from error
    return values

"""Face boxes of one's own, in the forms in which people hold them: COCO's JSON, WIDER FACE's text, parquet."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.datasets.photographs import Photograph, Photographs, read_parquet_photographs
from mien.datasets.wider_face import read_wider_face
from mien.errors import DatasetError


def read_box_file(file: Path, pictures: Path | None = None, difficulties: Path | None = None) -> Photographs:
    """The photographs of a file of boxes, by its ending: .json (COCO), .txt (WIDER FACE) or .parquet.

    pictures: the folder that names in the file start from, if not that of the file; a parquet file holds its pictures.
    difficulties: the folder of WIDER FACE's `wider_easy_val.mat` and so on.
    Raises DatasetError, which names what was expected and what was found.
    """
    form = file.suffix.lower()
    if difficulties and form != ".txt":
        raise DatasetError(f"{file}: expected WIDER FACE's text file beside its lists of easy, medium and hard faces")
    if form == ".parquet":
        return read_parquet_photographs(file)
    folder = file.parent if pictures is None else pictures
    if form == ".json":
        return read_coco(file, folder)
    if form == ".txt":
        return read_wider_face(file, folder, difficulties)
    raise DatasetError(f"{file}: expected a file that ends with .json (COCO), .txt (WIDER FACE) or .parquet")


def read_coco(file: Path, pictures: Path) -> Photographs:
    """Photographs of COCO's `images` and `annotations`; those with `iscrowd` or `ignore` are unsure boxes.

    Where there are several categories, only `face` is read. https://cocodataset.org/#format-data
    """
    document = _read_json(file)
    try:
        names = {image["id"]: image["file_name"] for image in document["images"]}
        faces: dict[Any, list[tuple[list[float], bool]]] = {number: [] for number in names}
        wanted = _face_category(file, document)
        for each in document["annotations"]:
            if each["image_id"] not in names:
                raise DatasetError(f"{file}: expected an image with the id {each['image_id']}, found none")
            if wanted is None or each["category_id"] == wanted:
                unsure = bool(each.get("iscrowd") or each.get("ignore"))
                faces[each["image_id"]].append((each["bbox"], unsure))
    except (KeyError, TypeError) as error:
        raise DatasetError(f"{file}: expected COCO's images and annotations, missing {error}") from error
    return Photographs(file.stem, [_photograph(file, pictures, names[number], faces[number]) for number in names])


def _read_json(file: Path) -> Any:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DatasetError(f"{file}: expected COCO's JSON: {error}") from error


def _face_category(file: Path, document: Any) -> Any:
    """The id of the category to read; None for all."""
    categories = document.get("categories", [])
    if len(categories) < 2:
        return None
    found = [each["id"] for each in categories if each["name"].lower() == "face"]
    if not found:
        known = ", ".join(str(each["name"]) for each in categories)
        raise DatasetError(f"{file}: expected one category, or one called face, found {known}")
    return found[0]


def _photograph(file: Path, pictures: Path, name: str, faces: list[tuple[list[float], bool]]) -> Photograph:
    if not (pictures / name).is_file():
        raise DatasetError(f"{file}: expected the picture {pictures / name}, found no such file")
    sure, unsure = ([box for box, doubtful in faces if doubtful is kind] for kind in (False, True))
    boxes = _boxes_xyxy(file, name, sure)
    return Photograph(
        encoded=pictures / name,
        boxes_xyxy=boxes,
        box_scores=np.ones(len(boxes), np.float32),
        landmarks_xy=None,
        labels=("",) * len(boxes),
        source=name,
        unsure_boxes_xyxy=_boxes_xyxy(file, name, unsure),
    )


def _boxes_xyxy(file: Path, name: str, boxes: list[list[float]]) -> NDArray[np.float32]:
    """From COCO's left, top, width, height."""
    for box in boxes:
        numbers = isinstance(box, list) and all(isinstance(value, (int, float)) for value in box)
        if not numbers or len(box) != 4 or not np.isfinite(box).all() or box[2] < 0 or box[3] < 0:
            raise DatasetError(f"{file}: expected bbox [left, top, width, height] in {name}, found {box}")
    found = np.array(boxes, np.float32).reshape(-1, 4)
    found[:, 2:] += found[:, :2]
    return found

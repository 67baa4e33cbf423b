import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mien.datasets.box_files import read_box_file
from mien.datasets.wider_face import read_difficulties
from mien.errors import DatasetError

NAMES = ("0--Parade/0_Parade_a_0_1.jpg", "1--Handshaking/1_Handshaking_b_1_2.jpg", "1--Handshaking/1_c_1_3.jpg")
TEXT = f"""{NAMES[0]}
3
10 20 30 40 0 0 0 0 0 0 
100 20 8 9 2 0 0 1 2 0 
60 20 30 40 1 0 0 0 0 0 
{NAMES[1]}
1
5 5 50 60 0 0 0 0 0 0 
{NAMES[2]}
0
0 0 0 0 0 0 0 0 0 0 
"""  # noqa: W291


def draw_pictures(folder: Path) -> None:
    for shade, name in enumerate(NAMES):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((120, 160, 3), shade * 40, np.uint8)).save(folder / name)


def write_coco(file: Path, **changes: Any) -> None:
    document = {
        "images": [{"id": 7, "file_name": NAMES[0]}, {"id": 9, "file_name": NAMES[1]}],
        "categories": [{"id": 1, "name": "person"}, {"id": 3, "name": "Face"}],
        "annotations": [
            {"image_id": 7, "category_id": 3, "bbox": [10, 20, 30, 40.5]},
            {"image_id": 7, "category_id": 1, "bbox": [0, 0, 90, 90]},
            {"image_id": 7, "category_id": 3, "bbox": [60, 20, 50, 60], "iscrowd": 1},
            {"image_id": 7, "category_id": 3, "bbox": [1, 1, 2, 2], "iscrowd": 0, "ignore": 1},
        ],
    }
    file.write_text(json.dumps({**document, **changes}))


def write_lists(folder: Path, with_names: bool = True) -> None:
    """The MATLAB files, as cells of cells: of the first picture face 1 is easy, 1 and 3 are medium and hard."""
    savemat = pytest.importorskip("scipy.io").savemat
    folder.mkdir(exist_ok=True)

    def cells(values: list[Any]) -> Any:
        found = np.empty((len(values), 1), object)
        for index, value in enumerate(values):
            found[index, 0] = value
        return found

    stems = [name.rpartition("/")[2].removesuffix(".jpg") for name in NAMES]
    names = {
        "event_list": cells([name.split("/")[0] for name in NAMES[:2]]),
        "file_list": cells([cells(stems[:1]), cells(stems[1:])]),
    }
    for difficulty, first, second in (("easy", [1], []), ("medium", [1, 3], []), ("hard", [1, 3], [1])):
        lists = [np.array(each, np.uint8).reshape(-1, 1) for each in (first, second, [])]
        faces = {"gt_list": cells([cells(lists[:1]), cells(lists[1:])])}
        savemat(folder / f"wider_{difficulty}_val.mat", {**faces, **(names if with_names else {})})
    savemat(folder / "wider_face_val.mat", names)


def test_coco(tmp_path: Path) -> None:
    draw_pictures(tmp_path / "pictures")
    write_coco(tmp_path / "faces.json")
    found = read_box_file(tmp_path / "faces.json", tmp_path / "pictures")
    assert (found.split, len(found)) == ("faces", 2)
    assert found[0].boxes_xyxy.tolist() == [[10, 20, 40, 60.5]]
    assert found[0].unsure_boxes_xyxy.tolist() == [[60, 20, 110, 80], [1, 1, 3, 3]]
    assert found[0].labels == ("",)
    assert found[1].boxes_xyxy.shape == (0, 4)
    assert found[1].read().shape == (120, 160, 3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images": [{"id": 7}]}, "expected COCO's images and annotations, missing 'file_name'"),
        ({"annotations": [{"image_id": 1, "category_id": 3, "bbox": [0, 0, 1, 1]}]}, "an image with the id 1, found"),
        ({"annotations": [{"image_id": 7, "category_id": 3, "bbox": [0, 0, -1, 1]}]}, r"found \[0, 0, -1, 1\]"),
        ({"annotations": [{"image_id": 7, "category_id": 3, "bbox": [0, 0, 1]}]}, r"found \[0, 0, 1\]"),
        ({"categories": [{"id": 1, "name": "person"}, {"id": 3, "name": "dog"}]}, "found person, dog"),
        ({"images": [{"id": 7, "file_name": "none.jpg"}]}, "none.jpg, found no such file"),
    ],
)
def test_what_is_wrong_in_coco_is_named(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    draw_pictures(tmp_path)
    if "images" in changes:
        changes = {"annotations": [], **changes}
    write_coco(tmp_path / "faces.json", **changes)
    with pytest.raises(DatasetError, match=message):
        read_box_file(tmp_path / "faces.json")


def test_wider_face_text(tmp_path: Path) -> None:
    draw_pictures(tmp_path / "images")
    (tmp_path / "wider_face_val_bbx_gt.txt").write_text(TEXT)
    found = read_box_file(tmp_path / "wider_face_val_bbx_gt.txt", tmp_path / "images")
    assert [each.source for each in found] == list(NAMES)
    assert found[0].boxes_xyxy.tolist() == [[10, 20, 40, 60], [60, 20, 90, 60]]
    assert found[0].unsure_boxes_xyxy.tolist() == [[100, 20, 108, 29]]
    assert [each.labels for each in found] == [("", ""), ("",), ()]
    assert found[2].boxes_xyxy.shape == (0, 4)


@pytest.mark.parametrize("with_names", [True, False])
def test_wider_face_difficulties(with_names: bool, tmp_path: Path) -> None:
    draw_pictures(tmp_path / "images")
    (tmp_path / "val.txt").write_text(TEXT)
    write_lists(tmp_path / "lists", with_names)
    found = read_box_file(tmp_path / "val.txt", tmp_path / "images", tmp_path / "lists")
    assert [each.labels for each in found] == [("easy medium hard", "medium hard"), ("hard",), ()]
    assert found[0].unsure_boxes_xyxy.tolist() == [[100, 20, 108, 29]]


def test_what_is_wrong_in_wider_face_is_named(tmp_path: Path) -> None:
    draw_pictures(tmp_path)
    file = tmp_path / "val.txt"
    for text, message in (
        (TEXT.replace("3\n10", "4\n10", 1), "expected a count and lines of numbers below 0--Parade"),
        (TEXT.replace("30 40 0 0", "30 40 0", 1), "expected 3 lines of 10 numbers for 0--Parade"),
        ("a.jpg\n", "expected a count and lines of numbers below a.jpg"),
        (TEXT.replace("_1.jpg", "_7.jpg"), "0_7.jpg, found no such file"),
    ):
        file.write_text(text)
        with pytest.raises(DatasetError, match=message):
            read_box_file(file)
    write_lists(tmp_path / "lists")
    file.write_text(TEXT.replace("3\n10", "1\n10", 1).replace(TEXT[TEXT.index("100 20") : TEXT.index("1--H")], "", 1))
    with pytest.raises(DatasetError, match=r"expected lists of easy, medium and hard faces of 0--Parade.*'s 1"):
        read_box_file(file, None, tmp_path / "lists")
    (tmp_path / "lists" / "wider_easy_val.mat").write_text("x")
    with pytest.raises(DatasetError, match="expected a MATLAB file of WIDER FACE's evaluation tools"):
        read_difficulties(tmp_path / "lists")


def test_other_files(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"expected a file that ends with \.json"):
        read_box_file(tmp_path / "a.csv")
    with pytest.raises(DatasetError, match="expected WIDER FACE's text file beside its lists"):
        read_box_file(tmp_path / "a.json", None, tmp_path)
    with pytest.raises(DatasetError, match="expected COCO's JSON"):
        read_box_file(tmp_path / "a.json")
    with pytest.raises(DatasetError, match="expected WIDER FACE's text"):
        read_box_file(tmp_path / "a.txt")


def test_parquet(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    draw_pictures(tmp_path)
    row = {
        "file": "a",
        "image": (tmp_path / NAMES[0]).read_bytes(),
        "boxes_xyxy": [[1.0, 2.0, 3.0, 4.0]],
        "unsure_boxes_xyxy": [[5.0, 6.0, 7.0, 8.0]],
    }
    parquet.write_table(pa.Table.from_pylist([row]), tmp_path / "own.parquet")
    (found,) = read_box_file(tmp_path / "own.parquet")
    assert found.boxes_xyxy.tolist() == [[1, 2, 3, 4]]
    assert found.unsure_boxes_xyxy.tolist() == [[5, 6, 7, 8]]

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mien.datasets.photographs import HELD_OUT_NO_PEOPLE, read_photographs
from mien.errors import DatasetError, MissingSplitError

pa = pytest.importorskip("pyarrow")
from pyarrow import parquet  # noqa: E402


def encoded(value: int, width: int = 250, height: int = 250) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.full((height, width, 3), value, np.uint8)).save(stream, "PNG")
    return stream.getvalue()


def write_files(folder: Path, persons: int = 40, empty: int = 70) -> None:
    lfw = [
        {
            "name": f"Person_{number}",
            "file": f"Person_{number}_{picture:04d}.jpg",
            "image": encoded(number),
            "boxes_xyxy": [[80.0, 60.0, 180.0, 190.0], [1.0, 2.0, 30.0, 40.0]],
            "box_scores": [0.9, 0.5],
            "landmarks_xy": [[float(value) for value in range(10)]] * 2,
        }
        for number in range(persons)
        for picture in (1, 2)
    ]
    people: list[dict[str, Any]] = [
        {"file": "a.png", "image": encoded(7), "boxes_xyxy": [[1.0, 2.0, 30.0, 40.0]], "labels": ["mask"]}
    ]
    none = [{"file": f"{number}.jpg", "image": encoded(number, 300, 200)} for number in range(empty)]
    crowds = [
        {
            "file": f"somewhere/{number}.jpg",
            "source": "facecount" if number % 3 == 0 else "fddb",
            "image": encoded(number),
            "boxes_xyxy": [[10.0, 20.0, 60.0, 80.0]] if number % 2 else [],
            "box_scores": [0.9] if number % 2 else [],
            "landmarks_xy": [[float(value) for value in range(10)]] if number % 2 else [],
            "unsure_boxes_xyxy": [[100.0, 20.0, 120.0, 50.0]],
        }
        for number in range(60)
    ]
    for name, rows in (("lfw", lfw), ("faces-dev", people), ("no-people", none), ("people", crowds)):
        parquet.write_table(pa.Table.from_pylist(rows), folder / f"{name}.parquet")


def test_persons_and_pictures_are_on_one_side(tmp_path: Path) -> None:
    write_files(tmp_path)
    training = read_photographs(tmp_path, "training")
    held_out = read_photographs(tmp_path, "lfw-held-out")
    empty = read_photographs(tmp_path, "no-people-held-out")
    assert len(training) + len(held_out) + len(empty) == 40 * 2 + 70
    assert len(empty) == HELD_OUT_NO_PEOPLE
    assert len(held_out) % 2 == 0
    assert 0 < len(held_out) < 20
    people, others = (
        {each.source.rpartition("_")[0] for each in part if len(each.boxes_xyxy)} for part in (training, held_out)
    )
    assert not people & others
    assert not {each.source for each in training} & {each.source for each in empty}


def test_a_fifth_of_the_people_is_held_out(tmp_path: Path) -> None:
    write_files(tmp_path)
    development = read_photographs(tmp_path, "people-dev")
    splits = ("training", "training-people", "training-people-without-facecount")
    portraits, every, licensed = (read_photographs(tmp_path, split) for split in splits)
    assert 4 <= len(development) <= 22
    assert len(every) == len(portraits) + 60 - len(development)
    crowd = [each for each in every if each.collection == "people"]
    assert not {each.source for each in crowd} & {each.source for each in development}
    names = {each.source for each in licensed if each.collection == "people"}
    assert names == {each.source for each in crowd if int(each.source[10:-4]) % 3}
    assert any(int(each.source[10:-4]) % 3 == 0 for each in development)
    assert development[0].unsure_boxes_xyxy.tolist() == [[100, 20, 120, 50]]
    assert portraits[0].unsure_boxes_xyxy.shape == (0, 4)


def test_a_photograph(tmp_path: Path) -> None:
    write_files(tmp_path)
    first = read_photographs(tmp_path, "training")[0]
    assert first.landmarks_xy is not None
    assert first.landmarks_xy.shape == (2, 5, 2)
    assert first.landmarks_xy[1, 4].tolist() == [8, 9]
    assert first.box_scores.tolist() == pytest.approx([0.9, 0.5])
    assert first.read().shape == (250, 250, 3)
    masked = read_photographs(tmp_path, "faces-dev")[0]
    assert (masked.labels, masked.landmarks_xy, masked.box_scores.tolist()) == (("mask",), None, [1.0])
    assert read_photographs(tmp_path, "no-people-held-out")[0].boxes_xyxy.shape == (0, 4)


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"lfw\.parquet: expected a parquet file"):
        read_photographs(tmp_path, "training")
    with pytest.raises(MissingSplitError, match="expected the split training, training-people"):
        read_photographs(tmp_path, "test")
    parquet.write_table(pa.table({"a": [1]}), tmp_path / "faces-dev.parquet")
    with pytest.raises(DatasetError, match="expected the columns file and image, found a"):
        read_photographs(tmp_path, "faces-dev")

import io
from pathlib import Path

import numpy as np
import pyarrow
import pytest
from conftest import drawn_face, write_fer2013_csv, write_votes_csv
from PIL import Image
from pyarrow import parquet

from mien.datasets import open_dataset
from mien.datasets.joined import Joined
from mien.errors import DatasetError, ImageError, MissingSplitError


def test_a_folder_of_faces_with_subfolders(tmp_path: Path) -> None:
    (tmp_path / "day-1").mkdir()
    for index, name in enumerate(("b.png", "day-1/a.png")):
        Image.fromarray(drawn_face(index, index)).save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("no picture")
    faces = open_dataset("faces", tmp_path, "all")
    assert [Path(sample.source).name for sample in faces] == ["b.png", "a.png"]
    assert [sample.label for sample in faces] == [-1, -1]
    assert faces.expressions == ()
    with pytest.raises(MissingSplitError, match="faces: expected the split 'all', not 'training'"):
        open_dataset("faces", tmp_path, "training")
    with pytest.raises(DatasetError, match="expected a folder of face pictures, found none"):
        open_dataset("faces", tmp_path / "none", "all")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetError, match="expected pictures"):
        open_dataset("faces", tmp_path / "empty", "all")


def test_lfw_is_cropped_to_the_main_face(tmp_path: Path) -> None:
    picture = np.zeros((250, 250, 3), np.uint8)
    picture[80:170, 90:160] = 255
    picture[0:100, 0:60] = 128  # a larger face beside
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "WEBP", lossless=True)
    boxes = [[0.0, 0.0, 60.0, 200.0], [90.0, 80.0, 160.0, 170.0]]
    table = {"file": ["one.jpg", "two.jpg"], "image": [stream.getvalue()] * 2, "boxes_xyxy": [boxes, []]}
    parquet.write_table(pyarrow.table(table), tmp_path / "lfw.parquet")
    lfw = open_dataset("lfw", tmp_path / "lfw.parquet", "all")
    assert len(lfw) == 2
    with pytest.raises(ImageError, match=r"two\.jpg: expected a face box x0, y0, x1, y1, found none"):
        lfw.sample(1)
    sample = lfw.sample(0)
    assert sample.image.shape == (96, 96, 1)
    assert sample.source == "one.jpg"
    assert (sample.image[48, [2, 30, 93], 0] == [0, 255, 0]).all()  # 90 px high, so 10 px on either side
    (tmp_path / "broken.parquet").write_text("x")
    with pytest.raises(DatasetError, match=r"broken\.parquet: expected lfw\.parquet"):
        open_dataset("lfw", tmp_path / "broken.parquet", "all")


def test_joined_faces_have_their_new_labels_and_weights(class_folders: Path) -> None:
    labelled = open_dataset("folder", class_folders, "public_test")
    faces = np.stack([drawn_face(2, 7), drawn_face(1, 8)])[..., None]
    joined = Joined(labelled, faces, np.array([2, 1]), 0.5)
    assert len(joined) == len(labelled) + 2
    assert [sample.label for sample in joined[-2:]] == [2, 1]
    assert (joined[-1].image == faces[1]).all()
    assert joined[0].source == labelled[0].source
    assert joined.targets() is None
    distributions = np.array([[0.2, 0.3, 0.5], [0.1, 0.8, 0.1]], np.float32)
    soft = Joined(labelled, faces, np.array([2, 1]), 0.5, distributions, repeats=2)
    assert len(soft) == 2 * len(labelled) + 2
    assert [sample.source for sample in soft[len(labelled) : -2]] == [sample.source for sample in labelled]
    assert [sample.label for sample in soft[-2:]] == [2, 1]
    targets = soft.targets()
    assert targets is not None
    assert (targets[:-2].argmax(axis=1) == [sample.label for sample in soft[:-2]]).all()
    assert (targets[:-2].max(axis=1) == 1).all()
    assert (targets[-2:] == distributions).all()
    assert soft.weights().tolist() == [1.0] * (2 * len(labelled)) + [0.5] * 2
    assert joined.weights().tolist() == [1.0] * len(labelled) + [0.5, 0.5]
    assert joined.votes() is joined.targets() is None


def test_votes_of_new_faces_are_not_looked_at(tmp_path: Path) -> None:
    rows = [(0, "Training", drawn_face(index, index)) for index in range(4)]
    write_fer2013_csv(tmp_path / "fer2013.csv", rows)
    mixed = [0, 0, 5, 0, 0, 0, 5, 0, 0, 0]
    write_votes_csv(tmp_path / "fer2013new.csv", [("Training", mixed)] * 4)
    labelled = open_dataset("ferplus-distribution", tmp_path, "training")
    joined = Joined(labelled, np.stack([labelled[1].image]), np.array([3]), 1.0)
    votes, targets = joined.votes(), joined.targets()
    assert votes is not None
    assert targets is not None
    assert votes.tolist() == [mixed] * 4 + [[0] * 10]
    assert targets[:4].tolist() == [[0, 0, 0.5, 0, 0, 0.5, 0, 0]] * 4
    assert targets[4].tolist() == [0, 0, 0, 1, 0, 0, 0, 0]


def test_a_picture_of_lfw_without_a_box_or_damaged_is_named(tmp_path: Path) -> None:
    table = {"file": ["one.jpg"], "image": [b"damaged"], "boxes_xyxy": [[[0.0, 0.0, 60.0, 200.0]]]}
    parquet.write_table(pyarrow.table(table), tmp_path / "lfw.parquet")
    lfw = open_dataset("lfw", tmp_path / "lfw.parquet", "all")
    with pytest.raises(ImageError, match=r"one\.jpg: expected"):
        lfw[0]
    table["boxes_xyxy"] = [[[60.0, 0.0, 60.0, 200.0]]]
    parquet.write_table(pyarrow.table(table), tmp_path / "lfw.parquet")
    lfw = open_dataset("lfw", tmp_path / "lfw.parquet", "all")
    with pytest.raises(ImageError, match=r"one\.jpg: expected"):
        lfw[0]

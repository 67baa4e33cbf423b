from pathlib import Path

import numpy as np
import pytest
from conftest import drawn_face, write_fer2013_csv, write_votes_csv
from PIL import Image

from mien.datasets import as_faces, open_dataset, pixel_key, training_pixel_keys
from mien.datasets.fer2013 import Fer2013
from mien.datasets.ferplus import FerPlus
from mien.datasets.packing import pack_fer2013
from mien.datasets.splits import Subset
from mien.errors import DatasetError
from mien.expressions import BASIC_7, FERPLUS_8, FERPLUS_VOTES, canonical_expression
from mien.preprocessing import Preprocessing

USAGES = ["Training", "Training", "PublicTest", "PrivateTest", "Training"]
VOTES = [
    [10, 0, 0, 0, 0, 0, 0, 0, 0, 0],  # neutral
    [0, 0, 0, 1, 6, 1, 0, 0, 2, 0],  # anger, 6 of 8
    [0, 0, 4, 0, 0, 0, 4, 0, 2, 0],  # no majority
    [0, 0, 0, 0, 0, 0, 0, 9, 1, 0],  # contempt
    [0, 0, 0, 0, 0, 0, 0, 0, 0, 10],  # not a face
]


@pytest.fixture
def kaggle(tmp_path: Path) -> Path:
    images = [drawn_face(index, index) for index in range(4)] + [np.zeros((48, 48), np.uint8)]
    write_fer2013_csv(
        tmp_path / "fer2013.csv", [(i, u, image) for i, (u, image) in enumerate(zip(USAGES, images, strict=True))]
    )
    write_votes_csv(tmp_path / "fer2013new.csv", list(zip(USAGES, VOTES, strict=True)))
    return tmp_path


def test_kaggle_csv_by_file_and_by_folder(kaggle: Path) -> None:
    for root in (kaggle, kaggle / "fer2013.csv"):
        training = open_dataset("fer2013", root, "training")
        assert [sample.label for sample in training] == [0, 1, 4]
        assert training.expressions == BASIC_7
        assert (training[1].image[:, :, 0] == drawn_face(1, 1)).all()
        assert training[-1].source == "row 4"
        assert len(open_dataset("fer2013", root, "private_test")) == 1
        assert len(open_dataset("fer2013", root, "all")) == 5
        with pytest.raises(IndexError, match="has 3 samples, no index 3"):
            training[3]


def test_icml_csv_has_its_columns_in_another_order(kaggle: Path) -> None:
    lines = (kaggle / "fer2013.csv").read_text().splitlines()
    swapped = ["emotion, Usage, pixels"]
    swapped += [f"{e},{u},{p}" for e, p, u in (line.split(",") for line in lines[1:])]
    (kaggle / "fer2013.csv").unlink()
    (kaggle / "icml_face_data.csv").write_text("\n".join(swapped))
    assert [sample.label for sample in open_dataset("fer2013", kaggle, "training")] == [0, 1, 4]


def test_ferplus_reads_the_votes_beside_the_csv(kaggle: Path) -> None:
    everything = open_dataset("ferplus", kaggle, "all")
    assert [FERPLUS_8[sample.label] for sample in everything] == ["neutral", "anger", "contempt"]
    assert [sample.source for sample in everything] == ["row 0", "row 1", "row 3"]
    (kaggle / "fer2013new.csv").unlink()
    with pytest.raises(DatasetError, match=r"fer2013new\.csv: expected the FERPlus votes"):
        open_dataset("ferplus", kaggle, "all")


def test_packing_loses_nothing(kaggle: Path) -> None:
    out = kaggle / "packed.parquet"
    assert pack_fer2013(kaggle, out) == 5
    for name in ("fer2013", "ferplus"):
        before, after = open_dataset(name, kaggle, "all"), open_dataset(name, out, "all")
        assert len(before) == len(after)
        for expected, found in zip(before, after, strict=True):
            assert expected.label == found.label
            assert expected.source == found.source
            assert (expected.image == found.image).all()


def test_packing_writes_the_schema_of_the_shared_file(kaggle: Path, fer2013_parquet: Path) -> None:
    from pyarrow import parquet

    pack_fer2013(kaggle, kaggle / "packed.parquet")
    assert parquet.read_schema(kaggle / "packed.parquet").equals(parquet.read_schema(fer2013_parquet))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("3,1 2 3,Training", "row 5: expected 2304 pixel values, found 3"),
        ("9,1 2 3,Training", "row 5: expected an emotion from 0 to 6, found '9'"),
        ("3,1 2 3", "row 5: expected 3 columns, found 2"),
        ("3,1 2 3,Test", "row 5: expected a usage of Training, PublicTest, PrivateTest, found 'Test'"),
        (f"3,{'256 ' * 2304},Training", "row 5: expected pixel values from 0 to 255"),
        (f"3,{'x ' * 2304},Training", "row 5: expected pixel values from 0 to 255"),
    ],
)
def test_damaged_rows_are_named(kaggle: Path, line: str, message: str) -> None:
    with (kaggle / "fer2013.csv").open("a") as stream:
        stream.write(line + "\n")
    with pytest.raises(DatasetError, match=rf"fer2013\.csv: {message}"):
        open_dataset("fer2013", kaggle, "training")


def test_wrong_roots_and_names(kaggle: Path, tmp_path: Path) -> None:
    with pytest.raises(
        DatasetError, match="unknown data set 'fer'; known: ckplus, ckplus-neutral, faces, fer2013, ferplus, "
    ):
        open_dataset("fer", kaggle, "training")
    with pytest.raises(DatasetError, match="unknown split 'test'; known: training"):
        open_dataset("fer2013", kaggle, "test")
    with pytest.raises(DatasetError, match="found nothing"):
        open_dataset("fer2013", tmp_path / "nowhere", "training")
    (tmp_path / "other").mkdir()
    with pytest.raises(DatasetError, match=r"expected fer2013\.csv, icml_face_data\.csv or fer2013\.parquet"):
        open_dataset("fer2013", tmp_path / "other", "training")
    (tmp_path / "other" / "fer2013.csv").write_bytes(b"\xff\xfe\x00rubbish")
    with pytest.raises(DatasetError, match="expected"):
        open_dataset("fer2013", tmp_path / "other", "training")
    (tmp_path / "bad.parquet").write_bytes(b"rubbish")
    with pytest.raises(DatasetError, match="expected the packed parquet"):
        open_dataset("fer2013", tmp_path / "bad.parquet", "training")


def test_folder_in_the_order_of_mien(class_folders: Path) -> None:
    training = open_dataset("folder", class_folders, "training")
    assert training.expressions == ("happiness", "sadness", "neutral")
    assert len(training) == 96
    assert training[0].label == 0
    with pytest.raises(DatasetError, match="expected a folder 'test' for this split, found public_test, training"):
        open_dataset("folder", class_folders, "test")


def test_folder_with_own_classes(tmp_path: Path) -> None:
    for name in ("wink", "Bored"):
        (tmp_path / name).mkdir()
        Image.new("RGB", (30, 20)).save(tmp_path / name / "1.JPG")
    everything = open_dataset("folder", tmp_path, "all")
    assert everything.expressions == ("bored", "wink")
    assert everything[1].image.shape == (20, 30, 3)
    (tmp_path / "wink" / "1.JPG").unlink()
    with pytest.raises(DatasetError, match="expected at least two classes, found bored"):
        open_dataset("folder", tmp_path, "all")
    (tmp_path / "Bored" / "1.JPG").unlink()
    with pytest.raises(DatasetError, match="expected folders of pictures"):
        open_dataset("folder", tmp_path, "all")


def test_pixel_key_sees_through_equal_channels() -> None:
    grey = drawn_face(1, 1)[:, :, None]
    assert pixel_key(grey) == pixel_key(np.repeat(grey, 3, axis=2))
    changed = grey.copy()
    changed[0, 0] ^= 1
    assert pixel_key(grey) != pixel_key(changed)
    assert pixel_key(np.zeros((2, 8, 1), np.uint8)) != pixel_key(np.zeros((4, 4, 1), np.uint8))


def test_training_images_are_known_in_other_splits(kaggle: Path, class_folders: Path, tmp_path: Path) -> None:
    images = [drawn_face(index, index) for index in (0, 1)] + [np.zeros((48, 48), np.uint8)]
    expected = {pixel_key(image[:, :, None]) for image in images}
    assert training_pixel_keys("fer2013", kaggle, "public_test") == expected
    assert training_pixel_keys("ferplus", kaggle, "public_test") == expected  # also of images that FERPlus leaves out
    assert training_pixel_keys("fer2013", kaggle, "all") == expected
    assert training_pixel_keys("fer2013", kaggle, "training") == set()
    assert len(training_pixel_keys("folder", class_folders, "public_test")) == 96
    (tmp_path / "test" / "wink").mkdir(parents=True)
    assert training_pixel_keys("folder", tmp_path, "test") == set()
    with (kaggle / "fer2013.csv").open("a") as stream:
        stream.write("3,1 2 3,Training\n")
    with pytest.raises(DatasetError, match="row 5: expected 2304 pixel values, found 3"):
        training_pixel_keys("fer2013", kaggle, "public_test")


def test_faces_that_are_one_array_stay_one(kaggle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = [open_dataset(*each) for each in (("fer2013", kaggle, "all"), ("ferplus", kaggle, "training"))]
    datasets.append(open_dataset("fer2013", kaggle, "fold-1-of-2-training"))
    expected = [as_faces(dataset[:], Preprocessing()) for dataset in datasets]  # sample by sample
    smaller = [as_faces(dataset, Preprocessing(24, 3))[0].shape for dataset in datasets]
    assert smaller == [(len(dataset), 24, 24, 3) for dataset in datasets]
    for kind in (Fer2013, FerPlus, Subset):
        monkeypatch.setattr(kind, "sample", None)
    for dataset, (faces, labels) in zip(datasets, expected, strict=True):
        found = as_faces(dataset, Preprocessing())
        assert np.array_equal(found[0], faces)
        assert np.array_equal(found[1], labels)
        assert (found[0].dtype, found[1].dtype) == (np.uint8, np.int64)


def test_csv_as_spreadsheets_save_it(kaggle: Path) -> None:
    text = (kaggle / "fer2013.csv").read_text()
    (kaggle / "fer2013.csv").write_text(text.replace("\n", "\r\n") + "\r\n", encoding="utf-8-sig")
    assert len(open_dataset("fer2013", kaggle, "all")) == 5
    with (kaggle / "fer2013.csv").open("ab") as stream:
        stream.write(b"3,\xff\xfe,Training\n")
    with pytest.raises(DatasetError, match="expected a csv file, found something else"):
        open_dataset("fer2013", kaggle, "all")


@pytest.mark.parametrize("vote", ["x", "-1", "300", ""])
def test_damaged_votes_are_named(kaggle: Path, vote: str) -> None:
    lines = (kaggle / "fer2013new.csv").read_text().splitlines()
    lines[3] = f"Training,fer.png,{vote},0,0,0,0,0,0,0,0,0"
    (kaggle / "fer2013new.csv").write_text("\n".join(lines))
    with pytest.raises(DatasetError, match=r"fer2013new\.csv: row 2: expected"):
        open_dataset("ferplus", kaggle, "all")


def test_names_people_use() -> None:
    assert canonical_expression(" Happy ") == "happiness"
    assert canonical_expression("Contempt") == "contempt"
    assert canonical_expression("bored") == "bored"
    assert FERPLUS_8[:7] == BASIC_7
    assert set(FERPLUS_8) | {"unknown", "nf"} == set(FERPLUS_VOTES)


def test_counts_of_the_real_data(fer2013_parquet: Path) -> None:
    training = open_dataset("fer2013", fer2013_parquet, "training")
    counts = np.bincount([sample.label for sample in training])
    assert counts.tolist() == [3995, 436, 4097, 7215, 4830, 3171, 4965]
    public = open_dataset("fer2013", fer2013_parquet, "public_test")
    assert len(public) == 3589
    seen = {pixel_key(sample.image) for sample in training}
    assert sum(pixel_key(sample.image) in seen for sample in public) == 280

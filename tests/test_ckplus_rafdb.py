"""CK+ and RAF-DB in the layouts in which they are given out, drawn, and the ways in which copies are incomplete."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from conftest import drawn_face, write_ckplus_48
from PIL import Image

from mien.datasets import open_dataset
from mien.errors import DatasetError, MissingSplitError
from mien.expressions import BASIC_7, CKPLUS_7, FERPLUS_8
from mien.images import read_image


def test_ckplus_as_distributed(ckplus: Path) -> None:
    dataset = open_dataset("ckplus", ckplus, "all")
    assert dataset.expressions == CKPLUS_7
    labels = [dataset.expressions[sample.label] for sample in dataset]
    assert labels == ["disgust"] * 3 + ["happiness"] * 3 + ["contempt"] * 3
    assert [sample.source[-7:-4] for sample in dataset[:3]] == ["003", "004", "005"]
    assert [dataset.group(index) for index in range(9)] == ["S005"] * 3 + ["S010"] * 6
    height, width, _ = dataset[0].image.shape
    assert height == width
    assert 60 < height < 200  # the face, not the frame


def test_ckplus_with_neutral_first_frames(ckplus: Path) -> None:
    dataset = open_dataset("ckplus-neutral", ckplus, "all")
    assert dataset.expressions == FERPLUS_8
    labels = [dataset.expressions[sample.label] for sample in dataset]
    assert labels[:5] == ["neutral", *["disgust"] * 3, "neutral"]
    assert dataset[0].source == "S005_001_00000001.png"
    assert len(dataset) == 12


def test_ckplus_half_copied(ckplus: Path) -> None:
    peak = ckplus / "cohn-kanade-images" / "S005" / "001" / "S005_001_00000005.png"
    peak.unlink()
    expected = "expected this frame of a labelled sequence, found nothing"
    with pytest.raises(DatasetError, match=rf"^{peak}: {expected}"):
        open_dataset("ckplus", ckplus, "all")
    before = peak.with_name("S005_001_00000004.png")
    shutil.move(before, peak)
    with pytest.raises(DatasetError, match=rf"^{before}: {expected}"):
        open_dataset("ckplus", ckplus, "all")
    shutil.rmtree(peak.parent)
    with pytest.raises(DatasetError, match=rf"^{peak.with_name('S005_001_00000001.png')}: {expected}"):
        open_dataset("ckplus", ckplus, "all")
    label = ckplus / "Emotion" / "S005" / "001" / "S005_001_00000005_emotion.txt"
    label.unlink()
    bad = ckplus / "Emotion" / "S010" / "002" / "S010_002_00000005_emotion.txt"
    bad.write_text("9.0")
    with pytest.raises(DatasetError, match=rf"^{bad}: expected a label from 1 to 7, found '9.0'"):
        open_dataset("ckplus", ckplus, "all")
    bad.write_text("happy")
    with pytest.raises(DatasetError, match=r"expected a label from 1 to 7, found 'happy'"):
        open_dataset("ckplus", ckplus, "all")
    shutil.rmtree(ckplus / "Emotion")
    with pytest.raises(DatasetError, match=rf"^{ckplus / 'Emotion'}: expected this folder of CK\+"):
        open_dataset("ckplus", ckplus, "all")
    shutil.rmtree(ckplus / "cohn-kanade-images")
    with pytest.raises(DatasetError, match=rf"^{ckplus / 'cohn-kanade-images'}: expected this folder of CK\+, or one"):
        open_dataset("ckplus", ckplus, "all")
    (ckplus / "Emotion").mkdir()
    with pytest.raises(DatasetError, match=rf"^{ckplus / 'cohn-kanade-images'}: expected this folder"):
        open_dataset("ckplus", ckplus, "all")


def test_ckplus_without_a_face_is_named(ckplus: Path) -> None:
    folder = ckplus / "cohn-kanade-images" / "S005" / "001"
    first, *others = (folder / f"S005_001_{number:08d}.png" for number in (1, 3, 4, 5))
    Image.new("L", (640, 490)).save(first)
    assert open_dataset("ckplus", ckplus, "all")[0].image.shape[0] > 60  # found in the next frame
    for file in others:
        Image.new("L", (640, 490)).save(file)
    with pytest.raises(DatasetError, match=rf"^{first}: expected a frontal face in this sequence, found none"):
        open_dataset("ckplus", ckplus, "all")[0]


def test_ckplus_48(tmp_path: Path) -> None:
    write_ckplus_48(tmp_path, subjects=3)
    dataset = open_dataset("ckplus", tmp_path, "all")
    assert dataset.expressions == CKPLUS_7
    assert len(dataset) == 3 * 7 * 3
    sample = dataset[0]
    assert sample.label == 0
    assert dataset.group(0) == "S005"
    assert (sample.image[:, :, 0] == read_image(tmp_path / "anger" / sample.source)[:, :, 0]).all()
    with pytest.raises(DatasetError, match="expected CK\\+ as distributed, for neutral first frames"):
        open_dataset("ckplus-neutral", tmp_path, "all")
    (tmp_path / "anger" / "face.png").write_bytes(b"")
    with pytest.raises(DatasetError, match=r"face\.png: expected a name like S010_004_00000017\.png"):
        open_dataset("ckplus", tmp_path, "all")
    shutil.rmtree(tmp_path / "fear")
    (tmp_path / "anger" / "face.png").unlink()
    with pytest.raises(DatasetError, match=rf"^{tmp_path / 'fear'}: expected a folder for this expression"):
        open_dataset("ckplus", tmp_path, "all")
    with pytest.raises(
        DatasetError, match=r"unknown split 'training' of ckplus; known: all, fold-I-of-N, random-80-20-shared-subjects"
    ):
        open_dataset("ckplus", tmp_path, "training")
    with pytest.raises(DatasetError, match="nowhere: expected a folder with CK"):
        open_dataset("ckplus", tmp_path / "nowhere", "all")


@pytest.fixture
def rafdb(tmp_path: Path) -> Path:
    (tmp_path / "EmoLabel").mkdir()
    (tmp_path / "Image" / "aligned").mkdir(parents=True)
    lines = []
    for part, count in (("train", 14), ("test", 7)):
        for index in range(count):
            name = f"{part}_{index + 1:05d}"
            lines.append(f"{name}.jpg {index % 7 + 1}\n")
            face = np.repeat(drawn_face(index % 7, index)[:, :, None], 3, axis=2)
            Image.fromarray(face).resize((100, 100)).save(tmp_path / "Image" / "aligned" / f"{name}_aligned.jpg")
    (tmp_path / "EmoLabel" / "list_patition_label.txt").write_text("".join(lines))
    return tmp_path


def test_rafdb_as_distributed(rafdb: Path) -> None:
    assert [len(open_dataset("rafdb", rafdb, split)) for split in ("training", "test", "all")] == [14, 7, 21]
    test = open_dataset("rafdb", rafdb, "test")
    assert test.expressions == BASIC_7
    names = [BASIC_7[sample.label] for sample in test]
    assert names == ["surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral"]
    assert test[0].image.shape == (100, 100, 3)
    assert test[0].source == "test_00001_aligned.jpg"


def test_rafdb_half_copied(rafdb: Path) -> None:
    missing = rafdb / "Image" / "aligned" / "test_00003_aligned.jpg"
    missing.unlink()
    assert len(open_dataset("rafdb", rafdb, "training")) == 14
    with pytest.raises(DatasetError, match=rf"^{missing}: expected this face of RAF-DB, found nothing; is the copy"):
        open_dataset("rafdb", rafdb, "test")
    listing = rafdb / "EmoLabel" / "list_patition_label.txt"
    lines = listing.read_text()
    for wrong in ("test_00001.jpg 8", "test_00001.jpg", "test_00001.png 3", "tset_00001.jpg 3"):
        listing.write_text("\n" + wrong)
        with pytest.raises(DatasetError, match=r"line 2: expected a file name and a label from 1 to 7, found 't"):
            open_dataset("rafdb", rafdb, "test")
    listing.write_text("".join(line for line in lines.splitlines(keepends=True) if "test" not in line))
    with pytest.raises(MissingSplitError, match="expected images of the split 'test', found none"):
        open_dataset("rafdb", rafdb, "test")
    listing.unlink()
    with pytest.raises(DatasetError, match=rf"^{listing}: expected RAF-DB's list of labels, found nothing"):
        open_dataset("rafdb", rafdb, "training")
    with pytest.raises(DatasetError, match=r"unknown split 'public_test' of rafdb; known: training, test, all, fold"):
        open_dataset("rafdb", rafdb, "public_test")

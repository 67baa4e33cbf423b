"""Shared fixtures: drawn faces and data sets in the layouts people hold, and the real data where it is present."""

import csv
import os
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

REPOSITORY = Path(__file__).parents[1]
EXAMPLES = REPOSITORY / "examples"
SHARED_DATA = Path(os.environ.get("MIEN_DATA", REPOSITORY.parent / "shared" / "data"))


@pytest.fixture
def examples() -> Path:
    return EXAMPLES


@pytest.fixture(scope="session")
def fer2013_parquet() -> Path:
    file = SHARED_DATA / "fer2013.parquet"
    if not file.is_file():
        pytest.skip(f"needs {file}")
    return file


def drawn_face(label: int, seed: int) -> NDArray[np.uint8]:
    """A grey 48x48 picture whose bright quarter tells the label: learnable in seconds."""
    generator = np.random.default_rng(seed)
    image = generator.integers(0, 90, (48, 48)).astype(np.uint8)
    row, column = divmod(label % 9, 3)
    image[row * 16 : row * 16 + 16, column * 16 : column * 16 + 16] += 140
    return image


def write_fer2013_csv(file: Path, rows: list[tuple[int, str, NDArray[np.uint8]]]) -> None:
    """Rows (emotion, usage, image) in the layout of Kaggle's fer2013.csv."""
    with file.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["emotion", "pixels", "Usage"])
        for emotion, usage, image in rows:
            writer.writerow([emotion, " ".join(map(str, image.ravel())), usage])


def write_votes_csv(file: Path, rows: list[tuple[str, list[int]]]) -> None:
    """Rows (usage, ten votes) in the layout of fer2013new.csv."""
    names = "neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF"
    with file.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["Usage", "Image name", *names.split(",")])
        for index, (usage, votes) in enumerate(rows):
            writer.writerow([usage, f"fer{index:07d}.png", *votes])


@pytest.fixture(scope="session")
def class_folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three drawn classes in two splits, 32 and 12 pictures each."""
    root = tmp_path_factory.mktemp("folders")
    for split, count in (("training", 32), ("public_test", 12)):
        for label, name in enumerate(("happy", "neutral", "sad")):
            folder = root / split / name
            folder.mkdir(parents=True)
            for index in range(count):
                seed = index + 1000 * label + (100_000 if split == "training" else 0)
                Image.fromarray(drawn_face(label * 4, seed)).save(folder / f"{index}.png")
    return root


@pytest.fixture(scope="session")
def school(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Few labelled faces, many unlabelled ones; school.py has the experiment for them."""
    from school import write_school

    root = tmp_path_factory.mktemp("school")
    write_school(root)
    return root


CKPLUS_NUMBERS = (5, 10, 11, 14, 22, 26, 28, 29, 32, 34, 35, 37, 42, 44, 45, 46, *range(50, 140), *range(147, 152))
CKPLUS_SUBJECTS = [f"S{number:03d}" for number in (*CKPLUS_NUMBERS, 154, 155, 156, 157, 158, 160, 501)]
"""118 subjects, as many as have labels in CK+, in its manner of naming."""


def write_ckplus_48(root: Path, subjects: int, expressions_a_subject: int = 7) -> None:
    """The common 48x48 form: three neighbouring frames of each sequence, named by subject, sequence and number."""
    names = ("anger", "contempt", "disgust", "fear", "happy", "sadness", "surprise")
    for name in names:
        (root / name).mkdir()
    for position, subject in enumerate(CKPLUS_SUBJECTS[:subjects]):
        for turn in range(expressions_a_subject):
            label = (position + turn) % 7
            for number in (15, 16, 17):
                face = drawn_face(label, 10_000 * position + 100 * label + number)
                Image.fromarray(face).save(root / names[label] / f"{subject}_{turn + 1:03d}_{number:08d}.png")


CKPLUS_SEQUENCES = {("S005", "001"): 3, ("S010", "002"): 5, ("S010", "006"): 2}
"""Label numbers by subject and sequence: disgust, happiness, contempt."""


@pytest.fixture
def ckplus(tmp_path: Path) -> Path:
    """The distributed folders: 640x490 frames of a portrait, five a sequence, and one sequence without a label."""
    portrait = Image.open(EXAMPLES / "eileen-collins.jpg").convert("L").resize((490, 490))
    for (subject, sequence), code in {**CKPLUS_SEQUENCES, ("S011", "001"): 0}.items():
        images = tmp_path / "cohn-kanade-images" / subject / sequence
        labels = tmp_path / "Emotion" / subject / sequence
        images.mkdir(parents=True)
        labels.mkdir(parents=True)
        for number in range(1, 6):
            frame = Image.new("L", (640, 490))
            frame.paste(portrait, (70, 0))
            frame.putpixel((0, 0), number * 10)
            frame.save(images / f"{subject}_{sequence}_{number:08d}.png")
        (images / ".DS_Store").write_text("x")
        if code:
            (labels / f"{subject}_{sequence}_00000005_emotion.txt").write_text(f"   {code}.0000000e+00\n")
    return tmp_path


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three seconds of two people who cross, with sound; needs PyAV."""
    from moving_portraits import write_clip

    file = tmp_path_factory.mktemp("clips") / "clip.mp4"
    write_clip(file, 3.0)
    return file


@pytest.fixture(scope="session")
def lfw_portraits() -> list[tuple[NDArray[np.uint8], NDArray[np.float32]]]:
    """A hundred portraits of persons that no detector learned from, each with the box of its main face."""
    file = SHARED_DATA / "lfw.parquet"
    if not file.is_file():
        pytest.skip(f"needs {file}")
    from mien.datasets.photographs import read_photographs

    held_out = read_photographs(SHARED_DATA, "lfw-held-out")
    chosen = np.random.default_rng(0).permutation(len(held_out))[:100]
    return [(held_out[int(i)].read(), held_out[int(i)].boxes_xyxy[held_out[int(i)].main]) for i in chosen]

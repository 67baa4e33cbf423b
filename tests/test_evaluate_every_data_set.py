"""`mien evaluate` on every data set that it knows, in the layouts that are read, with every documented split."""

import csv
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import drawn_face, write_ckplus_48, write_fer2013_csv, write_votes_csv
from PIL import Image

import mien
from mien.cli import main
from mien.datasets import DATASETS, Split, open_dataset, pixel_key, training_pixel_keys
from mien.expressions import BASIC_7, FERPLUS_VOTES, RAFDB_ORDER

PARTS = {"training": 4, "public_test": 1, "private_test": 1}
"""Faces of each of the seven classes."""
OFFICIAL = {"training": (28, None), "public_test": (7, 7), "private_test": (7, 7), "all": (42, 14)}
"""Faces in the split, and how many of them are not in the training split."""
OF_ALL = {"fold-1-of-3": 14, "random-80-20": 8, "random-80-20-seed-3": 8, "random-80-20-shared-pixels": 8}
"""Of 42 different faces: a third, and a fifth."""
OF_TRAINING = {"tenth-of-training": 3, "labelled-50-of-training": 14, "labelled-50-of-training-seed-3": 14}
"""Of 28 different faces, four a class: a tenth, and half of each class."""

Layout = Callable[[Path], Path]


def drawn() -> Iterator[tuple[int, str, np.ndarray]]:
    """Label, part and picture of 42 faces, all different."""
    for part, (usage, count) in enumerate(PARTS.items()):
        for label in range(7):
            for turn in range(count):
                yield label, usage, drawn_face(label, 100 * part + 10 * label + turn)


def fer2013(root: Path, with_votes: bool = True) -> Path:
    """Kaggle's csv, with the votes beside it."""
    usages = dict(zip(PARTS, ("Training", "PublicTest", "PrivateTest"), strict=True))
    write_fer2013_csv(root / "fer2013.csv", [(label, usages[part], face) for label, part, face in drawn()])
    if with_votes:
        votes = np.eye(10, dtype=int) * 10
        order = [FERPLUS_VOTES.index(name) for name in BASIC_7]
        rows = [(usages[part], votes[order[label]].tolist()) for label, part, _ in drawn()]
        write_votes_csv(root / "fer2013new.csv", rows)
    return root


def folder(root: Path) -> Path:
    """ROOT/SPLIT/CLASS, with each class and no other folder."""
    for index, (label, part, face) in enumerate(drawn()):
        (root / part / BASIC_7[label]).mkdir(parents=True, exist_ok=True)
        Image.fromarray(face).save(root / part / BASIC_7[label] / f"{index}.png")
    return root


def class_folder(root: Path) -> Path:
    """ROOT/CLASS."""
    for index, (label, _, face) in enumerate(drawn()):
        (root / BASIC_7[label]).mkdir(parents=True, exist_ok=True)
        Image.fromarray(face).save(root / BASIC_7[label] / f"{index}.png")
    return root


def rafdb(root: Path) -> Path:
    """As distributed; both test parts are `test`."""
    codes = {expression: code for code, expression in RAFDB_ORDER.items()}
    lines = []
    for each in ("EmoLabel", "Image/aligned"):
        (root / each).mkdir(parents=True)
    for index, (label, part, face) in enumerate(drawn()):
        name = f"{'train' if part == 'training' else 'test'}_{index:05d}"
        lines.append(f"{name}.jpg {codes[BASIC_7[label]]}\n")
        Image.fromarray(face).convert("RGB").resize((100, 100)).save(root / "Image" / "aligned" / f"{name}_aligned.jpg")
    (root / "EmoLabel" / "list_patition_label.txt").write_text("".join(lines))
    return root


def ckplus_48(root: Path) -> Path:
    """The common 48x48 form: four subjects, seven sequences each, three frames each."""
    write_ckplus_48(root, subjects=4)
    return root


def evaluate(*arguments: object, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, Any]:
    """The report of `mien evaluate` through its command line."""
    file = tmp_path / "report.json"
    monkeypatch.setattr(sys, "argv", ["mien", "evaluate", *map(str, arguments), "--json", str(file), "--threads", "1"])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 0
    return json.loads(file.read_text())


def clean(report: dict[str, Any]) -> int | None:
    """How many faces are not among those learned from; None where the report does not tell."""
    return (report["without_training_duplicates"] or {}).get("n")


def official() -> Iterator[tuple[Layout, str, str, int, int | None]]:
    """Layout, data set, split, faces and those not learned from."""
    for name in ("fer2013", "ferplus", "ferplus-7", "ferplus-distribution", "ferplus-multi-label"):
        yield from ((fer2013, name, split, *counts) for split, counts in OFFICIAL.items())
    yield from ((folder, "folder", split, *OFFICIAL[split]) for split in PARTS)
    yield class_folder, "folder", "all", 42, None
    yield from ((rafdb, "rafdb", *row) for row in (("training", 28, None), ("test", 14, 14), ("all", 42, 14)))
    yield ckplus_48, "ckplus", "all", 84, None


def made() -> Iterator[tuple[Layout, str, str, int]]:
    """Layout, data set, split and faces, for held-out parts and their rests."""
    for layout, name in ((fer2013, "fer2013"), (fer2013, "ferplus"), (rafdb, "rafdb"), (class_folder, "folder")):
        for split, count in OF_ALL.items():
            yield from ((layout, name, split, count), (layout, name, f"{split}-training", 42 - count))
    distribution = (fer2013, "ferplus-distribution")
    for layout, name in ((fer2013, "fer2013"), (rafdb, "rafdb"), (folder, "folder"), distribution):
        for split, count in OF_TRAINING.items():
            rest = "-rest" if split.startswith("labelled") else "-training"
            yield layout, name, f"{split}{rest}", 28 - count
            if name != "ferplus-distribution" or rest == "-rest":
                yield layout, name, split, count
    shared = "random-80-20-shared-subjects"
    for split, count in {"fold-1-of-4": 21, shared: 17, f"{shared}-seed-3": 17}.items():  # of 84 faces, 21 a subject
        yield from ((ckplus_48, "ckplus", split, count), (ckplus_48, "ckplus", f"{split}-training", 84 - count))


@pytest.mark.slow
@pytest.mark.parametrize(("layout", "name", "split", "count", "not_learned"), list(official()))
def test_official_splits(
    layout: Layout,
    name: str,
    split: str,
    count: int,
    not_learned: int | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = ("--dataset", name, "--root", layout(tmp_path), "--split", split, "--model", "fer-mobilenet")
    report = evaluate(*asked, monkeypatch=monkeypatch, tmp_path=tmp_path)
    assert (report["dataset"], report["split"]) == (name, split)
    assert report["n"] == count
    assert clean(report) == not_learned


@pytest.mark.slow
@pytest.mark.parametrize(("layout", "name", "split", "count"), list(made()))
def test_made_splits(
    layout: Layout, name: str, split: str, count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = ("--dataset", name, "--root", layout(tmp_path), "--split", split, "--model", "fer-mobilenet")
    report = evaluate(*asked, monkeypatch=monkeypatch, tmp_path=tmp_path)
    assert (report["dataset"], report["split"], report["n"]) == (name, split, count)
    if split == "fold-1-of-4":
        assert clean(report) == count  # drawn faces of other subjects are other faces


@pytest.mark.slow
@pytest.mark.parametrize("model", [card.name for card in mien.list_models()])
@pytest.mark.parametrize(("name", "frames"), [("ckplus", 9), ("ckplus-neutral", 12)])
def test_ckplus_as_distributed_by_every_network(
    model: str, name: str, frames: int, ckplus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_contempt = "contempt" in mien.Recognizer(model).expressions
    for split, counts in {"all": (frames, frames - 3), "fold-1-of-2": (frames // 3, frames // 3)}.items():
        asked = ("--dataset", name, "--root", ckplus, "--split", split, "--model", model)
        report = evaluate(*asked, monkeypatch=monkeypatch, tmp_path=tmp_path)
        assert report["n"] == counts[0 if with_contempt else 1]  # one of three sequences shows contempt


@pytest.mark.parametrize("name", ["faces", "lfw"])
def test_faces_without_labels_are_refused(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = class_folder(tmp_path / "pictures")
    if name == "lfw":
        pyarrow = pytest.importorskip("pyarrow")
        from pyarrow import parquet

        encoded = (root / "anger" / "0.png").read_bytes()
        columns = {"file": ["0.png"], "image": [encoded], "boxes_xyxy": [[[4.0, 4.0, 40.0, 40.0]]]}
        root = tmp_path / "lfw.parquet"
        parquet.write_table(pyarrow.table(columns), root)
    monkeypatch.setattr(sys, "argv", ["mien", "evaluate", "--dataset", name, "--root", str(root), "--split", "all"])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith(f"mien: {name} has the classes (none), ")
    assert last.endswith(": expected at least two in common")


def test_every_data_set_is_here() -> None:
    tried = {name for _, name, *_ in official()} | {"ckplus-neutral", "faces", "lfw", "people"}
    assert tried == set(DATASETS)


def keys(name: str, root: Path, split: str) -> set[str]:
    return {pixel_key(sample.image) for sample in open_dataset(name, root, split)}


def test_a_part_that_was_learned_need_not_be_here(tmp_path: Path) -> None:
    """What a network's card says that it learned from is another copy's part, or one of a data set of the same name."""
    table, folders, faces = (tmp_path / name for name in ("table", "folders", "faces"))
    for root, layout in ((table, fer2013), (folders, folder), (faces, ckplus_48)):
        root.mkdir()
        layout(root)
    assert training_pixel_keys("folder", folders, "public_test", [Split("folder", "fold-1-of-5-training")]) == set()
    assert training_pixel_keys("folder", folders, "public_test", [Split("folder", "learning")]) == set()
    assert training_pixel_keys("ckplus", faces, "all", [Split("ckplus", "fold-1-of-10-training")]) == set()
    assert training_pixel_keys("ckplus", faces, "all", [Split("ckplus", "fold-1-of-4-training")]) == keys(
        "ckplus", faces, "fold-1-of-4-training"
    )
    assert training_pixel_keys("fer2013", table, "public_test", [Split("fer2013", "test")]) == set()
    (folders / "training-2").mkdir()
    assert training_pixel_keys("folder", folders, "public_test", [Split("folder", "training-2")]) == set()


def test_folds_learned_in_a_form_for_learning(tmp_path: Path) -> None:
    """Such folds are learned with majority labels, and of the same faces as those of ferplus."""
    fer2013(tmp_path)
    expected = keys("ferplus", tmp_path, "fold-2-of-3-training")
    assert len(expected) == 28
    learned = [Split("ferplus-distribution", "fold-2-of-3-training")]
    assert training_pixel_keys("ferplus", tmp_path, "fold-2-of-3", learned) == expected


def test_a_part_that_cannot_be_told_without_votes_counts_whole(tmp_path: Path) -> None:
    fer2013(tmp_path, with_votes=False)
    for learned, base in (
        (Split("ferplus", "labelled-25-of-training"), "training"),
        (Split("ferplus-7", "tenth-of-training-training"), "training"),
        (Split("ferplus", "fold-1-of-3-training"), "all"),
    ):
        expected = keys("fer2013", tmp_path, base)
        assert training_pixel_keys("fer2013", tmp_path, "public_test", [learned]) == expected
    with (tmp_path / "fer2013new.csv").open("w") as stream:
        csv.writer(stream).writerow(["Usage"])
    with pytest.raises(mien.errors.DatasetError, match=r"fer2013new\.csv: expected the columns"):
        training_pixel_keys("fer2013", tmp_path, "fold-1-of-3", [Split("ferplus", "fold-1-of-3-training")])

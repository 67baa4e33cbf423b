from pathlib import Path

import numpy as np
import pytest
from conftest import drawn_face, write_fer2013_csv, write_votes_csv

from mien.datasets import Split, open_dataset, pixel_key, training_pixel_keys
from mien.datasets.fer2013 import read_table
from mien.datasets.ferplus import Counts, distribution, majority, multi_label, targets_by_rule
from mien.errors import DatasetError
from mien.expressions import BASIC_7, FERPLUS_8

# Columns: neutral happiness surprise sadness anger disgust fear contempt unknown nf
CLEAR = [10, 0, 0, 0, 0, 0, 0, 0, 0, 0]
OUTLIERS = [0, 0, 0, 1, 6, 1, 0, 0, 2, 0]  # anger 6 of 8
TIE = [0, 0, 4, 0, 0, 0, 4, 0, 2, 0]  # 8 of 10 after both
CONTEMPT = [0, 0, 0, 0, 0, 0, 0, 9, 1, 0]
NO_FACE = [0, 0, 0, 0, 0, 0, 0, 0, 0, 10]
ALONE = [1] * 10
MIXED = [4, 3, 2, 0, 0, 0, 0, 0, 0, 1]  # of 9: 4, then 7, which are three quarters
UNKNOWN_FIRST = [4, 0, 0, 0, 0, 0, 0, 0, 6, 0]
UNKNOWN_SECOND = [0, 5, 0, 2, 0, 0, 0, 0, 3, 0]  # 5 of 10 before unknown: no more than half
SPREAD = [2, 2, 2, 2, 2, 0, 0, 0, 0, 0]  # five with equal counts


@pytest.mark.parametrize(
    ("rule", "votes", "expected"),
    [
        (majority, CLEAR, {"neutral": 1.0}),
        (majority, OUTLIERS, {"anger": 1.0}),
        (majority, TIE, {}),
        (majority, CONTEMPT, {"contempt": 1.0}),
        (majority, NO_FACE, {}),
        (majority, ALONE, {}),
        (majority, [2, 1, 1, 1, 1, 1, 1, 1, 1, 0], {"neutral": 1.0}),
        (majority, MIXED, {}),
        (majority, UNKNOWN_FIRST, {}),
        (distribution, OUTLIERS, {"anger": 1.0}),
        (distribution, TIE, {"surprise": 0.5, "fear": 0.5}),
        (distribution, MIXED, {"neutral": 4 / 7, "happiness": 3 / 7}),
        (distribution, NO_FACE, {}),
        (distribution, ALONE, {}),
        (distribution, UNKNOWN_FIRST, {}),
        (distribution, UNKNOWN_SECOND, {}),
        (distribution, SPREAD, {}),
        (multi_label, OUTLIERS, {"anger": 1.0}),
        (multi_label, TIE, {"surprise": 0.5, "fear": 0.5}),
        (multi_label, MIXED, {"neutral": 4 / 7, "happiness": 3 / 7}),
        (multi_label, UNKNOWN_SECOND, {"happiness": 1.0}),  # unknown has three tenths too, but is no expression
        (multi_label, UNKNOWN_FIRST, {}),
        (multi_label, ALONE, {}),
    ],
)
def test_rules_worked_by_hand(rule: "type[Counts]", votes: list[int], expected: dict[str, float]) -> None:
    shares = targets_by_rule(np.array([votes], np.int8), rule)[0]  # type: ignore[arg-type]
    found = {name: share for name, share in zip(FERPLUS_8, shares.tolist(), strict=True) if share}
    assert found == pytest.approx(expected)


@pytest.fixture
def kaggle(tmp_path: Path) -> Path:
    usages = ["Training", "Training", "Training", "PublicTest", "PublicTest"]
    rows = [(0, usage, drawn_face(index, index)) for index, usage in enumerate(usages)]
    write_fer2013_csv(tmp_path / "fer2013.csv", rows)
    votes = [OUTLIERS, CONTEMPT, MIXED, MIXED, CLEAR]
    write_votes_csv(tmp_path / "fer2013new.csv", list(zip(usages, votes, strict=True)))
    return tmp_path


def test_the_forms_differ_in_what_is_learned_and_agree_in_what_is_measured(kaggle: Path) -> None:
    rows = {
        name: [sample.source for sample in open_dataset(name, kaggle, "training")]
        for name in ("ferplus", "ferplus-7", "ferplus-distribution", "ferplus-multi-label")
    }
    assert rows["ferplus"] == ["row 0", "row 1"]
    assert rows["ferplus-7"] == ["row 0"]
    assert rows["ferplus-distribution"] == rows["ferplus-multi-label"] == ["row 0", "row 1", "row 2"]
    for name in rows:
        measured = open_dataset(name, kaggle, "public_test")
        assert [sample.source for sample in measured] == ["row 4"]
        assert measured.labelled_by_votes
    assert open_dataset("ferplus-7", kaggle, "training").expressions == BASIC_7
    targets = open_dataset("ferplus-distribution", kaggle, "training").targets()
    assert targets is not None
    assert targets[2, :7].tolist() == pytest.approx([0, 0, 0, 3 / 7, 0, 0, 4 / 7])
    assert open_dataset("ferplus", kaggle, "training").targets() is None
    part = open_dataset("ferplus-distribution", kaggle, "tenth-of-training-training")
    assert part.labelled_by_votes
    found = part.targets()
    assert found is not None
    assert found.shape == (len(part), 8)
    for split in ("fold-1-of-3", "fold-1-of-3-training", "random-80-20", "tenth-of-training"):
        with pytest.raises(DatasetError, match="would be measured by other labels than majority ones; take ferplus"):
            open_dataset("ferplus-distribution", kaggle, split)


def test_leaked_images_are_looked_for_in_all_of_fer2013(kaggle: Path) -> None:
    expected = training_pixel_keys("fer2013", kaggle, "public_test")
    assert len(expected) == 3
    learned = Split("ferplus-distribution", "training")
    for name, learned_from in (("ferplus", (learned,)), ("ferplus-7", ()), ("ferplus", ())):
        assert training_pixel_keys(name, kaggle, "public_test", learned_from) == expected
    for learned_from in ((learned,), (Split("rafdb", "training"), Split("fer2013", "training"))):
        assert training_pixel_keys("ferplus", kaggle, "tenth-of-training", learned_from) == expected
    parts = {
        other: {pixel_key(each.image) for each in open_dataset(other, kaggle, "random-80-20-training")}
        for other in ("fer2013", "ferplus")
    }
    for other, seen in parts.items():  # each form draws its own parts
        for name in parts:
            assert training_pixel_keys(name, kaggle, "random-80-20", [Split(other, "random-80-20-training")]) == seen


def test_counts_of_the_real_votes(fer2013_parquet: Path) -> None:
    table = read_table(fer2013_parquet, "training", with_votes=True)
    assert table.votes is not None
    kept = {
        rule: targets_by_rule(table.votes, rule).any(axis=1).sum() for rule in (majority, distribution, multi_label)
    }
    assert kept == {majority: 25_060, distribution: 27_956, multi_label: 27_671}
    assert len(open_dataset("ferplus", fer2013_parquet, "training")) == 25_059  # without row 5274
    public = open_dataset("ferplus", fer2013_parquet, "public_test")
    assert len(public) == 3_199
    counts = dict(zip(FERPLUS_8, np.bincount([sample.label for sample in public]).tolist(), strict=True))
    assert counts == {
        "neutral": 1182,
        "happiness": 865,
        "surprise": 415,
        "sadness": 351,
        "anger": 287,
        "disgust": 24,
        "fear": 62,
        "contempt": 13,
    }

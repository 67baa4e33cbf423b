from pathlib import Path

import numpy as np
import pytest
from conftest import CKPLUS_SUBJECTS, drawn_face, write_ckplus_48, write_fer2013_csv

from mien.datasets import Split, open_dataset, pixel_key, training_pixel_keys
from mien.errors import DatasetError


@pytest.fixture(scope="module")
def ckplus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """118 subjects, as many as are labelled in CK+, named in its manner, each with one expression."""
    root = tmp_path_factory.mktemp("ckplus")
    write_ckplus_48(root, subjects=118, expressions_a_subject=1)
    return root


@pytest.fixture(scope="module")
def fer2013(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """200 rows of which every fourth repeats the image before it."""
    file = tmp_path_factory.mktemp("fer2013") / "fer2013.csv"
    images = [drawn_face(index % 7, index - (index % 4 == 3)) for index in range(200)]
    for index in range(3, 200, 4):
        images[index] = images[index - 1]
    usages = ["Training"] * 160 + ["PublicTest"] * 40
    write_fer2013_csv(file, [(i % 7, u, image) for i, (u, image) in enumerate(zip(usages, images, strict=True))])
    return file


def subjects(root: Path, split: str) -> list[str]:
    dataset = open_dataset("ckplus", root, split)
    return [sample.source.split("_")[0] for sample in dataset]


def test_no_subject_is_on_both_sides_of_any_fold(ckplus: Path) -> None:
    assert len(CKPLUS_SUBJECTS) == len(set(CKPLUS_SUBJECTS)) == 118
    seen: list[str] = []
    for index in range(1, 11):
        held_out, rest = subjects(ckplus, f"fold-{index}-of-10"), subjects(ckplus, f"fold-{index}-of-10-training")
        assert not set(held_out) & set(rest)
        assert set(held_out) | set(rest) == set(CKPLUS_SUBJECTS)
        assert len(held_out) + len(rest) == 118 * 3
        assert 11 <= len(set(held_out)) <= 12
        seen += sorted(set(held_out))
    assert sorted(seen) == sorted(CKPLUS_SUBJECTS)  # each held out once
    assert sorted(set(subjects(ckplus, "fold-1-of-10"))) == sorted(CKPLUS_SUBJECTS)[::10]


def test_random_parts_of_ckplus_need_their_full_name(ckplus: Path) -> None:
    for split in ("random-80-20", "random-80-20-seed-3-training", "random-80-20-shared-pixels"):
        with pytest.raises(
            DatasetError, match=r"neighbouring frames of one person on both sides.*fold-I-of-N, or random"
        ):
            open_dataset("ckplus", ckplus, split)
    held_out = subjects(ckplus, "random-80-20-shared-subjects")
    rest = subjects(ckplus, "random-80-20-shared-subjects-training")
    assert len(held_out) == pytest.approx(354 * 0.2, abs=1)
    assert set(held_out) & set(rest)


def keys(root: Path, split: str) -> list[str]:
    return [pixel_key(sample.image) for sample in open_dataset("fer2013", root, split)]


@pytest.mark.parametrize("name", ["random-80-20", "random-80-20-seed-5", "fold-2-of-5"])
def test_identical_pixels_stay_on_one_side(fer2013: Path, name: str) -> None:
    held_out, rest = keys(fer2013, name), keys(fer2013, f"{name}-training")
    assert not set(held_out) & set(rest)
    assert sorted(held_out + rest) == sorted(keys(fer2013, "all"))
    assert len(held_out) == pytest.approx(40, abs=4)


def test_shared_pixels_leak_by_name(fer2013: Path) -> None:
    name = "random-80-20-shared-pixels-seed-1"
    held_out, rest = keys(fer2013, name), keys(fer2013, f"{name}-training")
    assert set(held_out) & set(rest)
    assert len(held_out) == 40
    assert training_pixel_keys("fer2013", fer2013, name) == set(rest)
    assert not training_pixel_keys("fer2013", fer2013, f"{name}-training")


def test_seeds_draw_different_parts(fer2013: Path) -> None:
    assert keys(fer2013, "random-80-20") == keys(fer2013, "random-80-20-seed-0")
    assert keys(fer2013, "random-80-20") != keys(fer2013, "random-80-20-seed-1")


def test_a_tenth_of_training_is_kept_out(fer2013: Path) -> None:
    held_out, rest = keys(fer2013, "tenth-of-training"), keys(fer2013, "tenth-of-training-training")
    assert not set(held_out) & set(rest)
    assert sorted(held_out + rest) == sorted(keys(fer2013, "training"))
    assert len(held_out) == pytest.approx(16, abs=2)


@pytest.mark.parametrize(
    ("split", "message"),
    [
        ("fold-0-of-10", "I from 1 to N"),
        ("fold-11-of-10", "I from 1 to N"),
        ("fold-1-of-1", "N at least 2"),
        ("fold-1-of-500", "expected at most 150 folds"),
        ("random-80-20-shared-subjects", "does not say who its subjects are"),
        ("random-70-30", r"unknown split 'random-70-30'; known: .*random-80-20"),
    ],
)
def test_impossible_splits_are_named(fer2013: Path, split: str, message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        open_dataset("fer2013", fer2013, split)


def test_a_labelled_share_of_each_class_and_its_rest(fer2013: Path) -> None:
    whole = open_dataset("fer2013", fer2013, "training")
    part, rest = (open_dataset("fer2013", fer2013, f"labelled-25-of-training{end}") for end in ("", "-rest"))
    assert len(part) + len(rest) == len(whole)
    assert not set(keys(fer2013, part.split)) & set(keys(fer2013, rest.split))
    counts, drawn = (np.bincount([sample.label for sample in each], minlength=7) for each in (whole, part))
    assert (np.abs(drawn - counts / 4) <= 2).all()  # a group of identical images comes whole
    assert keys(fer2013, "labelled-25-of-training-seed-1") != keys(fer2013, part.split)
    with pytest.raises(DatasetError, match="expected labelled-P-of-training with P from 1 to 99"):
        open_dataset("fer2013", fer2013, "labelled-0-of-training")
    learned = Split("fer2013", "labelled-25-of-training")
    for more in ((), (Split("fer2013", "labelled-25-of-training-rest"),)):
        # The rest may have been learned from without labels: all arms leave out the same.
        found = training_pixel_keys("fer2013", fer2013, "public_test", (learned, *more))
        assert found == set(keys(fer2013, "training"))
    assert training_pixel_keys("fer2013", fer2013, rest.split, [learned]) == set(keys(fer2013, part.split))


def test_on_fer2013_itself(fer2013_parquet: Path) -> None:
    def real_keys(split: str) -> list[str]:
        return [pixel_key(sample.image) for sample in open_dataset("fer2013", fer2013_parquet, split)]

    held_out, rest = real_keys("random-80-20"), real_keys("random-80-20-training")
    assert not set(held_out) & set(rest)
    assert len(held_out) + len(rest) == 32_298
    assert len(held_out) == pytest.approx(0.2 * 32_298, abs=5)


def test_images_that_a_network_learned_from_are_known_by_its_card(fer2013: Path) -> None:
    everything = set(keys(fer2013, "all"))
    learned = training_pixel_keys("fer2013", fer2013, "public_test", [Split("fer2013", "random-80-20-training")])
    assert learned == set(keys(fer2013, "random-80-20-training")) != everything
    official = training_pixel_keys("fer2013", fer2013, "random-80-20", [Split("fer2013", "training")])
    assert official == set(keys(fer2013, "training"))
    assert training_pixel_keys("fer2013", fer2013, "random-80-20", [Split("ckplus", "all")]) == learned
    assert training_pixel_keys("fer2013", fer2013, "public_test") == official
    part = [Split("fer2013", "tenth-of-training-training")]
    assert training_pixel_keys("fer2013", fer2013, "public_test", part) == official
    rest = training_pixel_keys("fer2013", fer2013, "tenth-of-training", part)
    assert rest == set(keys(fer2013, "tenth-of-training-training"))
    assert not rest & set(keys(fer2013, "tenth-of-training"))


def test_the_tenth_of_ferplus_has_the_images_of_fer2013s(fer2013_parquet: Path) -> None:
    tenth, rest = (set(keys(fer2013_parquet, name)) for name in ("tenth-of-training", "tenth-of-training-training"))
    for name in ("ferplus", "ferplus-distribution"):
        part = f"tenth-of-training{'-training' * (name != 'ferplus')}"
        found = {pixel_key(sample.image) for sample in open_dataset(name, fer2013_parquet, part)}
        assert found <= (tenth if name == "ferplus" else rest)
        assert len(found) > 0.8 * len(tenth)

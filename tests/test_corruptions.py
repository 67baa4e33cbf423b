import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import write_fer2013_csv
from test_evaluation import Drawn, card, scorer_of

from mien.datasets import pixel_key
from mien.errors import DatasetError
from mien.evaluation.common_corruptions import DEFOCUS_PX
from mien.evaluation.corruptions import CORRUPTIONS, SEVERITIES, corrupt
from mien.evaluation.report import evaluate
from mien.evaluation.robustness import measure_robustness
from mien.expressions import BASIC_7, FERPLUS_8
from mien.images import read_image
from mien.preprocessing import ImageArray, Preprocessing, crop_face

SIDE_PX = 48
WITHOUT_CHANCE = {"defocus-blur", "jpeg", "pixelate", "contrast", "darkness", "occluded-eyes", "occluded-mouth"}


@pytest.fixture
def face(examples: Path) -> ImageArray:
    """Eileen Collins' face, RGB uint8 (48, 48, 3)."""
    image = read_image(examples / "eileen-collins.jpg")
    return crop_face(image, (178, 61, 270, 174), Preprocessing(SIDE_PX, channels=3))


def one(face: ImageArray, name: str, severity: int, position: int = 0) -> ImageArray:
    return corrupt(face[None], [position], name, severity)[0]


def flat(level: int, channels: int = 1) -> ImageArray:
    return np.full((SIDE_PX, SIDE_PX, channels), level, np.uint8)


def ramps() -> ImageArray:
    """Three channels: 5 levels a pixel to the right, 5 down, and 100 everywhere."""
    rows, columns = np.mgrid[:SIDE_PX, :SIDE_PX]
    return np.stack([5 * columns, 5 * rows, np.full_like(rows, 100)], axis=2).astype(np.uint8)


def dot() -> ImageArray:
    image = flat(0)
    image[24, 24] = 255
    return image


@pytest.mark.parametrize("name", CORRUPTIONS)
@pytest.mark.parametrize("channels", [1, 3])
def test_all_keep_shape_and_dtype_and_grow_with_severity(name: str, channels: int, face: ImageArray) -> None:
    original = face[:, :, :channels].copy()
    given = original.copy()
    distances = []
    for severity in SEVERITIES:
        found = [one(given, name, severity, position) for position in range(8)]
        assert all(each.shape == original.shape and each.dtype == np.uint8 for each in found)
        distances.append(np.abs(np.stack(found).astype(float) - original).mean())
    np.testing.assert_array_equal(given, original)
    assert distances[0] > 0
    assert distances == sorted(set(distances))


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_position_and_name_alone_decide_what_is_drawn(name: str, face: ImageArray) -> None:
    alone = one(face, name, 3, position=7)
    together = corrupt(np.stack([face, face, face]), [2, 7, 40], name, 3)
    np.testing.assert_array_equal(together[1], alone)
    differs = any((one(face, name, 3, position) != alone).any() for position in range(7))
    assert differs == (name not in WITHOUT_CHANCE)


def test_names_have_draws_of_their_own() -> None:
    larger, to_the_right = [], []
    for position in range(40):
        scaled, leaning = (one(ramps(), name, 5, position).astype(int) for name in ("box-scale", "lean"))
        larger.append(scaled[24, 34, 0] - scaled[24, 14, 0] > 100)
        to_the_right.append(leaning[24, 34, 1] > leaning[24, 14, 1])
    assert all(10 < sum(drawn) < 30 for drawn in (larger, to_the_right))
    assert 10 < sum(np.equal(larger, to_the_right)) < 30


@pytest.mark.parametrize(("severity", "level"), [(1, 100), (2, 60), (3, 30), (4, 16), (5, 8)])
def test_darkness_multiplies(severity: int, level: int) -> None:
    np.testing.assert_array_equal(one(flat(200), "darkness", severity), flat(level))


def test_darkness_loses_levels(face: ImageArray) -> None:
    assert len(np.unique(one(face, "darkness", 5))) <= 11  # 0.04 * 255 is 10.2


def test_contrast_around_the_mean() -> None:
    image = flat(100)
    image[:24] = 200
    found = one(image, "contrast", 4)  # a tenth of 50 to both sides of 150
    np.testing.assert_array_equal(np.unique(found[:24]), [155])
    np.testing.assert_array_equal(np.unique(found[24:]), [145])


def test_gaussian_noise_has_the_published_deviation() -> None:
    for severity, share in ((1, 0.04), (5, 0.18)):
        found = np.stack([one(flat(128), "gaussian-noise", severity, position) for position in range(8)]).astype(float)
        assert found.mean() == pytest.approx(128, abs=2)
        assert found.std() == pytest.approx(255 * share, rel=0.03)


def test_shot_noise_grows_with_light() -> None:
    """A Poisson count of 250 photons at white: a level of 64 has 62.7 of them."""
    np.testing.assert_array_equal(one(flat(0), "shot-noise", 5), flat(0))
    for level in (64, 128):
        found = np.stack([one(flat(level), "shot-noise", 1, position) for position in range(8)]).astype(float)
        assert found.mean() == pytest.approx(level, rel=0.01)
        assert found.std() == pytest.approx(255 / 250 * math.sqrt(250 * level / 255), rel=0.04)


def test_defocus_of_a_dot_is_a_disc() -> None:
    assert DEFOCUS_PX[4][0] == 3  # of 64 px, which is 2.25 of 48: an area of 15.9 pixels
    found = one(dot(), "defocus-blur", 5)[:, :, 0].astype(float)
    assert found.sum() == pytest.approx(255, abs=8)  # rounded
    assert found[24, 24] == pytest.approx(255 / 15.9, abs=1)
    assert found[24, 22] == found[22, 24] == found[24, 26] == pytest.approx(0.73 * 255 / 15.9, abs=1)  # partly covered
    assert not found[24, 27:].any()
    assert not found[22, 22] > 8  # the corner of the disc, 2.8 from the centre
    np.testing.assert_array_equal(one(flat(77), "defocus-blur", 5), flat(77))


def test_motion_of_a_dot_is_a_trail_to_one_side() -> None:
    found = one(dot(), "motion-blur", 5)[:, :, 0].astype(float)
    rows, columns = np.nonzero(found > 2)
    assert columns.max() <= 25  # one side, but for what lies between pixels
    assert columns.min() <= 20
    assert abs(rows - 24).max() <= 24 - columns.min() + 1  # at most 45 degrees
    assert found.sum() == pytest.approx(255, abs=12)
    np.testing.assert_array_equal(one(flat(77), "motion-blur", 5), flat(77))


def test_pixelate_of_halves_makes_blocks_of_four() -> None:
    image = ramps()[:, :, :1]
    found = one(image, "pixelate", 5)
    blocks = np.floor(image.reshape(24, 2, 24, 2, 1).mean(axis=(1, 3)) + 0.5)
    np.testing.assert_array_equal(found, blocks.repeat(2, axis=0).repeat(2, axis=1))


def test_fog_leaves_black_pictures_and_the_brightest_level() -> None:
    np.testing.assert_array_equal(one(flat(0), "fog", 5), flat(0))
    for severity, thickness in ((1, 0.4), (5, 2)):
        found = one(flat(200), "fog", severity).astype(float)
        brightest = 200 / 255
        low = 200 * brightest / (brightest + thickness)  # no cloud before the face
        high = (200 + 255 * thickness) * brightest / (brightest + thickness)
        assert high == pytest.approx(200)
        assert (found.min(), found.max()) == (round(low), 200)


def test_side_light_is_bright_on_one_side_and_dark_on_the_other() -> None:
    found = one(flat(100), "side-light", 5)[0, :, 0].astype(float)
    assert found[[0, -1]].tolist() in ([150, 10], [10, 150])
    assert (found[23] + found[24]) / 2 == pytest.approx(80, abs=1)


def test_bands_cover_eyes_and_mouth() -> None:
    eyes, mouth = one(flat(100), "occluded-eyes", 5)[:, 0, 0], one(flat(100), "occluded-mouth", 1)[:, 0, 0]
    assert np.flatnonzero(eyes == 24).tolist() == list(range(12, 26))  # 0.25 and 0.55 of 48 px
    assert np.flatnonzero(mouth == 224).tolist() == list(range(34, 39))  # 0.705 and 0.805
    assert (eyes == 100).sum() == 48 - 14


@pytest.mark.parametrize(("severity", "distance_px"), [(1, 1.2), (2, 2.4), (3, 3.6), (4, 4.8), (5, 7.2)])
def test_a_shift_of_ramps(severity: int, distance_px: float) -> None:
    middle = slice(16, 32)
    for position in range(6):
        found = one(ramps(), "box-shift", severity, position).astype(float) - ramps()
        right, down = (found[middle, middle, channel].mean() / 5 for channel in (0, 1))
        assert math.hypot(right, down) == pytest.approx(distance_px, abs=0.15)  # rounded to whole levels
        assert not found[:, :, 2].any()


def test_a_shift_repeats_the_edge() -> None:
    rows = [one(ramps(), "box-shift", 5, position)[24, :, 0].astype(int) for position in range(20)]
    rightmost = max(rows, key=lambda row: row[24])
    assert rightmost[24] > 5 * (24 + 6)
    assert (rightmost[-6:] == 5 * 47).all()


def test_a_larger_box_shows_a_smaller_face() -> None:
    slopes = set()
    for position in range(8):
        found = one(ramps(), "box-scale", 5, position)[24, :, 0].astype(float)
        slopes.add(round((found[34] - found[14]) / 20, 1))
        assert found[[23, 24]].mean() == pytest.approx(5 * 23.5, abs=1)
    assert slopes == {5 * 0.8, 5 * 1.2}


def test_a_leaning_face_turns_around_the_middle() -> None:
    for position in range(4):
        found = one(ramps(), "lean", 5, position).astype(float)
        right, down = (found[24, 34, channel] - found[24, 14, channel] for channel in (0, 1))
        assert math.degrees(math.atan2(abs(down), right)) == pytest.approx(25, abs=1)
        assert found[23:25, 23:25, 0].mean() == pytest.approx(5 * 23.5, abs=1)


def test_errors() -> None:
    with pytest.raises(DatasetError, match=r"unknown corruption 'rain'; known: gaussian-noise, shot-noise, .*lean$"):
        corrupt(flat(0)[None], [0], "rain", 1)
    for severity in (0, 6):
        with pytest.raises(ValueError, match=f"severity must be one of 1, 2, 3, 4, 5, not {severity}"):
            corrupt(flat(0)[None], [0], "jpeg", severity)


def test_report_worked_by_hand() -> None:
    labels = [1, 1, 1, 0]
    dataset, names = Drawn(labels, [1, 1, 0, 0], ("a", "b")), ("a", "b")
    shown: list[tuple[int, int]] = []
    report = measure_robustness(
        scorer_of(2),  # type: ignore[arg-type]
        dataset,
        card(names),
        ("darkness", "darkness"),
        show_progress=lambda done, total: shown.append((done, total)),
    )
    values = report.values
    assert values["n"] == 4
    assert values["untouched"]["accuracy"] == 0.75
    assert values["untouched"]["ece"] == pytest.approx(0.15, abs=1e-6)
    assert list(values["corruptions"]) == ["darkness"]
    darkness = values["corruptions"]["darkness"]
    assert [cell["severity"] for cell in darkness["severities"]] == [1, 2, 3, 4, 5]
    for cell in darkness["severities"]:  # 10 becomes 5 or less: every answer is "a"
        assert (cell["accuracy"], cell["drop"]) == (0.25, 0.5)
        assert cell["ece"] == pytest.approx(0.35, abs=1e-6)
        low, high = cell["accuracy_interval"]
        assert low <= 0.25 <= high
        assert cell["kl_divergence"] is cell["accuracy_without_training_duplicates"] is None
    assert darkness["mean"]["accuracy"] == values["mean"]["accuracy"] == 0.25
    assert values["mean"]["drop"] == 0.5
    assert values["mean"]["accuracy_by_severity"] == [0.25] * 5
    assert values["mean"]["kl_divergence"] is None
    assert shown == [(4 * variant, 24) for variant in range(1, 7)]
    page = report.to_markdown().splitlines()
    assert "| untouched | - | - | - | - | - | 0.750 | - | 0.150 |" in page
    assert "| darkness | 0.250 | 0.250 | 0.250 | 0.250 | 0.250 | 0.250 | - | 0.350 |" in page
    assert values["protocol"].endswith(
        "mien evaluate --model drawn-net --dataset drawn --root PATH --split test --corruptions --corruption darkness"
    )


def test_means_are_those_of_cells(tmp_path: Path) -> None:
    names = ("a", "b", "c", "d")
    dataset = Drawn([0, 1, 2, 3] * 5, [0, 1, 2, 3] * 5, names)
    report = measure_robustness(scorer_of(4), dataset, card(names), ("darkness", "pixelate"))  # type: ignore[arg-type]
    # Greys of 10, 20, 30 times 0.5 or less are seen as class 0 or 1; flat pictures are the same with larger pixels.
    darkness, pixelate = (
        [cell["accuracy"] for cell in report.values["corruptions"][name]["severities"]]
        for name in ("darkness", "pixelate")
    )
    assert darkness == [0.25] * 5
    assert pixelate == [1] * 5
    assert report.values["mean"]["accuracy"] == 0.625
    assert report.values["mean"]["drop"] == 0.375
    assert report.values["mean"]["accuracy_by_severity"] == [0.625] * 5
    assert "| all | 0.625 | 0.625 | 0.625 | 0.625 | 0.625 | 0.625 | - | " in report.to_markdown()
    plain = evaluate(scorer_of(4), dataset, card(names)).values  # type: ignore[arg-type]
    for key in ("accuracy", "accuracy_interval", "ece", "ece_interval"):
        assert report.values["untouched"][key] == plain[key]
    report.write(tmp_path / "report.json")
    assert json.loads((tmp_path / "report.json").read_text()) == json.loads(json.dumps(report.values))


def test_votes_shared_classes_and_images_of_the_training_split() -> None:
    class Voted(Drawn):
        labelled_by_votes = True

        def votes(self) -> np.ndarray:
            """Of neutral and happiness."""
            return np.array([[0, 10, *[0] * 8], [10, *[0] * 9], [0, 0, 10, *[0] * 7]], np.int8)

    names = ("neutral", "happiness", "surprise")
    other = ("neutral", "happiness")
    dataset = Voted([1, 0, 2], [1, 0, 1], names)
    keys = {pixel_key(dataset[0].image)}
    values = measure_robustness(scorer_of(2), dataset, card(other), ("darkness",), keys).values  # type: ignore[arg-type]
    assert values["n"] == 2
    assert "Only the classes both have: neutral, happiness" in values["protocol"]
    (dark, *_) = values["corruptions"]["darkness"]["severities"]
    assert values["untouched"]["kl_divergence"] == pytest.approx(math.log(1 / 0.6))
    assert dark["kl_divergence"] == pytest.approx((math.log(1 / 0.6) + math.log(1 / 0.4)) / 2)
    assert values["corruptions"]["darkness"]["mean"]["kl_divergence"] == pytest.approx(dark["kl_divergence"])
    assert (dark["accuracy"], dark["accuracy_without_training_duplicates"]) == (0.5, 1)


def test_eight_classes_on_a_set_of_seven() -> None:
    dataset = Drawn([0, 1], [0, 1], BASIC_7)
    values = measure_robustness(scorer_of(8), dataset, card(FERPLUS_8), ("darkness",)).values  # type: ignore[arg-type]
    assert values["untouched"]["ece"] == pytest.approx(1 - 0.6 / (1 - 0.4 / 7), abs=1e-5)
    assert values["corruptions"]["darkness"]["mean"]["accuracy"] == 0.5


def test_command(tmp_path: Path) -> None:
    rows = [(label, "PublicTest", np.full((48, 48), 30 * label, np.uint8)) for label in range(7)]
    write_fer2013_csv(tmp_path / "fer2013.csv", rows)
    wanted = ["evaluate", "--dataset", "fer2013", "--root", str(tmp_path), "--split", "public_test", "--threads", "1"]

    def run(*more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "mien", *wanted, *more], capture_output=True, text=True, timeout=300
        )

    out = tmp_path / "deep" / "report.json"
    done = run("--corruption", "jpeg", "--corruption", "lean", "--json", str(out))
    assert done.returncode == 0, done.stderr
    values = json.loads(out.read_text())
    assert list(values["corruptions"]) == ["jpeg", "lean"]
    assert values["n"] == 7
    assert "| accuracy under | severity 1 | severity 2 |" in done.stdout
    assert done.stderr == ""
    done = run("--corruption", "rain")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("mien: unknown corruption 'rain'; known: gaussian-noise, shot-noise")
    assert done.stderr.count("\n") == 1
    done = run("--corruptions", "--picture", str(tmp_path / "matrix.png"))
    assert done.returncode == 2
    assert "expected one of --picture and --corruptions, found both" in done.stderr

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from mien.errors import ModelError
from mien.preprocessing import Preprocessing, crop_face, to_network_input, whole_image_face

GREY_48 = Preprocessing()


def ramp(height: int, width: int) -> np.ndarray:
    """A picture whose grey value tells the column."""
    row = np.linspace(0, 255, width).astype(np.uint8)
    return np.repeat(np.tile(row, (height, 1))[:, :, None], 3, axis=2)


def test_crop_of_exact_pixels_is_those_pixels() -> None:
    image = np.random.default_rng(0).integers(0, 256, (100, 120, 3)).astype(np.uint8)
    values = Preprocessing(size_px=48, channels=3)
    assert (crop_face(image, (10, 20, 58, 68), values) == image[20:68, 10:58]).all()


def test_crop_is_a_square_around_the_centre() -> None:
    image = ramp(200, 256)
    crop = crop_face(image, (100, 50, 120, 150), GREY_48)  # 100 high: columns 60 to 160
    assert crop.shape == (48, 48, 1)
    assert crop[:, 0, 0].mean() == pytest.approx(61, abs=2)
    assert crop[:, -1, 0].mean() == pytest.approx(159, abs=2)


def test_a_square_over_a_long_strip_takes_little_memory() -> None:
    strip = np.zeros((10, 30_000, 3), np.uint8)
    tracemalloc.start()
    crop_face(strip, (0, 0, 30_000, 10), Preprocessing())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 150e6  # 4096 x 4096 pixels, and copies of them


def test_margin_is_a_share_of_the_longer_side() -> None:
    image = ramp(400, 256)
    crop = crop_face(image, (100, 150, 150, 200), Preprocessing(margin=0.5))  # columns 75 to 175
    assert crop[:, 0, 0].mean() == pytest.approx(76, abs=2)
    assert crop[:, -1, 0].mean() == pytest.approx(174, abs=2)


def test_sub_pixel_boxes_do_not_drift() -> None:
    image = ramp(64, 256)
    values = [crop_face(image, (x, 8, x + 48, 56), GREY_48).mean() for x in np.linspace(50, 150, 41)]
    steps = np.diff(values)
    assert steps == pytest.approx(np.full(40, 2.5), abs=0.6)


def test_beyond_the_edge_the_edge_is_repeated() -> None:
    image = np.full((60, 60, 3), 30, np.uint8)
    image[:, :5] = 200
    crop = crop_face(image, (-24, 6, 24, 54), GREY_48)
    assert (crop[:, :24] == 200).all()
    assert (crop[:, 30:] == 30).all()


def test_a_box_outside_of_the_picture_gives_its_nearest_pixels() -> None:
    image = np.full((20, 20, 3), 30, np.uint8)
    image[-1, -1] = 250
    assert (crop_face(image, (100, 100, 120, 120), GREY_48) == 250).all()


@given(x=st.floats(-50, 70), y=st.floats(-50, 70), width=st.floats(0.01, 300), height=st.floats(0.01, 300))
def test_any_box_gives_a_crop(x: float, y: float, width: float, height: float) -> None:
    image = np.full((30, 40, 3), 77, np.uint8)
    crop = crop_face(image, (x, y, x + width, y + height), GREY_48)
    assert crop.shape == (48, 48, 1)
    assert (crop == 77).all()


def test_a_leaning_face_is_put_upright() -> None:
    yy, xx = np.mgrid[:201, :201] - 100.0
    bar = ((abs(xx) < 6) & (yy < 0) & (yy > -60)).astype(np.uint8) * 255  # points up
    upright = np.repeat(bar[:, :, None], 3, axis=2)
    leaning = np.array(Image.fromarray(upright).rotate(-30, Image.Resampling.BICUBIC))  # clockwise
    box = (30, 30, 171, 171)
    expected = crop_face(upright, box, GREY_48).astype(int)
    turned = crop_face(leaning, box, GREY_48, roll_degrees=30).astype(int)
    untouched = crop_face(leaning, box, GREY_48).astype(int)
    assert abs(turned - expected).mean() < 4 < abs(untouched - expected).mean()


def test_grey_is_itu_601_luma() -> None:
    image = np.zeros((48, 48, 3), np.uint8)
    image[:, :, 1] = 100
    assert (whole_image_face(image, GREY_48) == 59).all()


def test_whole_image_keeps_a_picture_of_the_right_size() -> None:
    image = np.random.default_rng(0).integers(0, 256, (48, 48, 1)).astype(np.uint8)
    assert (whole_image_face(image, GREY_48) == image).all()
    assert whole_image_face(np.zeros((1, 1, 3), np.uint8), GREY_48).shape == (48, 48, 1)


def test_network_input_is_normalised_planes() -> None:
    faces = np.zeros((2, 48, 48, 3), np.uint8)
    faces[1, :, :, 2] = 255
    values = Preprocessing(channels=3, mean=0.5, std=0.25)
    inputs = to_network_input(faces, values)
    assert inputs.dtype == np.float32
    assert inputs.shape == (2, 3, 48, 48)
    assert inputs[0] == pytest.approx(-2)
    assert inputs[1, 2] == pytest.approx(2)
    assert to_network_input(faces[:0], values).shape == (0, 3, 48, 48)


STANDARDIZED = Preprocessing(size_px=48, mean=0, std=1, standardize=True)


def test_standardized_crops_have_their_own_mean_and_deviation() -> None:
    faces = np.zeros((4, 48, 48, 1), np.uint8)
    faces[0, :, :24], faces[0, :, 24:] = 51, 204  # 0.2 and 0.8: mean 0.5, deviation 0.3
    faces[1, :, :24], faces[1, :, 24:] = 10, 40
    faces[2] = 77  # flat
    faces[3, 0, 0] = 1  # a hair from flat
    inputs = to_network_input(faces, STANDARDIZED)
    assert inputs.dtype == np.float32
    assert inputs[0, 0, 0, [0, 47]] == pytest.approx([-0.3 / 0.35, 0.3 / 0.35], abs=1e-6)
    half = 15 / 255
    assert inputs[1, 0, 0, [0, 47]] == pytest.approx([-half / (half + 0.05), half / (half + 0.05)], abs=1e-6)
    assert inputs[2] == pytest.approx(0, abs=1e-5)
    assert abs(inputs[3]).max() < 0.1
    assert to_network_input(faces[:0], STANDARDIZED).shape == (0, 1, 48, 48)


def test_darkness_hardly_changes_standardized_crops() -> None:
    bright = np.random.default_rng(0).integers(40, 250, (1, 48, 48, 1)).astype(np.uint8)
    dark = (bright * 0.3).round().astype(np.uint8)
    plain = [to_network_input(each, GREY_48) for each in (bright, dark)]
    own = [to_network_input(each, STANDARDIZED) for each in (bright, dark)]
    assert abs(plain[0] - plain[1]).mean() > 1
    assert abs(own[0] - own[1]).mean() < 0.4


def test_standardize_takes_the_place_of_mean_and_deviation() -> None:
    with pytest.raises(ValueError, match=r"mean and std must be 0 and 1, not 0\.5 and 0\.25"):
        Preprocessing(standardize=True)
    assert Preprocessing.from_dict(STANDARDIZED.to_dict()) == STANDARDIZED
    older = {name: value for name, value in Preprocessing().to_dict().items() if name != "standardize"}
    assert Preprocessing.from_dict(older) == Preprocessing()
    older["deviation"] = older.pop("std")
    assert Preprocessing.from_dict(older) == Preprocessing()


def test_wrong_arrays_are_named() -> None:
    with pytest.raises(ValueError, match=r"expected uint8 \(N, 48, 48, 1\), received float64 \(1, 48, 48, 1\)"):
        to_network_input(np.zeros((1, 48, 48, 1)), GREY_48)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"received uint8 \(48, 48\)"):
        crop_face(np.zeros((48, 48), np.uint8), (0, 0, 1, 1), GREY_48)
    with pytest.raises(ValueError, match="x0 < x1"):
        crop_face(np.zeros((48, 48, 3), np.uint8), (5, 0, 5, 9), GREY_48)


def test_values_are_checked_and_travel() -> None:
    values = Preprocessing(96, 3, 0.1, 0.4, 0.2)
    assert Preprocessing.from_dict(values.to_dict()) == values
    with pytest.raises(ModelError, match="pre-processing: expected the values"):
        Preprocessing.from_dict({"size_px": 48})
    for wrong in ({"size_px": 0}, {"channels": 2}, {"margin": -0.5}, {"std": 0}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            Preprocessing(**wrong)  # type: ignore[arg-type]

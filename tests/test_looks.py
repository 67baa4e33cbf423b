"""How finely photographs are looked at, with drawn networks; what that finds is in test_hard_pictures.py."""

import math
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

from mien.detection.boxes import Candidates, joined, nms
from mien.detection.decoding import STRIDES, VALUES, Maps
from mien.detection.looks import (
    Tile,
    closest,
    confirmed,
    find_in_photograph,
    look_at,
    stretches,
    tiles,
    whole_scales,
)
from mien.detection.options import LOOKS
from mien.preprocessing import ImageArray


def candidates(*boxes: tuple[float, float, float, float], score: float = 0.5) -> Candidates:
    count = len(boxes)
    array = np.array(boxes, np.float32).reshape(-1, 4)
    return Candidates(array, np.full(count, score, np.float32), np.zeros((count, 5, 2), np.float32))


class BrightSpots:
    """A network that takes each cell of 8 pixels that is bright for the centre of a face of so many pixels.

    `looks`: the sizes of what it was shown.
    """

    def __init__(self, face_px: float = 16, logit: float = 3.0) -> None:
        self.looks: list[tuple[int, int]] = []
        self.face_px, self.logit = face_px, logit

    def __call__(self, image: ImageArray) -> Maps:
        height, width = image.shape[:2]
        self.looks.append((width, height))
        maps = [np.zeros((VALUES, height // stride, width // stride), np.float32) for stride in STRIDES]
        for each in maps:
            each[0] = -10
        bright = image[:, :, 0].reshape(height // 8, 8, width // 8, 8).mean(axis=(1, 3)) > 60
        maps[0][0][bright] = self.logit
        maps[0][3:5] = math.log(self.face_px / 32)
        return maps


@pytest.mark.parametrize(
    ("size", "longer_sides"),
    [
        ((90, 60), [360]),  # enlarged four times
        ((640, 480), [416, 640]),
        ((480, 640), [416, 640]),
        ((700, 500), [416, 640]),
        ((1000, 800), [416, 640, 1000]),
        ((4032, 3024), [416, 640, 1280]),
        ((11000, 8000), [416, 640, 1280]),
    ],
)
def test_whole_pictures_are_looked_at_ever_more_finely(size: tuple[int, int], longer_sides: list[int]) -> None:
    assert [scale * max(size) for scale in whole_scales(*size)] == pytest.approx(longer_sides)


@pytest.mark.parametrize(("length", "scale"), [(4032, 0.5), (3024, 2 / 3), (5681, 0.37), (900, 1.0), (300, 1.0)])
def test_tiles_cover_a_picture_and_share_enough(length: int, scale: float) -> None:
    found = stretches(length, scale)
    assert found[0].start == 0
    assert length - found[-1].end < 2 / scale
    assert all(each.side_px % 32 == 0 and each.side_px <= LOOKS.tile_px + 32 for each in found)
    for before, after in pairwise(found):
        assert (before.end - after.start) * scale >= LOOKS.shared_px - 2
        assert before.owned[1] == after.owned[0]
        assert after.owned[0] - after.start >= (LOOKS.largest_in_tile_px / 2 - 1) / scale  # a face there is whole
    assert (found[0].owned[0], found[-1].owned[1]) == (-math.inf, math.inf)


def test_a_face_where_tiles_meet_is_found_once() -> None:
    image = np.zeros((900, 2400, 3), np.uint8)
    at = [(300, 300), (800, 300), (808, 500), (1200, 460), (1590, 870), (2380, 20)]
    for x, y in at:
        image[y // 8 * 8 : y // 8 * 8 + 8, x // 8 * 8 : x // 8 * 8 + 8] = 255
    grid = tiles(2400, 900, 1.0)
    assert len(grid) == 6
    found = [look_at(Image.fromarray(image), tile, BrightSpots(40), 0.5) for tile in grid]
    for x, y in np.array(at) // 8 * 8 + 4:  # a spot may lie in two cells of the network, but in one tile
        owners = [each for each in found if (np.abs(each.centres_xy - (x, y)).max(axis=1) <= 8).any()]
        assert len(owners) == 1
    assert len(nms(joined(found)).scores) == len(at)


def test_faces_too_large_for_a_tile_are_left_to_the_look_before() -> None:
    image = np.full((1000, 1000, 3), 255, np.uint8)
    tile = tiles(1000, 1000, 1.0)[0]
    assert len(look_at(Image.fromarray(image), tile, BrightSpots(LOOKS.largest_in_tile_px - 1), 0.5).scores)
    assert not len(look_at(Image.fromarray(image), tile, BrightSpots(LOOKS.largest_in_tile_px + 1), 0.5).scores)
    (whole,) = tiles(640, 480, 1.0)
    assert len(look_at(Image.fromarray(image[:480, :640]), whole, BrightSpots(200), 0.5).scores)


def test_a_tile_in_pixels_of_the_picture() -> None:
    image = np.zeros((3000, 4000, 3), np.uint8)
    image[2400:2432, 3200:3232] = 255
    found = [look_at(Image.fromarray(image), tile, BrightSpots(), 0.5) for tile in tiles(4000, 3000, 0.5)]
    (only,) = [each for each in found if len(each.scores)]
    assert only.centres_xy.mean(axis=0) == pytest.approx([3216, 2416], abs=16)
    np.testing.assert_allclose(only.sizes_px, 32, rtol=0.03)
    np.testing.assert_allclose(only.landmarks_xy[:, 0], only.centres_xy, rtol=1e-4)


def test_the_last_look_is_as_fine_as_the_budget_allows() -> None:
    one, everywhere = (
        candidates((100, 100, 140, 140)),
        [(x, y) for x in range(0, 5000, 200) for y in range(0, 4000, 200)],
    )
    (tile,) = closest(4032, 3024, 1280 / 4032, one)
    assert tile.across.side_px / (tile.across.end - tile.across.start) == pytest.approx(2 / 3)  # at most 3 times finer
    many = closest(5000, 4000, 1280 / 5000, candidates(*((x, y, x + 40, y + 40) for x, y in everywhere)))
    assert sum(each.pixels for each in many) <= LOOKS.budget_px
    assert many[0].across.side_px / many[0].across.end == pytest.approx(1 / 2)
    assert closest(4032, 3024, 1280 / 4032, candidates()) == []
    assert closest(1000, 800, 1.0, one) == []


def test_where_small_faces_are_suggested_it_looks_again() -> None:
    """A spot of 32 px in 4000: too small for the first look, 10 px in the last one at the whole."""
    image = np.zeros((3000, 4000, 3), np.uint8)
    plain = BrightSpots()
    assert not len(find_in_photograph(image, plain, 0.6).scores)
    assert plain.looks == [(416, 320), (192, 160), (640, 480), *[(704, 544)] * 4]
    image[480:512, 480:512] = 255
    spotted = BrightSpots(logit=-0.5)  # suggested alone
    assert not len(find_in_photograph(image, spotted, 0.6).scores)
    assert len(spotted.looks) == len(plain.looks) + 1
    sure = BrightSpots()
    assert len(find_in_photograph(image, sure, 0.6).scores)
    assert sure.looks == spotted.looks


def test_a_large_face_needs_a_suggestion_from_the_look_before() -> None:
    large, small = (0.0, 0.0, 100.0, 100.0), (200.0, 200.0, 220.0, 220.0)
    found = candidates(large, small, score=0.9)
    assert confirmed(found, candidates(), 0.5).boxes_xyxy.tolist() == [list(small)]
    assert len(confirmed(found, candidates((20, 0, 110, 100), score=0.3), 0.5).scores) == 2
    assert len(confirmed(found, candidates((20, 0, 110, 100), score=0.25), 0.5).scores) == 1
    assert len(confirmed(found, candidates((80, 80, 180, 180), score=0.9), 0.5).scores) == 1


def test_tiles_own_what_is_nearer_to_their_middle() -> None:
    across = stretches(1000, 1.0)
    left, right = (Tile(each, stretches(300, 1.0)[0]) for each in across)
    middle = across[0].owned[1]
    found = candidates((middle - 20, 100, middle + 10, 130), (middle - 10, 100, middle + 20, 130))
    assert left.owns(found).tolist() == [True, False]
    assert right.owns(found).tolist() == [False, True]

"""Faces that lie on their side or stand on their head: found by looking four ways, and not read as if upright.

A network that learned upright faces takes some that stand on their head for upright ones: it sees eyes where the mouth
is. So each face is looked at once more, the way it is said to stand and upside down; the surer look tells.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from mien.detection.face_finder import (
    HEARD,
    Candidates,
    FloatArray,
    Maps,
    decode,
    joined,
    overlaps,
    without_repetitions,
)
from mien.preprocessing import ImageArray, Preprocessing, crop_face

AGAIN = Preprocessing(size_px=96, channels=3, margin=0.5)
"""How faces are cut out to be looked at again, half as high as the crop (chosen on LFW and people.parquet: of faces
surer than 0.6, it refuses 1 in 170 upright ones and leaves 1 in 15 of those upside down)."""
SAME_PLACE, LEAST_SCORE = 0.2, 0.02
"""A candidate that overlaps the face by so much speaks for it, with whatever score (chosen)."""


def find_any_way_up(image: ImageArray, find: Callable[[ImageArray], Candidates], overlap: float) -> Candidates:
    """The faces that `find` finds in an image (H, W, 3) in any of four turns; of each place, the surest."""
    height, width = image.shape[:2]
    looks = [
        turned_back(find(np.ascontiguousarray(np.rot90(image, turns))), turns, width, height) for turns in range(4)
    ]
    return without_repetitions(joined(looks), overlap)


def turned_back(found: Candidates, turns: int, width: int, height: int) -> Candidates:
    """Faces in a picture that was turned counter-clockwise by quarters, in the pixels of the picture before.

    Landmarks keep their order: the left eye is that which is on the left when the face stands upright.
    """
    corners = _back(found.boxes_xyxy.reshape(-1, 2, 2), turns, width, height)
    boxes = np.concatenate((corners.min(axis=1), corners.max(axis=1)), axis=1)
    return Candidates(boxes, found.scores, _back(found.landmarks_xy, turns, width, height))


def _back(places: FloatArray, turns: int, width: int, height: int) -> FloatArray:
    x, y = places[..., 0], places[..., 1]
    back = ((x, y), (width - y, x), (width - x, height - y), (y, height - x))[turns]
    return np.stack(back, axis=-1).astype(np.float32)


def is_upside_down(
    image: ImageArray,
    upright_box_xyxy: tuple[float, float, float, float],
    roll_degrees: float,
    network: Callable[[ImageArray], Maps],
) -> bool:
    """Whether a face in an image (H, W, 3) is surer when it is turned by half a turn."""
    crop = crop_face(image, upright_box_xyxy, AGAIN, roll_degrees)
    x0, y0, x1, y1 = upright_box_xyxy
    sides = np.array([x1 - x0, y1 - y0], np.float32)
    half = sides / sides.max() * np.float32(AGAIN.size_px / (1 + 2 * AGAIN.margin) / 2)
    middle = np.float32(AGAIN.size_px / 2)
    box = np.concatenate((middle - half, middle + half))
    turned = _best(np.ascontiguousarray(crop[::-1, ::-1]), box, network)
    return turned > HEARD and turned > _best(crop, box, network)


def _best(crop: ImageArray, box: FloatArray, network: Callable[[ImageArray], Maps]) -> float:
    """The best score of a candidate in the place of a box; 0 where there is none."""
    found = decode(network(crop), LEAST_SCORE)
    near: NDArray[np.bool_] = overlaps(box, found.boxes_xyxy) > SAME_PLACE
    return float(found.scores[near].max(initial=0.0))

"""Faces that lie on their side or stand on their head: found by looking four ways, and not read as if upright.

A network that learned upright faces takes some that stand on their head for upright ones: it sees eyes where the mouth
is. So each face is looked at once more, the way it is said to stand and upside down; the surer look tells.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mien.detection.boxes import Candidates, FloatArray, iou, joined, nms
from mien.detection.decoding import Maps, decode
from mien.detection.detection import Detection
from mien.detection.options import LOOKS
from mien.preprocessing import ImageArray

AT_ONCE, COLUMNS = 64, 8
"""So many faces at most are looked at again in one picture, side by side in so many columns."""


def find_any_way_up(image: ImageArray, find: Callable[[ImageArray], Candidates]) -> Candidates:
    """The faces that `find` finds in an image (H, W, 3) in any of four turns; of each place, the surest."""
    height, width = image.shape[:2]
    looks = [turned_back(find(_turned(image, turns)), turns, width, height) for turns in range(4)]
    return nms(joined(looks), voting_iou=None)  # landmarks of other turns are another face's


def find_in_surest_turn(
    image: ImageArray, surest: Callable[[ImageArray], float], find: Callable[[ImageArray], Candidates]
) -> Candidates:
    """What `find` finds in an image (H, W, 3) turned as it probably should be, where none of its faces stands upright.

    surest: the best score of a face in a quick look; the turn with the best one is taken, none where all are 0.
    """
    height, width = image.shape[:2]
    scores = {turns: surest(_turned(image, turns)) for turns in (1, 2, 3)}
    turns = max(scores, key=lambda turns: scores[turns])
    if not scores[turns]:
        nothing = np.empty(0, np.float32)
        return Candidates(nothing.reshape(0, 4), nothing, nothing.reshape(0, 5, 2))
    return turned_back(find(_turned(image, turns)), turns, width, height)


def _turned(image: ImageArray, turns: int) -> ImageArray:
    return np.ascontiguousarray(np.rot90(image, turns))


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


def are_upside_down(
    image: ImageArray, found: Sequence[Detection], network: Callable[[ImageArray], Maps]
) -> NDArray[np.bool_]:
    """Whether each face found in an image (H, W, 3), the surest first, is surer when it is turned by half a turn."""
    faces = [face for face in found if face.score >= LOOKS.upside_down_from]  # the surest come first
    crops = [_crop(image, face) for face in faces]
    turned = _best([crop[::-1, ::-1] for crop in crops], faces, network)
    doubtful = np.flatnonzero(turned > LOOKS.doubted_share * np.array([face.score for face in faces])).tolist()
    again = _best([crops[place] for place in doubtful], [faces[place] for place in doubtful], network)
    upside_down = np.zeros(len(found), np.bool_)
    upside_down[doubtful] = turned[doubtful] > again
    return upside_down


def _crop(image: ImageArray, face: Detection) -> ImageArray:
    """The square around a face, turned upright, as uint8 (96, 96, 3); black outside of the image.

    Faster than `crop_face`, and not as smooth.
    """
    x0, y0, x1, y1 = face.upright_box_xyxy or face.box_xyxy
    x, y, side = (x0 + x1) / 2, (y0 + y1) / 2, 2 * max(x1 - x0, y1 - y0)
    reach = side * math.sqrt(0.5) + 1
    left, top = max(0, math.floor(x - reach)), max(0, math.floor(y - reach))
    window = Image.fromarray(np.ascontiguousarray(image[top : math.ceil(y + reach), left : math.ceil(x + reach)]))
    step = max(1, int(side / LOOKS.upside_down_px))
    window = window.reduce(step)
    pixel, roll = side / LOOKS.upside_down_px / step, math.radians(face.roll_degrees)
    cosine, sine = pixel * math.cos(roll), pixel * math.sin(roll)
    middle = LOOKS.upside_down_px / 2
    right, down = (x - left) / step - (cosine - sine) * middle, (y - top) / step - (sine + cosine) * middle
    placed = (cosine, -sine, right, sine, cosine, down)
    size = (LOOKS.upside_down_px, LOOKS.upside_down_px)
    return np.asarray(window.transform(size, Image.Transform.AFFINE, placed, Image.Resampling.BILINEAR))


def _best(crops: Sequence[ImageArray], faces: Sequence[Detection], network: Callable[[ImageArray], Maps]) -> FloatArray:
    """The best score of a candidate in the place of each face; 0 where there is none. Many crops are one picture."""
    best = np.zeros(len(crops), np.float32)
    for start in range(0, len(crops), AT_ONCE):
        part = crops[start : start + AT_ONCE]
        columns = min(len(part), COLUMNS)
        canvas = np.zeros(
            (math.ceil(len(part) / columns) * LOOKS.upside_down_px, columns * LOOKS.upside_down_px, 3), np.uint8
        )
        corners = [
            (number % columns * LOOKS.upside_down_px, number // columns * LOOKS.upside_down_px)
            for number in range(len(part))
        ]
        for (x, y), crop in zip(corners, part, strict=True):
            canvas[y : y + LOOKS.upside_down_px, x : x + LOOKS.upside_down_px] = crop
        found = decode(network(canvas), LOOKS.upside_down_score)
        for number, (x, y) in enumerate(corners, start):
            near = iou(_box_in_crop(faces[number]) + np.array([x, y, x, y]), found.boxes_xyxy) > LOOKS.upside_down_iou
            best[number] = found.scores[near].max(initial=0.0)
    return best


def _box_in_crop(face: Detection) -> FloatArray:
    x0, y0, x1, y1 = face.upright_box_xyxy or face.box_xyxy
    sides = np.array([x1 - x0, y1 - y0], np.float32)
    half = sides / sides.max() * np.float32(LOOKS.upside_down_px / 4)
    return np.concatenate((LOOKS.upside_down_px / 2 - half, LOOKS.upside_down_px / 2 + half))

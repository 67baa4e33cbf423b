"""Where charts stand in a picture: near their face, inside the picture, over nothing else. Pure geometry."""

import math
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

Rectangle = tuple[float, float, float, float]
"""Left, top, right, bottom in float pixels."""
Point = tuple[float, float]
STEPS = 24
"""Places that are tried in each direction, beside those in line with the face."""
SIDEWAYS = 0.05
"""A place this share of a pixel further from the face is as good as one that lies a pixel nearer to where it should."""
LEADERS_TRIED = 200
"""Places, the nearest first, from which a line to the face is looked for that crosses no other face."""


def nearest_free(
    size: tuple[float, float],
    face: Rectangle,
    wanted: Point,
    faces: Sequence[Rectangle],
    taken: Sequence[Rectangle],
    picture_size: tuple[int, int],
    gap: float,
    reach: float,
    clearance: float = 0.0,
) -> Rectangle | None:
    """The free place nearest to a face, within the picture; None where there is none within `reach` pixels.

    size: width and height of what is placed. wanted: its upper left corner, where several places are as near. faces:
    all boxes, `face` among them, none of which is covered. taken: what else is not covered. gap: pixels that are left
    to the face. clearance: by how many longer sides of its box every other face is further away at least.
    """
    xs = _along((face[0], face[2]), size[0], picture_size[0], gap, reach)
    ys = _along((face[1], face[3]), size[1], picture_size[1], gap, reach)
    away = _away(xs, ys, size, face)
    free = (away <= reach) & (away >= gap - 1e-6)
    margin_x, margin_y = size[0] + 2 * reach, size[1] + 2 * reach
    window = (face[0] - margin_x, face[1] - margin_y, face[2] + margin_x, face[3] + margin_y)
    others = [each for each in faces if each != face and _overlap(each, window)]
    for other in others:
        least = away + clearance * max(other[2] - other[0], other[3] - other[1])
        free &= _away(xs, ys, size, other) > np.maximum(0, least)
    for other in taken:
        if _overlap(other, window):
            free &= _away(xs, ys, size, other) > 0
    rows, columns = np.nonzero(free)
    cost = away[rows, columns] + SIDEWAYS * (np.abs(xs[columns] - wanted[0]) + np.abs(ys[rows] - wanted[1]))
    for index in np.argsort(cost, kind="stable")[:LEADERS_TRIED]:
        left, top = float(xs[columns[index]]), float(ys[rows[index]])
        place = (left, top, left + size[0], top + size[1])
        if not crosses(leader(place, face), others):
            return place
    return None


def _away(
    xs: NDArray[np.float64], ys: NDArray[np.float64], size: tuple[float, float], box: Rectangle
) -> NDArray[np.float64]:
    """How far something of a size is from a box, (Y, X), with its upper left corner at each of the places."""
    off_x = np.maximum(0, np.maximum(xs - box[2], box[0] - (xs + size[0])))
    off_y = np.maximum(0, np.maximum(ys - box[3], box[1] - (ys + size[1])))
    distances: NDArray[np.float64] = np.hypot(off_x, off_y[:, None])
    return distances


def _overlap(first: Rectangle, second: Rectangle) -> bool:
    return first[0] < second[2] and second[0] < first[2] and first[1] < second[3] and second[1] < first[3]


def _along(
    side: tuple[float, float], length: float, picture_length: int, gap: float, reach: float
) -> NDArray[np.float64]:
    """Where something of a length may begin, in one direction, about a side of a face."""
    first, last = max(0.0, side[0] - reach - length), min(picture_length - length, side[1] + reach)
    in_line = (side[0] - gap - length, side[0], (side[0] + side[1] - length) / 2, side[1] - length, side[1] + gap)
    places = np.array([*np.linspace(first, last, STEPS), *in_line])
    return np.unique(places[(places >= 0) & (places <= picture_length - length)])


def leader(place: Rectangle, face: Rectangle) -> tuple[Point, Point]:
    """The shortest line from a chart to its face."""
    (chart_x, face_x), (chart_y, face_y) = (
        _nearest(place[axis], place[axis + 2], face[axis], face[axis + 2]) for axis in (0, 1)
    )
    return (chart_x, chart_y), (face_x, face_y)


def _nearest(first: float, last: float, other_first: float, other_last: float) -> Point:
    """The nearest points of two stretches; where they overlap, the middle of what they share."""
    if last < other_first:
        return last, other_first
    if other_last < first:
        return first, other_last
    middle = (max(first, other_first) + min(last, other_last)) / 2
    return middle, middle


def crosses(line: tuple[Point, Point], boxes: Iterable[Rectangle]) -> bool:
    """Whether a line goes through one of the boxes."""
    (x, y), (to_x, to_y) = line
    for x0, y0, x1, y1 in boxes:
        enter, leave = 0.0, 1.0
        for start, way, low, high in ((x, to_x - x, x0, x1), (y, to_y - y, y0, y1)):
            if way:
                near, far = sorted(((low - start) / way, (high - start) / way))
                enter, leave = max(enter, near), min(leave, far)
            elif not low < start < high:
                leave = -math.inf
        if enter < leave:
            return True
    return False

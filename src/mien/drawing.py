"""Faces drawn into a copy of their picture: a box, and a small bar chart of the scores beside it."""

import functools
import math
from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

from mien.chart_places import Rectangle, leader, nearest_free
from mien.preprocessing import ImageArray, picture_of, pixels_of
from mien.results import Face

SMALLEST_SIDE_PX = 360
"""Smaller pictures are enlarged, so that the charts are readable."""
COLOURS = {
    "anger": "#d55e00",
    "contempt": "#e69f00",
    "disgust": "#009e73",
    "fear": "#cc79a7",
    "happiness": "#f0e442",
    "neutral": "#c8ccd0",
    "sadness": "#0072b2",
    "surprise": "#56b4e9",
}
"""Okabe and Ito's colours, which colour-blind people can tell apart (https://jfly.uni-koeln.de/color/)."""
OTHER_COLOUR = "#2ec4b6"
LONGEST_NAME = 14
"""Longer names of own classes are cut in charts."""
FORMS = ((None, 1.0), (None, 0.8), (3, 1.0), (3, 0.8), (1, 1.0), (1, 0.8), (1, 0.65))
"""Rows of a chart, None for all, and the size of its letters; the first form is taken in which all charts have room."""
SMALLEST_FONT_PX = 9
"""Smaller letters cannot be read, and are only taken in pictures that are smaller themselves."""
NEAR, FAR = (1.0, 0.25), (4.0, -4.0)
"""Charts stand this many longer sides of their face's box away from it at most, and so many longer sides of another
face's box nearer to it than to that; hair is no part of a box. Lines without room so near stand further (chosen)."""


def draw_faces(image: ImageArray, faces: Sequence[Face], titles: Sequence[str] = ()) -> ImageArray:
    """Draw boxes and score charts.

    image: RGB uint8 (H, W, 3). titles: what stands above each chart, such as the number of a person.
    Returns a new picture; small ones are enlarged by a whole number.
    Charts lie inside the picture, over no face and no other chart; a line leads to those that do not stand at their
    face. Where they have no room with all expressions, all show the first three, and then only the first, in a line.
    Where even that has no room, as when a face fills the picture, it stands at the lower edge of its own face.
    """
    height, width = image.shape[:2]
    zoom = math.ceil(SMALLEST_SIDE_PX / min(height, width))
    zoom = max(1, min(zoom, 4096 // max(height, width)))
    picture = picture_of(image)
    if zoom > 1:
        picture = picture.resize((width * zoom, height * zoom), Image.Resampling.BICUBIC)
    boxes = [_inside(_scaled(face.box_xyxy, zoom), picture.size) for face in faces]
    draw = ImageDraw.Draw(picture, "RGBA")
    line_px = max(2, round(max(picture.size) / 400))
    for face, box in zip(faces, boxes, strict=True):
        draw.rectangle(box, outline=_colour(face.expression), width=line_px)
    charts = place_charts(faces, boxes, picture.size, titles)
    for (chart, place), box in zip(charts, boxes, strict=True):
        (x, y), end = leader(place, box)
        if math.dist((x, y), end) > 1.5 * chart.gap_px:
            draw.line((x, y, *end), fill="white", width=max(1, line_px // 2))
    for chart, place in charts:
        chart.draw(draw, place)
    return pixels_of(picture)


def place_charts(
    faces: Sequence[Face], boxes: Sequence[Rectangle], picture_size: tuple[int, int], titles: Sequence[str] = ()
) -> list[tuple["Chart", Rectangle]]:
    """The chart of each face and its place, in the first form in which all have room; boxes lie inside the picture."""
    titles = titles or [""] * len(faces)
    charts: list[Chart] = []
    places: list[Rectangle | None] = []
    taken: list[Rectangle] = []
    for (rows, size), limits in [*((form, NEAR) for form in FORMS), (FORMS[-1], FAR)]:
        charts = [
            Chart(face, box, picture_size, title, rows, size)
            for face, box, title in zip(faces, boxes, titles, strict=True)
        ]
        places, taken = [], []
        for chart, box in zip(charts, boxes, strict=True):
            place = chart.free_place(box, boxes, taken, limits)
            if place is None and limits != FAR:
                break
            places.append(place)
            taken += [place] if place else []
        else:
            break
    return [(chart, place or chart.own_place(box)) for chart, place, box in zip(charts, places, boxes, strict=True)]


class Chart:
    """The bar chart of one face: a row for each expression, at most `rows` and as many as the picture has room for.

    A single row is a line without a bar. A question mark stands after an expression that is unsure.
    """

    def __init__(
        self,
        face: Face,
        box: Rectangle,
        picture_size: tuple[int, int],
        title: str = "",
        rows: int | None = None,
        size: float = 1.0,
    ) -> None:
        width, height = self.picture_size = picture_size
        self.is_line = rows == 1
        self.title = "" if self.is_line else title
        self.rows = [
            (name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…", name, score)
            for name, score in sorted(face.scores.items(), key=lambda item: -item[1])
        ][:rows]
        if face.unsure:
            self.rows[0] = (f"{self.rows[0][0]}?", *self.rows[0][1:])
        if title and self.is_line:
            self.rows[0] = (f"{title}: {self.rows[0][0]}", *self.rows[0][1:])
        # In proportion to the face, readable, and never taller or wider than the picture.
        longest = max(width, height)
        wanted_px = max(11.0, longest / 70, min((box[3] - box[1]) / 14, longest / 35))
        self._lay_out(max(1, int(min(max(SMALLEST_FONT_PX, wanted_px * size), height / 3))))
        while self.width_px > width and self.font_px > 1:
            self._lay_out(self.font_px - 1)
        above = 1 if self.title else 0
        self.rows = self.rows[: max(1, int(height / self.row_px - 0.4 - above))]
        self.height_px = self.row_px * (len(self.rows) + (0.2 if self.is_line else 0.4) + above)

    def _lay_out(self, font_px: int) -> None:
        self.font_px = font_px
        self.font = _font(font_px)
        self.row_px, self.gap_px = font_px * 1.25, font_px * 0.4
        self.bar_px = 0.0 if self.is_line else font_px * 4.0
        self.name_px = max(_width(shown, font_px) for shown, _, _ in self.rows)
        gaps, share = (3, f"{self.rows[0][2]:.0%}") if self.is_line else (4, "100%")
        self.width_px = self.name_px + self.bar_px + _width(share, font_px) + gaps * self.gap_px

    def free_place(
        self, box: Rectangle, faces: Sequence[Rectangle], taken: Sequence[Rectangle], limits: tuple[float, float] = NEAR
    ) -> Rectangle | None:
        """The free place nearest to the face, best to its right, a line above it; None where there is none."""
        x0, y0, x1, y1 = box
        gap = self.gap_px / 2 if self.is_line else self.gap_px
        above = ((x0 + x1 - self.width_px) / 2, y0 - gap - self.height_px)
        wanted = above if self.is_line else (x1 + gap, y0)
        reach = max(limits[0] * max(x1 - x0, y1 - y0), 2 * gap)
        size = (self.width_px, self.height_px)
        return nearest_free(size, box, wanted, faces, taken, self.picture_size, gap, reach, limits[1])

    def own_place(self, box: Rectangle) -> Rectangle:
        """At the lower edge of the face itself, inside the picture."""
        left = min(max(0.0, (box[0] + box[2] - self.width_px) / 2), max(0.0, self.picture_size[0] - self.width_px))
        bottom = max(box[3], self.height_px)
        return (left, bottom - self.height_px, left + self.width_px, bottom)

    def draw(self, draw: ImageDraw.ImageDraw, place: Rectangle) -> None:
        """Draw the chart at its place."""
        left, top, right, bottom = place
        draw.rounded_rectangle((left, top, right - 1, bottom - 1), radius=self.font_px * 0.4, fill=(16, 20, 24, 190))
        if self.title:
            draw.text((left + self.gap_px, top + self.row_px * 0.7), self.title, "#ffffff", self.font, anchor="lm")
            top += self.row_px
        for row, (shown, name, score) in enumerate(self.rows):
            y = top + self.row_px * (row + (0.6 if self.is_line else 0.7))
            text = "white" if row == 0 else "#c8d0d8"
            draw.text((left + self.gap_px, y), shown, text, self.font, anchor="lm")
            draw.text((right - self.gap_px, y), f"{score:.0%}", text, self.font, anchor="rm")
            if not self.is_line:
                bar_left = left + self.name_px + 2 * self.gap_px
                bar = (bar_left, y - self.font_px * 0.3, bar_left + self.bar_px, y + self.font_px * 0.3)
                draw.rectangle(bar, fill=(255, 255, 255, 40))
                draw.rectangle((*bar[:2], bar[0] + self.bar_px * score, bar[3]), fill=_colour(name))


@functools.cache
def _font(font_px: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(font_px)


@functools.lru_cache(4096)
def _width(text: str, font_px: int) -> float:
    return _font(font_px).getlength(text)


def _colour(expression: str) -> str:
    return COLOURS.get(expression, OTHER_COLOUR)


def _scaled(box: Rectangle, zoom: int) -> Rectangle:
    x0, y0, x1, y1 = box
    return (x0 * zoom, y0 * zoom, x1 * zoom, y1 * zoom)


def _inside(box: Rectangle, size: tuple[int, int]) -> Rectangle:
    """A box cut at the picture's edge."""
    x0, y0 = max(0.0, box[0]), max(0.0, box[1])
    x1, y1 = min(size[0] - 1.0, box[2]), min(size[1] - 1.0, box[3])
    return (min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1))

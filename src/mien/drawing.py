"""Faces drawn into a copy of their picture: a box, and a small bar chart of the scores beside it."""

import math
from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

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

Rectangle = tuple[float, float, float, float]


def draw_faces(image: ImageArray, faces: Sequence[Face], titles: Sequence[str] = ()) -> ImageArray:
    """Draw boxes and score charts.

    image: RGB uint8 (H, W, 3). titles: what stands above each chart, such as the number of a person.
    Returns a new picture; small ones are enlarged by a whole number.
    Every chart lies inside the picture, beside its face where there is room, and away from other faces.
    """
    height, width = image.shape[:2]
    zoom = math.ceil(SMALLEST_SIDE_PX / min(height, width))
    zoom = max(1, min(zoom, 4096 // max(height, width)))
    picture = picture_of(image)
    if zoom > 1:
        picture = picture.resize((width * zoom, height * zoom), Image.Resampling.BICUBIC)
    boxes = [_scaled(face.box_xyxy, zoom) for face in faces]
    draw = ImageDraw.Draw(picture, "RGBA")
    line_px = max(2, round(max(picture.size) / 400))
    for face, box in zip(faces, boxes, strict=True):
        draw.rectangle(_inside(box, picture.size), outline=_colour(face.expression), width=line_px)
    occupied = list(boxes)
    for face, box, title in zip(faces, boxes, titles or [""] * len(faces), strict=True):
        chart = _Chart(face, box, picture.size, title)
        place = chart.place(box, occupied)
        chart.draw(draw, place)
        occupied.append(place)
    return pixels_of(picture)


class _Chart:
    """The bar chart of one face: a row for each expression, as many as the picture has room for.

    A question mark stands after an expression that the network is unsure of.
    """

    def __init__(self, face: Face, box: Rectangle, picture_size: tuple[int, int], title: str = "") -> None:
        width, height = self.picture_size = picture_size
        self.title = title
        self.rows = [
            (name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…", name, score)
            for name, score in sorted(face.scores.items(), key=lambda item: -item[1])
        ]
        if face.unsure:
            self.rows[0] = (f"{self.rows[0][0]}?", *self.rows[0][1:])
        # In proportion to the face, readable, and never taller or wider than the picture.
        longest = max(width, height)
        wanted_px = max(11.0, longest / 70, min((box[3] - box[1]) / 14, longest / 35))
        self._lay_out(max(1, int(min(wanted_px, height / 3))))
        while self.width_px > width and self.font_px > 1:
            self._lay_out(self.font_px - 1)
        above = 1 if title else 0
        self.rows = self.rows[: max(1, int(height / self.row_px - 0.4 - above))]
        self.height_px = self.row_px * (len(self.rows) + 0.4 + above)

    def _lay_out(self, font_px: int) -> None:
        self.font_px = font_px
        self.font = ImageFont.load_default(font_px)
        self.row_px, self.bar_px, self.gap_px = font_px * 1.25, font_px * 4.0, font_px * 0.4
        self.name_px = max(self.font.getlength(shown) for shown, _, _ in self.rows)
        self.width_px = self.name_px + self.bar_px + self.font.getlength("100%") + 4 * self.gap_px

    def place(self, box: Rectangle, occupied: list[Rectangle]) -> Rectangle:
        """Beside, under or over the face: inside the picture, where it hides least of what is there."""
        x0, y0, x1, y1 = box
        gap = self.gap_px
        corners = [
            (x1 + gap, y0),
            (x0 - gap - self.width_px, y0),
            (x0, y1 + gap),
            (x0, y0 - gap - self.height_px),
            (x1 + gap, y1 - self.height_px),
            (x0 - gap - self.width_px, y1 - self.height_px),
        ]
        limit_x = max(0.0, self.picture_size[0] - self.width_px)
        limit_y = max(0.0, self.picture_size[1] - self.height_px)
        places = [
            (left, top, left + self.width_px, top + self.height_px)
            for left, top in ((min(max(0.0, x), limit_x), min(max(0.0, y), limit_y)) for x, y in corners)
        ]
        return min(places, key=lambda place: sum(_shared_area(place, other) for other in occupied))

    def draw(self, draw: ImageDraw.ImageDraw, place: Rectangle) -> None:
        """Draw the chart at its place."""
        left, top, right, bottom = place
        draw.rounded_rectangle((left, top, right - 1, bottom - 1), radius=self.font_px * 0.4, fill=(16, 20, 24, 190))
        if self.title:
            draw.text((left + self.gap_px, top + self.row_px * 0.7), self.title, "#ffffff", self.font, anchor="lm")
            top += self.row_px
        for row, (shown, name, score) in enumerate(self.rows):
            y = top + self.row_px * (row + 0.7)
            bar_left = left + self.name_px + 2 * self.gap_px
            bar = (bar_left, y - self.font_px * 0.3, bar_left + self.bar_px, y + self.font_px * 0.3)
            text = "white" if row == 0 else "#c8d0d8"
            draw.text((left + self.gap_px, y), shown, text, self.font, anchor="lm")
            draw.rectangle(bar, fill=(255, 255, 255, 40))
            draw.rectangle((*bar[:2], bar[0] + self.bar_px * score, bar[3]), fill=_colour(name))
            draw.text((right - self.gap_px, y), f"{score:.0%}", text, self.font, anchor="rm")


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


def _shared_area(first: Rectangle, second: Rectangle) -> float:
    width = min(first[2], second[2]) - max(first[0], second[0])
    height = min(first[3], second[3]) - max(first[1], second[1])
    return max(0.0, width) * max(0.0, height)

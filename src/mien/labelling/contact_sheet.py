"""Many small faces in one picture, to look over what they have in common."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from mien.preprocessing import ImageArray, picture_of
from mien.signature import signed

TILE_PX = 64
CAPTION_PX = 12
MOST = 200
"""Faces on one sheet."""


def contact_sheet(faces: Sequence[ImageArray], captions: Sequence[str], columns: int = 20) -> Image.Image:
    """Faces uint8 (H, W, 1 or 3), at most 200 of them, in rows, a short caption under each; an RGB picture."""
    faces = faces[:MOST]
    rows = max(1, math.ceil(len(faces) / columns))
    width = columns * TILE_PX if rows > 1 else max(1, len(faces)) * TILE_PX
    sheet = Image.new("RGB", (width, rows * (TILE_PX + CAPTION_PX)), "white")
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(CAPTION_PX - 2)
    for index, (face, caption) in enumerate(zip(faces, captions, strict=False)):
        x, y = index % columns * TILE_PX, index // columns * (TILE_PX + CAPTION_PX)
        sheet.paste(picture_of(face).resize((TILE_PX, TILE_PX), Image.Resampling.BILINEAR), (x, y))
        draw.text((x + TILE_PX / 2, y + TILE_PX), caption, "black", font, anchor="ma")
    return sheet


def sheet_file(base: Path, name: str) -> Path:
    """Where the sheet of a label goes."""
    return base.with_name(f"{base.name}-{name}.png")


def write_sheets(
    base: Path, faces: ImageArray, labels: NDArray[np.int64], order: NDArray[np.float32], names: Sequence[str]
) -> dict[str, int]:
    """Write a sheet of the faces of each label found, BASE-NAME.png; how many faces each label has.

    Sheets of labels that no face has are removed.

    faces: uint8 (N, H, W, C). labels: (N,) indices into names, -1 for none. order: (N,) the highest come first, and
    stand under the faces.
    """
    counts = {}
    for index, name in enumerate(names):
        chosen = np.flatnonzero(labels == index)
        chosen = chosen[np.argsort(-order[chosen], kind="stable")]
        file = sheet_file(base, name)
        if not len(chosen):
            file.unlink(missing_ok=True)
            continue
        sheet = contact_sheet(list(faces[chosen[:MOST]]), [f"{order[each]:.2f}" for each in chosen[:MOST]])
        sheet.save(file, exif=signed())
        counts[name] = len(chosen)
    return counts

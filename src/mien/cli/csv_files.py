"""What csv files have in common: known columns, before those of the expressions, and errors that name the file."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

PICTURE_COLUMNS = (
    *("source", "width", "height", "face", "x0", "y0", "x1", "y1"),
    *("detection_score", "expression"),
)
"""Of pictures; after a score for each expression, there are the error, and whether the answer is unsure and
the mouth covered."""
PERSON_COLUMNS = ("time_s", "frame", "person", "x0", "y0", "x1", "y1", "detection_score", "expression")
"""Of the frames of a video."""
LABEL_COLUMNS = ("source", "x0", "y0", "x1", "y1", "expression", "by", "confidence", "similarity", "cluster")
"""Of the labels of faces."""


@contextlib.contextmanager
def named(file: Path | str) -> Iterator[None]:
    """An OSError, as of a full disk, knows the file."""
    try:
        yield
    except OSError as error:
        error.filename = error.filename or str(file)
        raise

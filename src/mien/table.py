"""Results as plain columns, for pandas, polars and their kin."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from mien.results import Face
from mien.video.frames import Frame
from mien.video.tracking import TrackedFace

COLUMNS = ("source", "face", "x0", "y0", "x1", "y1", "detection_score", "expression", "confidence", "unsure")


def to_table(
    results: Iterable[Face] | Iterable[Sequence[Face]] | Mapping[Any, Sequence[Face]] | Iterable[Frame],
) -> dict[str, list[Any]]:
    """Columns by name, all equally long, with a row for each face.

    results: the faces of a picture; or of several pictures, by name or in a row; or the frames of a video.

    Columns are `source` (the picture's name, or its number from 0), `face` (its number in the picture), the box in
    pixels, `detection_score`, `expression`, `confidence`, `unsure`, and a probability for each expression. A video's
    have `frame`, `time_s` and `person` in place of the first two, and smoothed scores. Pictures without faces have no
    row.

    >>> from mien import Recognizer, to_table
    >>> files = ["examples/eileen-collins.jpg", "examples/two-people.jpg"]
    >>> table = to_table(dict(zip(files, Recognizer().recognize_many(files))))
    >>> table["source"]
    ['examples/eileen-collins.jpg', 'examples/two-people.jpg', 'examples/two-people.jpg']

    `pandas.DataFrame(table)` and `polars.DataFrame(table)` are tables of it. A picture's faces for supervision:

    >>> import numpy, supervision  # doctest: +SKIP
    >>> table = to_table(recognizer.recognize("photo.jpg"))  # doctest: +SKIP
    >>> detections = supervision.Detections(
    ...     xyxy=numpy.column_stack([table[side] for side in ("x0", "y0", "x1", "y1")]),
    ...     confidence=numpy.array(table["confidence"]),
    ...     class_id=numpy.array([recognizer.expressions.index(name) for name in table["expression"]], int),
    ...     data={"class_name": numpy.array(table["expression"], str)},
    ... )  # doctest: +SKIP
    """
    rows = [row for each in _rows(results) for row in each]
    columns = dict.fromkeys(name for row in rows for name in row) or dict.fromkeys(COLUMNS)
    return {name: [row.get(name) for row in rows] for name in columns}


def _rows(results: Any) -> Iterator[list[dict[str, Any]]]:
    if isinstance(results, Mapping):
        for source, faces in results.items():
            yield _of_picture(source, faces)
        return
    for number, each in enumerate(results):
        if isinstance(each, Face):
            yield [{"source": 0, "face": number, **_of_face(each)}]
        elif isinstance(each, Frame):
            place = {"frame": each.number, "time_s": each.time_s}
            yield [{**place, "person": known.person, **_of_tracked(known)} for known in each.faces]
        else:
            yield _of_picture(number, each)


def _of_picture(source: Any, faces: Sequence[Face]) -> list[dict[str, Any]]:
    return [{"source": source, "face": number, **_of_face(face)} for number, face in enumerate(faces)]


def _of_face(face: Face) -> dict[str, Any]:
    sides = dict(zip(("x0", "y0", "x1", "y1"), face.box_xyxy, strict=True))
    known = {"detection_score": face.detection_score, "expression": face.expression}
    return {**sides, **known, "confidence": face.confidence, "unsure": face.unsure, **face.scores}


def _of_tracked(tracked: TrackedFace) -> dict[str, Any]:
    """With smoothed scores, and no detection score where faces were not looked for."""
    columns = _of_face(replace(tracked.face, scores=tracked.scores))
    return columns if tracked.looked else {**columns, "detection_score": None}

"""Where results go: text, JSON lines, csv rows of video frames and of labels, annotated copies."""

import csv
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from PIL import Image

from mien.atomic import replacing
from mien.cli.csv_files import LABEL_COLUMNS, PERSON_COLUMNS, named
from mien.cli.sources import Source
from mien.drawing import draw_faces
from mien.labelling.faces import FaceLabels
from mien.preprocessing import ImageArray
from mien.results import Face
from mien.signature import signed
from mien.video.tracking import TrackedFace

SMALLEST_FOUND_PX = 20
"""Smaller faces, of the picture as it is looked at, are mostly missed (MODEL_CARD.md)."""
WRITABLE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")


def to_text(record: dict[str, Any], looked_px: int | None = None) -> str:
    """A record of a picture that was read, for people: a line for it and one for each face.

    A question mark stands after an expression that is unsure. looked_px: the longer side at which the
    whole picture was looked at; where that is less than its own and there is no face, a line says so.
    """
    faces = record["faces"]
    count = {0: "no face", 1: "1 face"}.get(len(faces), f"{len(faces)} faces")
    lines = [f"{record['source']}  {record['width']}x{record['height']}  {count}"]
    for face in faces:
        best = list(face["scores"].items())[:3]
        x0, y0, x1, y1 = (round(value) for value in face["box_xyxy"])
        marks = ("?" if face["unsure"] else "", "", "")
        shares = "  ".join(f"{name}{mark} {score:.0%}" for (name, score), mark in zip(best, marks, strict=False))
        covered = "  mouth covered" if face["mouth_covered"] else ""
        lines.append(f"  {shares}  at ({x0}, {y0})-({x1}, {y1}){covered}")
    longer = max(record["width"], record["height"])
    if not faces and looked_px is not None and looked_px < longer:
        missed_px = round(SMALLEST_FOUND_PX * longer / looked_px)
        lines.append(
            f"  looked at with {looked_px} of its {longer} px: faces under about {missed_px} px may be missed; "
            "--longest-px looks more finely"
        )
    return "\n".join(lines)


def to_json(record: dict[str, Any]) -> str:
    """A record as one line of JSON."""
    return json.dumps(record)


class PersonRows:
    """A csv file with a row for each face of each frame of a video; rows are written as they come.

    all_frames: frames without faces have a row too, with their time and number alone.

    Scores are smoothed over time; those of the frame alone are the columns `raw ...`. These and `detection_score` are
    empty in frames where faces were not looked for.
    """

    def __init__(self, file: Path, expressions: Sequence[str], all_frames: bool = False) -> None:
        self._file, self._expressions, self._all_frames = file, expressions, all_frames
        file.parent.mkdir(parents=True, exist_ok=True)
        self._stream = file.open("w", newline="", encoding="utf-8-sig")
        self._writer = csv.writer(self._stream)
        self._writer.writerow([*PERSON_COLUMNS, *expressions, *(f"raw {name}" for name in expressions)])

    def write(self, number: int, time_s: float, faces: Sequence[TrackedFace]) -> None:
        """Append the faces of a frame."""
        if self._all_frames and not faces:
            blank = [""] * (len(PERSON_COLUMNS) - 2 + 2 * len(self._expressions))
            with named(self._file):
                self._writer.writerow([f"{time_s:.4f}", number, *blank])
        for tracked in faces:
            box = (f"{side:.2f}" for side in tracked.face.box_xyxy)
            smoothed = (f"{tracked.scores[name]:.6f}" for name in self._expressions)
            certainty, raw = "", [""] * len(self._expressions)
            if tracked.looked:
                certainty = f"{tracked.face.detection_score:.4f}"
                raw = [f"{tracked.face.scores[name]:.6f}" for name in self._expressions]
            place = (f"{time_s:.4f}", number, tracked.person, *box, certainty)
            with named(self._file):
                self._writer.writerow([*place, tracked.expression, *smoothed, *raw])
        with named(self._file):
            self._stream.flush()

    def close(self) -> None:
        """Close the file."""
        with named(self._file):
            self._stream.close()


def frame_record(number: int, time_s: float, faces: Sequence[TrackedFace]) -> dict[str, Any]:
    """A frame of a video as plain values, ready for JSON.

    Scores are smoothed; `raw_scores` and `detection_score` are the frame's, None where faces were not looked for.
    """
    return {
        "frame": number,
        "time_s": round(time_s, 4),
        "faces": [
            {
                "person": tracked.person,
                **replace(tracked.face, scores=tracked.scores).to_dict(),
                **({} if tracked.looked else {"detection_score": None}),
                "raw_scores": {name: round(score, 6) for name, score in tracked.face.scores.items()}
                if tracked.looked
                else None,
            }
            for tracked in faces
        ],
    }


def copy_names(sources: Sequence[Source], folder: Path) -> list[Path]:
    """The file of each source's annotated copy; names are kept, and made distinct where two would collide."""
    used: set[Path] = set()
    files = []
    for source in sources:
        relative = source.relative
        if relative.suffix.lower() not in WRITABLE_SUFFIXES:
            relative = relative.with_name(relative.name + ".png")
        candidate, number = relative, 2
        while candidate in used:
            candidate = relative.with_stem(f"{relative.stem}-{number}")
            number += 1
        used.add(candidate)
        files.append(folder / candidate)
    return files


def write_copy(file: Path, image: ImageArray, faces: Sequence[Face]) -> None:
    """Write an annotated copy, with boxes and charts; OSError where that is not possible."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with replacing(file) as temporary:
        Image.fromarray(draw_faces(image, faces)).save(temporary, quality=92, exif=signed())


def write_labels(
    file: Path,
    places: Sequence[tuple[str, tuple[float, float, float, float]]],
    labels: FaceLabels,
    expressions: Sequence[str],
) -> None:
    """Write a csv row for each face: where it is, its expression (empty for none) and why; atomically.

    places: N sources with boxes in float pixels.
    """
    with (
        replacing(file) as temporary,
        temporary.open("w", newline="", encoding="utf-8-sig", errors="backslashreplace") as stream,
    ):
        writer = csv.writer(stream)
        writer.writerow([*LABEL_COLUMNS])
        for index, (source, box) in enumerate(places):
            label = int(labels.labels[index])
            by = "" if label < 0 else "network" if labels.sure[index] else "cluster"
            numbers = (f"{labels.confidence[index]:.4f}", f"{labels.similarity[index]:.4f}", labels.clusters[index])
            writer.writerow([source, *box, expressions[label] if label >= 0 else "", by, *numbers])

"""A face detector on photographs with known faces: precision, recall by size, false hits, landmarks, latency."""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mien.atomic import replacing
from mien.datasets.photographs import Photograph, Photographs
from mien.detection.detection import Detection, FaceDetector
from mien.detection.face_finder import FloatArray
from mien.errors import DatasetError
from mien.evaluation.detection_metrics import OVERLAP, SMALLEST_PX, Matches, average_precision, match, recall, size_px
from mien.evaluation.markdown import markdown_table
from mien.preprocessing import ImageArray
from mien.results import intersection_over_union

SMALLEST_SCORE = 0.02
"""Of the faces that average precision looks at, where a detector can be asked for unsure ones."""
KINDS = {"all": (), "bare": ("no_mask",), "masked": ("mask", "mask_worn_wrongly")}
"""Faces of faces-dev by their labels."""
SIZES_PX = (20, 32, 48, 96, 10_000)
"""Limits of the sizes for which recall is told."""
LATENCY_SIZE = (640, 480)
LATENCY_RUNS = 40

Finder = Callable[[ImageArray], tuple[FloatArray, FloatArray]]
"""A picture to boxes (N, 4) and scores (N,)."""


@dataclass(frozen=True)
class DetectorReport:
    """What an evaluation found; `values` is what `mien evaluate-detector --json` writes."""

    values: dict[str, Any]

    def write(self, file: Path) -> None:
        """Write the JSON document, atomically."""
        with replacing(file) as temporary:
            temporary.write_text(json.dumps(self.values, indent=1) + "\n", encoding="utf-8")

    def to_markdown(self) -> str:
        """A table with a column for each detector."""
        detectors: dict[str, dict[str, Any]] = self.values["detectors"]
        rows = []
        for measure in next(iter(detectors.values())):
            found = (values[measure] for values in detectors.values())
            rows.append([measure.replace("_", " "), *("-" if value is None else f"{value:.3f}" for value in found)])
        return f"{self.values['protocol']}\n\n{markdown_table(['', *detectors], rows)}\n"


def evaluate_detectors(
    detectors: dict[str, tuple[FaceDetector, FaceDetector]],
    people: Photographs,
    empty: Photographs,
    portraits: Photographs,
    advance: Callable[[], object] = lambda: None,
) -> DetectorReport:
    """Measure detectors, by name as they are used and as unsure as they can be, side by side.

    people: photographs with faces (faces-dev). empty: without. portraits: with landmarks (LFW, held out).
    advance: called after each picture of each detector. Raises DatasetError where one of them is empty.
    """
    for photographs in (people, empty, portraits):
        if not len(photographs):
            raise DatasetError(f"photographs: expected pictures in the split {photographs.split}, found none")
    for photograph in portraits:
        if not len(photograph.boxes_xyxy) or photograph.landmarks_xy is None:
            raise DatasetError(f"{photograph.source}: expected a face with landmarks in each portrait, found none")
    protocol = (
        f"{people.split}: {len(people)} photographs; a face is found at an intersection over union of {OVERLAP}, and "
        f"counts from {SMALLEST_PX:.0f} px (square root of the area) on. {len(empty)} photographs without people. "
        f"Landmarks of the main faces of {len(portraits)} portraits, in distances between the eyes. Latency: median at "
        f"{LATENCY_SIZE[0]}x{LATENCY_SIZE[1]} on one thread, detectors in turn."
    )
    latencies = measure_latency({name: pair[0] for name, pair in detectors.items()}, people[0].read())
    values = {}
    for name, (usual, unsure) in detectors.items():
        matches, certain = [], []
        for photograph in people:
            image = photograph.read()
            matches.append(boxes_and_scores(unsure.detect(image)))
            certain.append(boxes_and_scores(usual.detect(image)))
            advance()
        precisions = {
            f"average_precision_{kind}": _of_faces(average_precision, match_all(matches, people, kind))
            for kind in KINDS
        }
        recalls = {
            f"recall_{low}_to_{high}_px" if high < SIZES_PX[-1] else f"recall_from_{low}_px": _of_faces(
                recall, match_all(certain, people, "all", low, high)
            )
            for low, high in pairwise(SIZES_PX)
        }
        false_hits = 0
        for photograph in empty:
            false_hits += len(usual.detect(photograph.read()))
            advance()
        errors = []
        for photograph in portraits:
            errors.append(landmark_error(usual.detect(photograph.read()), photograph))
            advance()
        known = [error for error in errors if error is not None]
        values[name] = {
            **precisions,
            **recalls,
            "false_hits_without_people": float(false_hits),
            "landmark_error": float(np.mean(known)) if known else None,
            "landmark_error_median": float(np.median(known)) if known else None,
            "portraits_with_landmarks": len(known) / len(portraits),
            "latency_ms": latencies[name],
        }
    return DetectorReport({"protocol": protocol, "detectors": values})


def _of_faces(measure: Callable[[Sequence[Matches]], float], matches: Sequence[Matches]) -> float | None:
    """A measure, where any face counts."""
    return measure(matches) if any(each.counted.any() for each in matches) else None


def boxes_and_scores(detections: Sequence[Detection]) -> tuple[FloatArray, FloatArray]:
    """Boxes (N, 4) and scores (N,) of detections."""
    boxes = np.array([found.box_xyxy for found in detections], np.float32).reshape(-1, 4)
    return boxes, np.array([found.score for found in detections], np.float32)


def average_precisions(find: Finder, photographs: Photographs) -> dict[str, float]:
    """Average precision by kind of face."""
    found = [find(photograph.read()) for photograph in photographs]
    return {kind: average_precision(match_all(found, photographs, kind)) for kind in KINDS}


def match_all(
    found: Sequence[tuple[FloatArray, FloatArray]],
    photographs: Photographs,
    kind: str,
    low: float = SMALLEST_PX,
    high: float = float("inf"),
) -> list[Matches]:
    """Found faces (boxes and scores of each photograph) against true ones of a kind and of sizes in pixels."""
    return [
        match(*each, photograph.boxes_xyxy, _counted(photograph, KINDS[kind], low, high))
        for each, photograph in zip(found, photographs, strict=True)
    ]


def _counted(photograph: Photograph, labels: tuple[str, ...], low: float, high: float) -> NDArray[np.bool_]:
    sizes = np.array([size_px(box) for box in photograph.boxes_xyxy])
    labelled = np.array([not labels or label in labels for label in photograph.labels], np.bool_)
    return (sizes >= low) & (sizes < high) & labelled


def landmark_error(detections: Sequence[Detection], photograph: Photograph) -> float | None:
    """The mean distance of found landmarks to the true ones, in distances between the eyes, of a portrait's main face.

    That is the largest one. None where no detection overlaps it by half, or has landmarks.
    """
    main = photograph.main
    box = photograph.boxes_xyxy[main]
    nearest = max(detections, key=lambda found: intersection_over_union(found.box_xyxy, box.tolist()), default=None)
    if nearest is None or nearest.landmarks_xy is None or photograph.landmarks_xy is None:
        return None
    if intersection_over_union(nearest.box_xyxy, box.tolist()) < OVERLAP:
        return None
    true = photograph.landmarks_xy[main]
    eyes = float(np.linalg.norm(true[1] - true[0]))
    return float(np.linalg.norm(nearest.landmarks_xy - true, axis=1).mean()) / eyes


def measure_latency(detectors: dict[str, FaceDetector], image: ImageArray) -> dict[str, float]:
    """Median milliseconds of each detector on a picture of `LATENCY_SIZE`, in turn, after a warm-up."""
    picture = np.asarray(Image.fromarray(image).resize(LATENCY_SIZE))
    times: dict[str, list[float]] = {name: [] for name in detectors}
    for turn in range(LATENCY_RUNS + 3):
        for name, detector in detectors.items():
            started = time.perf_counter()
            detector.detect(picture)
            if turn >= 3:
                times[name].append(time.perf_counter() - started)
    return {name: float(np.median(each)) * 1000 for name, each in times.items()}

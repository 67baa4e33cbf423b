"""A face detector on photographs with known faces: precision, recall by size, false faces, landmarks, latency."""

import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mien.datasets.photographs import Photograph, Photographs
from mien.datasets.wider_face import DIFFICULTIES
from mien.detection.boxes import iou
from mien.detection.detection import Detection, FaceDetector
from mien.errors import DatasetError
from mien.evaluation.detection_metrics import (
    OVERLAP,
    SMALLEST_PX,
    Matches,
    average_precision,
    match,
    precision,
    recall,
    size_px,
)
from mien.evaluation.detector_calibration import reliability, score_error
from mien.evaluation.detector_report import DetectorReport
from mien.evaluation.wider_protocol import Found, wider_average_precision
from mien.preprocessing import ImageArray

SMALLEST_SCORE = 0.02
"""Of the faces that average precision looks at, where a detector can be asked for unsure ones."""
KINDS = {"all": (), "bare": ("no_mask",), "masked": ("mask", "mask_worn_wrongly")}
"""Faces of faces-dev by their labels."""
SIZES_PX = (20, 32, 48, 96, 10_000)
"""Limits of the sizes for which recall is told."""
LATENCY_SIZE = (640, 480)
LATENCY_RUNS = 40

Finder = Callable[[ImageArray], Found]
"""A picture to boxes (N, 4) and scores (N,)."""
Pair = tuple[FaceDetector, FaceDetector]
"""A detector as it is used, and as unsure as it can be; the same one twice where it cannot be asked."""


def evaluate_detectors(
    detectors: dict[str, Pair],
    people: Sequence[Photographs],
    empty: Photographs | None = None,
    portraits: Photographs | None = None,
    absent: dict[str, str] | None = None,
    advance: Callable[[], object] = lambda: None,
) -> DetectorReport:
    """Measure detectors, by name, side by side.

    people: sets of photographs with known faces. empty: photographs without people. portraits: with landmarks (LFW,
    held out). absent: detectors that could not be measured, and why, for the report.
    advance: called after each picture of each detector. Raises DatasetError where a set is empty.
    """
    for photographs in (*people, *(each for each in (empty, portraits) if each is not None)):
        if not len(photographs):
            raise DatasetError(f"photographs: expected pictures in the split {photographs.split}, found none")
    for photograph in portraits or ():
        if not len(photograph.boxes_xyxy) or photograph.landmarks_xy is None:
            raise DatasetError(f"{photograph.source}: expected a face with landmarks in each portrait, found none")
    latencies = measure_latency({name: pair[0] for name, pair in detectors.items()}, people[0][0].read())
    values = {}
    for name, pair in detectors.items():
        values[name] = {each.split: _measure_people(pair, each, advance) for each in people}
        if empty is not None:
            values[name][empty.split] = _measure_empty(pair[0], empty, advance)
        if portraits is not None:
            values[name][portraits.split] = _measure_portraits(pair[0], portraits, advance)
        values[name]["{}x{}".format(*LATENCY_SIZE)] = {"latency_ms": latencies[name]}
    protocol = _protocol(people, empty, portraits)
    return DetectorReport({"protocol": protocol, "detectors": values, "absent": absent or {}})


def _protocol(people: Sequence[Photographs], empty: Photographs | None, portraits: Photographs | None) -> str:
    sets = [
        f"{each.split}: {len(each)} photographs with {sum(len(one.boxes_xyxy) for one in each)} faces"
        for each in people
    ]
    sentences = [
        f"{'; '.join(sets)}. A face is found at an intersection over union of {OVERLAP}, and counts from "
        f"{SMALLEST_PX:.0f} px (square root of the area) on; found faces of which half lies in an unsure box are "
        "neither right nor wrong. Average precision is over all thresholds; recall, precision and false faces are at "
        "each detector's working threshold."
    ]
    if empty is not None:
        sentences.append(f"{empty.split}: {len(empty)} photographs without people.")
    if portraits is not None:
        sentences.append(
            f"{portraits.split}: landmarks of the main faces of {len(portraits)} portraits, in distances between the "
            "eyes."
        )
    sentences.append("Latency: median at 640x480 on one thread, detectors in turn.")
    return " ".join(sentences)


def _measure_people(pair: Pair, people: Photographs, advance: Callable[[], object]) -> dict[str, Any]:
    usual, unsure = pair
    certain, all_found = [], []
    for photograph in people:
        image = photograph.read()
        all_found.append(boxes_and_scores(unsure.detect(image)))
        certain.append(all_found[-1] if usual is unsure else boxes_and_scores(usual.detect(image)))
        advance()
    return people_measures(certain, all_found, people)


def people_measures(certain: Sequence[Found], all_found: Sequence[Found], people: Photographs) -> dict[str, Any]:
    """What the faces found in each photograph are worth: those at the working threshold, and all."""
    matched = match_all(certain, people, "all")
    matches = {kind: match_all(all_found, people, kind) for kind in KINDS}
    values: dict[str, Any] = {
        f"average_precision_{kind}": _of_faces(average_precision, found)
        for kind, found in matches.items()
        if kind == "all" or any(each.counted.any() for each in found)
    }
    for difficulty in DIFFICULTIES:
        if any(difficulty in label.split() for photograph in people for label in photograph.labels):
            name = f"average_precision_{difficulty}_wider_face"
            values[name] = wider_average_precision(all_found, people, difficulty)
    values["recall"] = _of_faces(recall, matched)
    for low, high in pairwise(SIZES_PX):
        name = f"recall_{low}_to_{high}_px" if high < SIZES_PX[-1] else f"recall_from_{low}_px"
        values[name] = _of_faces(recall, match_all(certain, people, "all", low, high))
    values["precision"] = precision(matched) if any(len(each.right) for each in matched) else None
    without = [
        len(scores)
        for (_, scores), one in zip(certain, people, strict=True)
        if not len(one.boxes_xyxy) and not len(one.unsure_boxes_xyxy)
    ]
    values["false_faces_on_100_pictures_without_a_face"] = 100 * float(np.mean(without)) if without else None
    values["calibration_error"] = score_error(matches["all"])
    values["reliability"] = reliability(matches["all"])
    return values


def _measure_empty(usual: FaceDetector, empty: Photographs, advance: Callable[[], object]) -> dict[str, Any]:
    found = 0
    for photograph in empty:
        found += len(usual.detect(photograph.read()))
        advance()
    return {"false_faces": float(found), "false_faces_on_100_pictures": 100 * found / len(empty)}


def _measure_portraits(usual: FaceDetector, portraits: Photographs, advance: Callable[[], object]) -> dict[str, Any]:
    errors = []
    for photograph in portraits:
        errors.append(landmark_error(usual.detect(photograph.read()), photograph))
        advance()
    known = [error for error in errors if error is not None]
    return {
        "landmark_error": float(np.mean(known)) if known else None,
        "landmark_error_median": float(np.median(known)) if known else None,
        "portraits_with_landmarks": len(known) / len(portraits),
    }


def _of_faces(measure: Callable[[Sequence[Matches]], float], matches: Sequence[Matches]) -> float | None:
    """A measure, where any face counts."""
    return measure(matches) if any(each.counted.any() for each in matches) else None


def boxes_and_scores(detections: Sequence[Detection]) -> Found:
    """Boxes (N, 4) and scores (N,) of detections."""
    boxes = np.array([found.box_xyxy for found in detections], np.float32).reshape(-1, 4)
    return boxes, np.array([found.score for found in detections], np.float32)


def average_precisions(find: Finder, photographs: Photographs) -> dict[str, float]:
    """Average precision by kind of face."""
    found = [find(photograph.read()) for photograph in photographs]
    return {kind: average_precision(match_all(found, photographs, kind)) for kind in KINDS}


def match_all(
    found: Sequence[Found],
    photographs: Photographs,
    kind: str,
    low: float = SMALLEST_PX,
    high: float = float("inf"),
) -> list[Matches]:
    """Found faces (boxes and scores of each photograph) against true ones of a kind and of sizes in pixels."""
    return [
        match(
            *each,
            photograph.boxes_xyxy,
            _counted(photograph, KINDS[kind], low, high),
            unsure=photograph.unsure_boxes_xyxy,
        )
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
    nearest = max(detections, key=lambda found: iou(found.box_xyxy, [box])[0], default=None)
    if nearest is None or nearest.landmarks_xy is None or photograph.landmarks_xy is None:
        return None
    if iou(nearest.box_xyxy, [box])[0] < OVERLAP:
        return None
    true = photograph.landmarks_xy[main]
    eyes = float(np.linalg.norm(true[1] - true[0]))
    return float(np.linalg.norm(np.subtract(nearest.landmarks_xy, true), axis=1).mean()) / eyes


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

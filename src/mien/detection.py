"""Faces in photographs: a protocol, "the whole image is a face", the trained detector, and detectors by name."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from mien.errors import ModelError
from mien.face_finder import (
    LARGEST_PX,
    LONGEST_PX,
    MULTIPLE_PX,
    OVERLAP,
    SURE,
    Maps,
    find_faces,
    roll_degrees,
    upright_box,
)
from mien.preprocessing import ImageArray, require_rgb
from mien.session import open_session
from mien.weights import read_model


@dataclass(frozen=True, eq=False)
class Detection:
    """One face found."""

    box_xyxy: tuple[float, float, float, float]
    """Left, top, right, bottom in float pixels of the image, around the face as it is seen."""
    score: float
    """How sure the detector is, 0 to 1."""
    landmarks_xy: NDArray[np.float32] | None = None
    """(5, 2) float pixels: left eye, right eye, nose tip, left and right mouth corner, as seen in the picture."""
    roll_degrees: float = 0.0
    """How far the face leans clockwise, as seen in the picture."""
    upright_box_xyxy: tuple[float, float, float, float] | None = None
    """The box that a leaning face would have if it stood upright, to be cropped; None where it is the same."""
    is_whole_image: bool = False
    """The picture is a face crop already: it is stretched to the network's square, nothing is cut."""


class FaceDetector(Protocol):
    """Finds faces in an RGB image uint8 (H, W, 3); the surest first."""

    def detect(self, image: ImageArray) -> list[Detection]:
        """All faces found; an empty list where there are none."""


class WholeImage:
    """For people who bring crops: the whole image is one face."""

    def detect(self, image: ImageArray) -> list[Detection]:
        """One detection as large as the image, with score 1."""
        height, width = image.shape[:2]
        return [Detection((0.0, 0.0, float(width), float(height)), 1.0, is_whole_image=True)]


class FaceFinder:
    """Faces in any common pose, with landmarks, by a small network of mien's own (models/face_finder.py).

    model: the name of a packaged detector, or the path of an ONNX file from `mien export`.
    longest_px: pictures are shrunk, or enlarged up to four times, until their longer side has about so many pixels
        (32 to 4096), and then looked at in a third of that, and so on, for large faces; small faces need more.
    smallest_score: faces that the network is less sure of are left out; if None, the threshold that the file was given
        (`mien calibrate-detector`), or SURE for files without one.
    Raises ModelError when the model is unknown, damaged, or no face detector.
    """

    def __init__(
        self,
        model: str = "face-finder",
        longest_px: int = LONGEST_PX,
        smallest_score: float | None = None,
        threads: int = 1,
    ) -> None:
        if not MULTIPLE_PX <= longest_px <= LARGEST_PX:
            raise ValueError(f"longest_px must lie in {MULTIPLE_PX} to {LARGEST_PX}, not {longest_px}")
        if smallest_score is not None and not 0 < smallest_score < 1:
            raise ValueError(f"smallest_score must lie between 0 and 1, not {smallest_score}")
        self._session, entry = open_session(read_model(model, "detectors"), model, threads)
        own: float = entry.get("score_threshold", SURE)
        self.longest_px, self.smallest_score = longest_px, own if smallest_score is None else smallest_score
        if [each.name for each in self._session.get_inputs()] != ["image"]:
            raise ModelError(f"{model}: expected a face detector, found another network")

    def detect(self, image: ImageArray) -> list[Detection]:
        """Faces in an RGB image uint8 (H, W, 3), the surest first; ValueError for other arrays."""
        require_rgb(image)
        found = find_faces(image, self._maps, self.longest_px, self.smallest_score, OVERLAP)
        detections = []
        for box, score, landmarks in zip(found.boxes_xyxy, found.scores, found.landmarks_xy, strict=True):
            roll = roll_degrees(landmarks)
            x0, y0, x1, y1 = map(float, box)
            detections.append(Detection((x0, y0, x1, y1), float(score), landmarks, roll, upright_box(box, roll)))
        return detections

    def _maps(self, image: ImageArray) -> Maps:
        return [found[0] for found in self._session.run(None, {"image": image[None]})]


def _haar() -> FaceDetector:
    from mien.haar import HaarDetector

    return HaarDetector()


DEFAULT_DETECTOR = "face-finder"
OTHERS: dict[str, Callable[[], FaceDetector]] = {"haar": _haar, "whole-image": WholeImage}
"""The detectors that are no `FaceFinder`."""


def make_detector(name: str, longest_px: int | None = None) -> FaceDetector:
    """A detector by name, or a `FaceFinder` from the path of an ONNX file; ModelError where there is none such.

    longest_px: of a `FaceFinder`, where it is not its default; ModelError for other detectors.
    """
    if name == DEFAULT_DETECTOR or Path(name).is_file():
        return FaceFinder(name, LONGEST_PX if longest_px is None else longest_px)
    if name not in OTHERS:
        known = ", ".join(sorted([DEFAULT_DETECTOR, *OTHERS]))
        raise ModelError(f"unknown detector {name!r}; known: {known}, or give the path of an ONNX file")
    if longest_px is not None:
        raise ModelError(f"longest_px is for the detector {DEFAULT_DETECTOR!r} alone, found {name!r}")
    return OTHERS[name]()

"""Faces in photographs: a protocol, "the whole image is a face", the trained detector, and detectors by name."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from mien.errors import ModelError
from mien.face_finder import LONGEST_PX, OVERLAP, Maps, find_faces, roll_degrees, upright_box
from mien.preprocessing import ImageArray
from mien.session import open_session
from mien.weights import read_model


@dataclass(frozen=True)
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
    longest_px: larger pictures are shrunk until their longer side has so many pixels; small faces need more.
    smallest_score: faces that the network is less sure of are left out.
    """

    def __init__(
        self, model: str = "face-finder", longest_px: int = LONGEST_PX, smallest_score: float = 0.5, threads: int = 1
    ) -> None:
        if longest_px < 1:
            raise ValueError(f"longest_px must be at least 1, not {longest_px}")
        if not 0 < smallest_score < 1:
            raise ValueError(f"smallest_score must lie between 0 and 1, not {smallest_score}")
        self.longest_px, self.smallest_score = longest_px, smallest_score
        self._session, _ = open_session(read_model(model), model, threads)

    def detect(self, image: ImageArray) -> list[Detection]:
        """Faces in an RGB image uint8 (H, W, 3), the surest first."""
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


DETECTORS: dict[str, Callable[[], FaceDetector]] = {
    "haar": _haar,
    "whole-image": WholeImage,
}


def make_detector(name: str) -> FaceDetector:
    """A detector by name; an unknown name raises ModelError."""
    if name not in DETECTORS:
        raise ModelError(f"unknown detector {name!r}; known: {', '.join(sorted(DETECTORS))}")
    return DETECTORS[name]()

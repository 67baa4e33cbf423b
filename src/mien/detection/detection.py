"""Faces in photographs: a protocol, "the whole image is a face", the trained detector, and detectors by name."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from mien.detection.face_finder import (
    LARGEST_PX,
    MULTIPLE_PX,
    OVERLAP,
    SURE,
    Candidates,
    Maps,
    find_faces,
    first_scale,
    roll_degrees,
    upright_box,
)
from mien.detection.looks import find_in_photograph, whole_scales
from mien.detection.turned_heads import find_any_way_up, is_upside_down
from mien.errors import ModelError
from mien.preprocessing import ImageArray, require_rgb
from mien.session import open_session
from mien.weights import read_model

AUTO: Literal["auto"] = "auto"
LongestPx = int | Literal["auto"]
"""Longer side at which pictures are looked at."""


@dataclass(frozen=True, eq=False)
class Detection:
    """One face found."""

    box_xyxy: tuple[float, float, float, float]
    """Left, top, right, bottom in float pixels of the image, around the face as it is seen."""
    score: float
    """How sure the detector is, 0 to 1."""
    landmarks_xy: NDArray[np.float32] | None = None
    """(5, 2) float pixels: left eye, right eye, nose tip, left and right mouth corner, as seen when the face
    stands upright."""
    roll_degrees: float = 0.0
    """How far the face leans clockwise, as seen in the picture, -180 to 180."""
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
    longest_px: "auto" looks at pictures as finely as their pixels allow, within a budget (looks.py). A number, 32 to
        4096, is faster and the same for each picture, as for videos: pictures are shrunk, or enlarged up to four times,
        until their longer side has about so many pixels, and then looked at in a third of that, and so on, for large
        faces; small faces need more.
    score_threshold: faces that the network is less sure of are left out; if None, the threshold that the file was given
        (`mien calibrate-detector`), or SURE for files without one.
    any_way_up: also finds faces that lie on their side or stand on their head, by looking four ways, in four times
        the time; otherwise they are not found.
    Raises ModelError when the model is unknown, damaged, or no face detector.
    """

    def __init__(
        self,
        model: str = "face-finder",
        longest_px: LongestPx = AUTO,
        score_threshold: float | None = None,
        threads: int = 1,
        any_way_up: bool = False,
    ) -> None:
        if longest_px != AUTO and (isinstance(longest_px, str) or not MULTIPLE_PX <= longest_px <= LARGEST_PX):
            raise ValueError(f"longest_px must be {AUTO!r} or lie in {MULTIPLE_PX} to {LARGEST_PX}, not {longest_px}")
        if score_threshold is not None and not 0 < score_threshold < 1:
            raise ValueError(f"score_threshold must lie between 0 and 1, not {score_threshold}")
        self._session, entry = open_session(read_model(model, "detectors"), model, threads)
        own: float = entry.get("score_threshold", SURE)
        self.score_threshold = own if score_threshold is None else score_threshold
        self.longest_px, self.any_way_up = longest_px, any_way_up
        if [each.name for each in self._session.get_inputs()] != ["image"]:
            raise ModelError(f"{model}: expected a face detector, found another network")

    def detect(self, image: ImageArray) -> list[Detection]:
        """Faces in an RGB image uint8 (H, W, 3), the surest first; ValueError for other arrays."""
        require_rgb(image)
        found = find_any_way_up(image, self._find, OVERLAP) if self.any_way_up else self._find(image)
        detections = []
        for box, score, landmarks in zip(found.boxes_xyxy, found.scores, found.landmarks_xy, strict=True):
            roll = roll_degrees(landmarks)
            upright = upright_box(box, roll)
            if not is_upside_down(image, upright, roll, float(score), self._maps):
                x0, y0, x1, y1 = map(float, box)
                detections.append(Detection((x0, y0, x1, y1), float(score), landmarks, roll, upright))
        return detections

    def looked_px(self, width: int, height: int) -> int:
        """The longer side at which the whole of a picture of that size is looked at; small pictures are enlarged."""
        auto = self.longest_px == AUTO
        scale = whole_scales(width, height)[-1] if auto else first_scale(width, height, int(self.longest_px))
        return round(max(width, height) * scale)

    def _find(self, image: ImageArray) -> Candidates:
        if self.longest_px == AUTO:
            return find_in_photograph(image, self._maps, self.score_threshold, OVERLAP)
        return find_faces(image, self._maps, int(self.longest_px), self.score_threshold, OVERLAP)

    def _maps(self, image: ImageArray) -> Maps:
        return [found[0] for found in self._session.run(None, {"image": image[None]})]


def _haar() -> FaceDetector:
    from mien.detection.haar import HaarDetector

    return HaarDetector()


DEFAULT_DETECTOR = "face-finder"
OTHERS: dict[str, Callable[[], FaceDetector]] = {"haar": _haar, "whole-image": WholeImage}
"""The detectors that are no `FaceFinder`."""


def make_detector(
    name: str, longest_px: LongestPx | None = None, score_threshold: float | None = None, any_way_up: bool = False
) -> FaceDetector:
    """A detector by name, or a `FaceFinder` from the path of an ONNX file; ModelError where there is none such.

    longest_px, score_threshold, any_way_up: of a `FaceFinder`, where they are not its defaults; ModelError for other
    detectors.
    """
    if name == DEFAULT_DETECTOR or Path(name).is_file():
        side = AUTO if longest_px is None else longest_px
        return FaceFinder(name, side, score_threshold, any_way_up=any_way_up)
    if name not in OTHERS:
        known = ", ".join(sorted([DEFAULT_DETECTOR, *OTHERS]))
        raise ModelError(f"unknown detector {name!r}; known: {known}, or give the path of an ONNX file")
    given = {"longest_px": longest_px is not None, "score_threshold": score_threshold is not None}
    for option, is_given in {**given, "any_way_up": any_way_up}.items():
        if is_given:
            raise ModelError(f"{option} is for the detector {DEFAULT_DETECTOR!r} alone, found {name!r}")
    return OTHERS[name]()

"""mien's own face detector: one ONNX file, asked about a picture in one look or in several."""

from typing import Literal

import numpy as np

from mien.detection.boxes import (
    Candidates,
    FloatArray,
    roll_degrees,
    upright_box,
)
from mien.detection.decoding import (
    MULTIPLE_PX,
    Maps,
    find_faces,
    first_scale,
)
from mien.detection.detection import Detection
from mien.detection.looks import find_in_photograph, whole_scales
from mien.detection.options import LOOKS
from mien.detection.turned_heads import are_upside_down, find_any_way_up
from mien.errors import ModelError
from mien.preprocessing import ImageArray, require_rgb
from mien.session import open_session
from mien.weights import read_model

AUTO: Literal["auto"] = "auto"
LongestPx = int | Literal["auto"]
"""Longer side at which pictures are looked at."""


class FaceFinder:
    """Faces in any common pose, with landmarks, by a small network of mien's own (models/face_finder.py).

    model: the name of a packaged detector, or the path of an ONNX file from `mien export`.
    longest_px: "auto" looks at pictures as finely as their pixels allow, within a budget (looks.py). A number, 32 to
        4096, is faster and the same for each picture, as for videos: pictures are shrunk, or enlarged up to four times,
        until their longer side has about so many pixels, and then looked at in a third of that, and so on, for large
        faces; small faces need more.
    score_threshold: faces that the network is less sure of are left out; if None, the threshold that the file was given
        (`mien calibrate-detector`), or LOOKS.score_threshold for files without one.
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
        if longest_px != AUTO and (isinstance(longest_px, str) or not MULTIPLE_PX <= longest_px <= LOOKS.largest_px):
            raise ValueError(
                f"longest_px must be {AUTO!r} or lie in {MULTIPLE_PX} to {LOOKS.largest_px}, not {longest_px}"
            )
        if score_threshold is not None and not 0 < score_threshold < 1:
            raise ValueError(f"score_threshold must lie between 0 and 1, not {score_threshold}")
        self._session, entry = open_session(read_model(model, "detectors"), model, threads)
        own: float = entry.get("score_threshold", LOOKS.score_threshold)
        self.score_threshold = own if score_threshold is None else score_threshold
        self.longest_px, self.any_way_up = longest_px, any_way_up
        if [each.name for each in self._session.get_inputs()] != ["image"]:
            raise ModelError(f"{model}: expected a face detector, found another network")

    def detect(self, image: ImageArray) -> list[Detection]:
        """Faces in an RGB image uint8 (H, W, 3), the surest first; ValueError for other arrays."""
        require_rgb(image)
        found = find_any_way_up(image, self._find) if self.any_way_up else self._find(image)
        faces = [_detection(*each) for each in zip(found.boxes_xyxy, found.scores, found.landmarks_xy, strict=True)]
        refused = are_upside_down(image, faces, self._maps)
        return [face for face, upside_down in zip(faces, refused, strict=True) if not upside_down]

    def looked_px(self, width: int, height: int) -> int:
        """The longer side at which the whole of a picture of that size is looked at; small pictures are enlarged."""
        auto = self.longest_px == AUTO
        scale = whole_scales(width, height)[-1] if auto else first_scale(width, height, int(self.longest_px))
        return round(max(width, height) * scale)

    def _find(self, image: ImageArray) -> Candidates:
        if self.longest_px == AUTO:
            return find_in_photograph(image, self._maps, self.score_threshold)
        return find_faces(image, self._maps, int(self.longest_px), self.score_threshold)

    def _maps(self, image: ImageArray) -> Maps:
        return [found[0] for found in self._session.run(None, {"image": image[None]})]


def _detection(box: FloatArray, score: np.float32, landmarks: FloatArray) -> Detection:
    x0, y0, x1, y1 = map(float, box)
    roll = roll_degrees(landmarks)
    return Detection((x0, y0, x1, y1), float(score), landmarks.tolist(), roll, upright_box(box, roll))

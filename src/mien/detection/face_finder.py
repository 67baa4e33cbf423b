"""mien's own face detector: one ONNX file, asked about a picture in one look or in several."""

from pathlib import Path
from typing import Any, Literal

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
from mien.detection.turned_heads import are_upside_down, find_any_way_up, find_in_surest_turn
from mien.errors import InputError, ModelError
from mien.preprocessing import ImageArray, require_rgb
from mien.session import CPU, Providers, open_session
from mien.weights import read_model

AUTO: Literal["auto"] = "auto"
LongestPx = int | Literal["auto"]
"""Longer side at which pictures are looked at."""
AnyWayUp = bool | Literal["auto"]
"""Whether faces that do not stand upright are looked for; "auto": where there is no other."""


class FaceFinder:
    """Faces in any common pose, with landmarks, by a small network of mien's own (models/face_finder.py).

    model: the name of a packaged detector, or the path of an ONNX file from `mien export`.
    longest_px: "auto" looks at pictures as finely as their pixels allow, within a budget (looks.py). A number, 32 to
        4096, is faster and the same for each picture, as for videos: pictures are shrunk, or enlarged up to four times,
        until their longer side has about so many pixels, and then looked at in half of that, and so on, for large
        faces; small faces need more.
    score_threshold: faces that the network is less sure of are left out; if None, the threshold that the file was given
        (`mien calibrate-detector`), or LOOKS.score_threshold for files without one.
    threads, providers: see `open_session`.
    any_way_up: True also finds faces that lie on their side or stand on their head, by looking four ways, in four times
        the time; False does not. "auto" takes the whole photograph for turned where it shows no upright face: of three
        quick looks at it turned, the one with the surest face tells how it is looked at again.
    Raises ModelError when the model is unknown, damaged, or no face detector. It is pickled by these settings.

    >>> from mien import FaceFinder, read_image
    >>> found = FaceFinder(longest_px=416).detect(read_image("examples/two-people.jpg"))
    >>> len(found), len(found[0].landmarks_xy)
    (2, 5)
    """

    def __init__(
        self,
        model: str | Path = "face-finder",
        longest_px: LongestPx = AUTO,
        score_threshold: float | None = None,
        threads: int = 1,
        any_way_up: AnyWayUp = AUTO,
        providers: Providers = CPU,
    ) -> None:
        if longest_px != AUTO and (isinstance(longest_px, str) or not MULTIPLE_PX <= longest_px <= LOOKS.largest_px):
            raise InputError(
                f"longest_px must be {AUTO!r} or lie in {MULTIPLE_PX} to {LOOKS.largest_px}, not {longest_px}"
            )
        if score_threshold is not None and not 0 < score_threshold < 1:
            raise InputError(f"score_threshold must lie between 0 and 1, not {score_threshold}")
        if any_way_up not in (True, False, AUTO):
            raise InputError(f"any_way_up: expected True, False or {AUTO!r}, received {any_way_up!r}")
        self._session, entry = open_session(read_model(model, "detectors"), model, threads, providers)
        own: float = entry.get("score_threshold", LOOKS.score_threshold)
        self.score_threshold = own if score_threshold is None else score_threshold
        self.longest_px, self.any_way_up = longest_px, any_way_up
        self._model, self._threads, self._providers = model, threads, providers
        if [each.name for each in self._session.get_inputs()] != ["image"]:
            raise ModelError(f"{model}: expected a face detector, found another network")

    def __reduce__(self) -> tuple[Any, ...]:
        settings = (self._model, self.longest_px, self.score_threshold, self._threads, self.any_way_up, self._providers)
        return type(self), settings

    def detect(self, image: ImageArray) -> list[Detection]:
        """Faces in an RGB image uint8 (H, W, 3), the surest first; InputError for other arrays."""
        require_rgb(image)
        if self.any_way_up is True:
            return self._upright(image, find_any_way_up(image, self._find))
        detections = self._upright(image, self._find(image))
        if detections or not self.any_way_up:
            return detections
        return self._upright(image, find_in_surest_turn(image, self._surest, self._find))

    def _upright(self, image: ImageArray, found: Candidates) -> list[Detection]:
        """The faces found, without those that are held upside down."""
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

    def _surest(self, image: ImageArray) -> float:
        """The best score of a face in one quick look; 0 where there is none."""
        found = find_faces(image, self._maps, LOOKS.longest_px, max(self.score_threshold, LOOKS.turned_score))
        return max((face.score for face in self._upright(image, found)), default=0.0)

    def _maps(self, image: ImageArray) -> Maps:
        return [found[0] for found in self._session.run(None, {"image": image[None]})]


def _detection(box: FloatArray, score: np.float32, landmarks: FloatArray) -> Detection:
    x0, y0, x1, y1 = map(float, box)
    roll = roll_degrees(landmarks)
    return Detection((x0, y0, x1, y1), float(score), landmarks.tolist(), roll, upright_box(box, roll))

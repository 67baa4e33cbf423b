"""Frontal faces by OpenCV's Haar cascade. The only module that imports OpenCV, and only when its detector is made."""

import math
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mien.detection.boxes import iou, leaning_half_sides
from mien.detection.detection import Detection
from mien.errors import MissingExtraError
from mien.preprocessing import ImageArray, require_rgb

if TYPE_CHECKING:
    import cv2

Box = tuple[float, float, float, float]

WIDTH, HEIGHT, LOWER = 0.858, 1.104, 0.035
"""Of LFW's boxes, and how far their centres lie under the hit's, in sides of the hit (`benchmarks/framing.py`)."""


class _Cascade(threading.local):
    """OpenCV's cascade, one for each thread: it remembers the picture that it looks at."""

    def __init__(self) -> None:
        import cv2

        if not hasattr(cv2, "CascadeClassifier"):
            raise MissingExtraError(
                f"the haar detector needs OpenCV 4, found {cv2.__version__}; install it with: pip install 'mien[haar]'"
            )
        file = Path(cv2.__file__).parent / "data" / "haarcascade_frontalface_alt2.xml"
        self.classifier = cv2.CascadeClassifier(str(file))
        if self.classifier.empty():
            raise MissingExtraError(
                f"{file}: expected OpenCV's cascade, found none; install it with: pip install 'mien[haar]'"
            )


class HaarDetector:
    """Frontal faces by the Haar cascade `alt2` that ships inside OpenCV's wheel (Viola and Jones, 2001).

    It finds upright faces from `min_face_px` on (in pictures with a side of more than 48 times that, from
    1/48 of the longer side on). Where it is sure of none, it turns the picture by 25 and 45 degrees to both
    sides and looks again; hits that it is least sure of then give way to turned ones.
    """

    cascade_px = 20
    """Side of the cascade's window: the smallest face it can find."""
    window_px = 26
    """The size to which the smallest face is brought; a reserve over the cascade's own, since hits are coarse."""
    largest_side_windows = 48
    """Pictures are shrunk until the longer side has at most this many windows."""
    sure_score = 0.8
    """No second look where a face has at least this score."""
    weak_score = 0.7
    """Upright hits under this score, which fewer than 1 in 20 true faces have, give way to turned ones."""
    retry_degrees = (-25.0, 25.0, -45.0, 45.0)
    min_neighbours = 3
    turned_neighbours = 8
    """Overlapping hits that make a face, upright and turned. These and `window_px` were chosen by recall of
    faces of 36 to 60 pixels against false hits; turned pictures have four times as much room for those."""

    def __init__(self, min_face_px: int = 40) -> None:
        try:
            import cv2  # noqa: F401
        except ImportError as error:
            raise MissingExtraError(
                "the haar detector needs OpenCV; install it with: pip install 'mien[haar]'"
            ) from error
        if min_face_px < 1:
            raise ValueError(f"min_face_px must be at least 1, not {min_face_px}")
        self.min_face_px = min_face_px
        self._cascade = _Cascade()

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.min_face_px,)

    def detect(self, image: ImageArray) -> list[Detection]:
        """Faces in an RGB image uint8 (H, W, 3), the surest first; InputError for other arrays."""
        import cv2

        require_rgb(image)
        height, width = image.shape[:2]
        smallest_px = max(self.min_face_px, max(height, width) / self.largest_side_windows)
        scale = self.window_px / smallest_px
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        shrunk = cv2.resize(grey, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
        faces = self._find(shrunk, scale, self.min_neighbours)
        best = max((face.score for face in faces), default=0.0)
        if best < self.sure_score:
            turned = [face for degrees in self.retry_degrees for face in self._find_turned(shrunk, scale, degrees)]
            if turned:
                upright = [face for face in faces if face.score >= self.weak_score]
                faces = _without_overlaps(upright + turned)
        return sorted(faces, key=lambda face: -face.score)

    def _find(self, grey: "cv2.typing.MatLike", scale: float, neighbours: int) -> list[Detection]:
        boxes, _, weights = self._cascade.classifier.detectMultiScale3(
            grey,
            scaleFactor=1.1,
            minNeighbors=neighbours,
            minSize=(self.cascade_px, self.cascade_px),
            outputRejectLevels=True,
        )
        return [
            Detection(_tight_box(x / scale, y / scale, width / scale), _score(float(weight)))
            for (x, y, width, _), weight in zip(
                np.asarray(boxes, np.float64).reshape(-1, 4).tolist(),
                np.asarray(weights).reshape(-1),
                strict=True,
            )
        ]

    def _find_turned(self, grey: "cv2.typing.MatLike", scale: float, degrees: float) -> list[Detection]:
        """Faces that lean clockwise by `degrees`: the picture is turned back by as much."""
        import cv2

        height, width = grey.shape[:2]
        diagonal = math.ceil(math.hypot(height, width))
        turn = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1.0)
        turn[:, 2] += (diagonal - width) / 2, (diagonal - height) / 2
        turned = cv2.warpAffine(grey, turn, (diagonal, diagonal))
        back = cv2.invertAffineTransform(turn)
        found = []
        for face in self._find(turned, 1.0, self.turned_neighbours):
            x0, y0, x1, y1 = face.box_xyxy
            centre_x, centre_y = back @ np.array([(x0 + x1) / 2, (y0 + y1) / 2, 1.0]) / scale
            half_width, half_height = (x1 - x0) / 2 / scale, (y1 - y0) / 2 / scale
            if 0 <= centre_x < width / scale and 0 <= centre_y < height / scale:
                upright = _box_around(float(centre_x), float(centre_y), half_width, half_height)
                leaning = _box_around(
                    float(centre_x), float(centre_y), *leaning_half_sides(half_width, half_height, degrees)
                )
                found.append(Detection(leaning, face.score, None, degrees, upright))
        return found


def use_one_thread() -> None:
    """Keep OpenCV to one thread, in the whole process."""
    import cv2

    cv2.setNumThreads(1)


def _tight_box(x: float, y: float, side: float) -> Box:
    """The face, forehead to chin, that a hit of the cascade stands for."""
    centre_x, centre_y = x + side / 2, y + side * (0.5 + LOWER)
    return _box_around(centre_x, centre_y, side * WIDTH / 2, side * HEIGHT / 2)


def _box_around(x: float, y: float, half_width: float, half_height: float) -> Box:
    return (x - half_width, y - half_height, x + half_width, y + half_height)


def _score(weight: float) -> float:
    """The sum of the cascade's last stage as 0 to 1.

    On photographs of the detector's development set, 9 of 10 true faces have sums of 54.8 to 56.8, and half
    of the false hits lie below 54.9.
    """
    return 1 / (1 + math.exp(-3 * (weight - 54.4)))


def _without_overlaps(faces: list[Detection], iou_threshold: float = 0.3) -> list[Detection]:
    kept: list[Detection] = []
    for face in sorted(faces, key=lambda face: -face.score):
        if all(iou(face.box_xyxy, [other.box_xyxy])[0] < iou_threshold for other in kept):
            kept.append(face)
    return kept

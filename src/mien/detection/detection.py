"""Faces in photographs: what is found, what finds it, and "the whole image is a face"."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from mien.preprocessing import ImageArray


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

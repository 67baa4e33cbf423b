"""Faces in photographs: what is found, what finds it, and "the whole image is a face"."""

from dataclasses import dataclass
from typing import Protocol

from mien.preprocessing import ImageArray
from mien.results import Box, Landmarks, checked_box, checked_landmarks, checked_numbers, checked_share


@dataclass(frozen=True)
class Detection:
    """One face found: immutable, hashable, ready for pickle, copy and `asdict`.

    Numbers of any kind become plain floats. Raises InputError for a box without an inside, and for what is not finite
    or not in its range.

    >>> from mien import Detection
    >>> Detection((10, 20, 90, 110), score=0.97).box_xyxy
    (10.0, 20.0, 90.0, 110.0)
    """

    box_xyxy: Box
    """Left, top, right, bottom in float pixels of the image, around the face as it is seen."""
    score: float
    """How sure the detector is, 0 to 1."""
    landmarks_xy: Landmarks | None = None
    """Five (x, y) in float pixels: left eye, right eye, nose tip, left and right mouth corner, as seen when the face
    stands upright."""
    roll_degrees: float = 0.0
    """How far the face leans clockwise, as seen in the picture, -180 to 180."""
    upright_box_xyxy: Box | None = None
    """The box that a leaning face would have if it stood upright, to be cropped; None where it is the same."""
    is_whole_image: bool = False
    """The picture is a face crop already: it is stretched to the network's square, nothing is cut."""
    mouth_covered: bool = False
    """Whether the mouth is covered, as by a mask; `Recognizer` looks, whatever a detector says."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "box_xyxy", checked_box("box_xyxy", self.box_xyxy))
        object.__setattr__(self, "score", checked_share("score", self.score))
        object.__setattr__(self, "landmarks_xy", checked_landmarks(self.landmarks_xy))
        object.__setattr__(self, "roll_degrees", checked_numbers("roll_degrees", (self.roll_degrees,))[0])
        if self.upright_box_xyxy is not None:
            object.__setattr__(self, "upright_box_xyxy", checked_box("upright_box_xyxy", self.upright_box_xyxy))


class FaceDetector(Protocol):
    """Finds faces in an RGB image uint8 (H, W, 3); the surest first.

    Any object with this method is one; no class needs to be inherited.

    >>> from mien import Detection, Recognizer
    >>> class Middle:
    ...     def detect(self, image):
    ...         height, width = image.shape[:2]
    ...         return [Detection((width / 4, height / 4, width * 3 / 4, height * 3 / 4), 1.0)]
    >>> len(Recognizer(detector=Middle()).recognize("examples/two-people.jpg"))
    1
    """

    def detect(self, image: ImageArray) -> list[Detection]:
        """All faces found; an empty list where there are none."""


class WholeImage:
    """For people who bring crops: the whole image is one face."""

    def detect(self, image: ImageArray) -> list[Detection]:
        """One detection as large as the image, with score 1."""
        height, width = image.shape[:2]
        return [Detection((0.0, 0.0, float(width), float(height)), 1.0, is_whole_image=True)]

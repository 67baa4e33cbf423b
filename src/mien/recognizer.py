"""Image in, faces with their expressions out: detector, crop and network in one object. No torch."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.detection.detection import Detection, FaceDetector
from mien.detection.detectors import DEFAULT_DETECTOR, make_detector
from mien.images import read_image
from mien.preprocessing import ImageArray, crop_face, require_rgb, whole_image_face
from mien.results import Face
from mien.scorer import OnnxScorer
from mien.weights import default_model


class Recognizer:
    """Recognises the expressions of all faces in a picture.

    model: the name of a packaged network (see `list_models`), or the path of an ONNX file from `mien export`.
    detector: "face-finder", "haar" where OpenCV is installed, "whole-image" for pictures that are face crops
        already, the path of a face detector's ONNX file, or an object with `detect(image)`, such as
        `FaceFinder(longest_px=416)`, which is faster.
    threads: how many threads the network may use; 0 leaves it to ONNX Runtime.

    Raises ModelError when the model or detector is unknown or damaged.
    """

    def __init__(
        self,
        model: str | Path | None = None,
        detector: str | FaceDetector = DEFAULT_DETECTOR,
        threads: int = 0,
    ) -> None:
        self.model_name = default_model() if model is None else str(model)
        self.scorer = OnnxScorer(self.model_name, threads)
        self.detector = make_detector(detector) if isinstance(detector, str) else detector

    @property
    def expressions(self) -> tuple[str, ...]:
        """The expressions the network tells apart, in the order of its outputs."""
        return self.scorer.card.expressions

    def recognize(self, image: ImageArray | str | Path | bytes) -> list[Face]:
        """The faces in a picture with their expressions, the surest detection first.

        image: RGB uint8 (H, W, 3), or what `read_image` takes: a path or the bytes of a file.
        Returns an empty list for a picture without faces. Raises ImageError when it cannot be read.
        """
        detections, crops = self.find_faces(image)
        if not detections:
            return []
        return [
            Face(
                found.box_xyxy,
                found.score,
                dict(zip(self.expressions, map(float, row), strict=True)),
                None if found.landmarks_xy is None else tuple((float(x), float(y)) for x, y in found.landmarks_xy),
                self.scorer.card.unsure_below,
            )
            for found, row in zip(detections, self.score_faces(crops), strict=True)
        ]

    def find_faces(self, image: ImageArray | str | Path | bytes) -> tuple[list[Detection], ImageArray]:
        """The faces in a picture, N of them, and their crops uint8 (N, S, S, C); see `recognize`."""
        pixels = image if isinstance(image, np.ndarray) else read_image(image)
        require_rgb(pixels)
        detections = list(self.detector.detect(pixels))
        preprocessing = self.scorer.card.preprocessing
        crops = [
            self.crop(pixels)
            if found.is_whole_image
            else crop_face(pixels, found.upright_box_xyxy or found.box_xyxy, preprocessing, found.roll_degrees)
            for found in detections
        ]
        size_px, channels = preprocessing.size_px, preprocessing.channels
        return detections, np.stack(crops) if crops else np.empty((0, size_px, size_px, channels), np.uint8)

    def score_faces(self, faces: ImageArray) -> NDArray[np.float32]:
        """Probabilities float32 (N, K) of face crops uint8 (N, S, S, C), computed in batches.

        S and C are those of the network's pre-processing; `crop` makes such crops from pictures.
        """
        return self.scorer(faces)

    def crop(self, image: ImageArray) -> ImageArray:
        """A picture that is a face already, uint8 (H, W, 1 or 3), as the network's crop uint8 (S, S, C)."""
        return whole_image_face(image, self.scorer.card.preprocessing)

"""Image in, faces with their expressions out: detector, crop and network in one object. No torch."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.covered_mouth import LOOK, mouth_is_covered
from mien.detection.detection import Detection, FaceDetector
from mien.detection.detectors import DEFAULT_DETECTOR, make_detector
from mien.errors import InputError, MienError
from mien.image_arrays import Color
from mien.images import Picture, read_image
from mien.in_order import map_in_order
from mien.preprocessing import ImageArray, Preprocessing, crop_face, whole_image_face
from mien.results import Face, checked_box
from mien.scorer import BATCH_SIZE, OnnxScorer
from mien.session import CPU, Providers
from mien.weights import default_model

Found = tuple[list[Detection], ImageArray]


class Recognizer:
    """Recognises the expressions of all faces in a picture; it is pickled by its settings.

    model: the name of a packaged network (see `list_models`), or the path of an ONNX file from `mien export`.
    detector: "face-finder", "haar" where OpenCV is installed, "whole-image" for pictures that are face crops
        already, the path of a face detector's ONNX file, or an object with `detect(image)`, such as
        `FaceFinder(longest_px=416)`, which is faster.
    threads: how many threads network and detector may use; 0: as many as this process may use. One is usually fastest
        where other work runs too: rather take several pictures at a time, by `recognize_many` or in processes.
    providers: ONNX Runtime's back ends for both, the preferred one first, such as
        `["CUDAExecutionProvider", "CPUExecutionProvider"]`.

    Threads and providers of a detector that is an object are its own. Raises ModelError when the model or detector is
    unknown or damaged, InputError for what is none.

    >>> from mien import Recognizer
    >>> [face.expression for face in Recognizer().recognize("examples/eileen-collins.jpg")]
    ['happiness']
    """

    def __init__(
        self,
        model: str | Path | None = None,
        detector: str | Path | FaceDetector = DEFAULT_DETECTOR,
        threads: int = 1,
        providers: Providers = CPU,
    ) -> None:
        self.scorer = OnnxScorer(default_model() if model is None else model, threads, providers)
        self.model_name = str(self.scorer.made_with[0])
        if isinstance(detector, str | Path):
            detector = make_detector(detector, threads=threads, providers=providers)
        if isinstance(detector, type) or not hasattr(detector, "detect"):
            found = detector.__name__ if isinstance(detector, type) else f"a {type(detector).__name__}"
            raise InputError(f"detector: expected a name, a path or an object with detect(image), received {found}")
        self.detector = detector

    def __reduce__(self) -> tuple[Any, ...]:
        model, threads, providers = self.scorer.made_with
        return type(self), (model, self.detector, threads, providers)

    @property
    def expressions(self) -> tuple[str, ...]:
        """The expressions the network tells apart, in the order of its outputs."""
        return self.scorer.card.expressions

    def recognize(
        self, image: Picture, *, color: Color = "rgb", boxes_xyxy: Iterable[Sequence[float]] | None = None
    ) -> list[Face]:
        """The faces in a picture with their expressions, the surest detection first.

        image: what `read_image` takes: a path, the bytes of a file, a file object, a Pillow image, or an array uint8
            (H, W, 3), or grey (H, W).
        color: the order of an array's channels, "bgr" for OpenCV's.
        boxes_xyxy: the faces, (N, 4), where they are known already: left, top, right, bottom in pixels of the picture
            as it is seen (EXIF orientation applied). None are looked for then; the N results have their order, and a
            `detection_score` of 1.

        Returns an empty list for a picture without faces. Raises ImageError when the picture cannot be read, InputError
        for what is no picture, and for boxes beside it.

        >>> from mien import Recognizer
        >>> (face,) = Recognizer().recognize("examples/eileen-collins.jpg", boxes_xyxy=[(178, 65, 268, 176)])
        >>> face.expression, face.box_xyxy
        ('happiness', (178.0, 65.0, 268.0, 176.0))
        """
        detections, crops = self.find_faces(image, color=color, boxes_xyxy=boxes_xyxy)
        return self._faces(detections, self.score_faces(crops))

    def recognize_many(
        self,
        images: Iterable[Picture],
        workers: int = 1,
        *,
        color: Color = "rgb",
        return_exceptions: bool = False,
    ) -> Iterator[list[Face]]:
        """The faces of each of several pictures, in their order, as `recognize` gives them.

        images: see `recognize`; they are read as they are needed, so there may be any number.
        workers: how many threads read pictures and look for faces at a time; an own detector is then called from each.
        return_exceptions: whether a picture that cannot be read gives its ImageError or InputError in place of faces
            (as in `asyncio.gather`); otherwise it is raised after the pictures before.

        Faces of up to 64 pictures go through the network together: results come in groups.

        >>> from mien import Recognizer
        >>> files = ["examples/eileen-collins.jpg", "examples/two-people.jpg"]
        >>> [len(faces) for faces in Recognizer().recognize_many(files, workers=2)]
        [1, 2]
        """
        if workers < 1:
            raise InputError(f"workers: expected at least 1, received {workers}")

        def find(image: Picture) -> Found | MienError:
            try:
                return self.find_faces(image, color=color)
            except MienError as error:
                return error

        return self._in_batches(map_in_order(find, images, workers), return_exceptions)

    def find_faces(
        self, image: Picture, *, color: Color = "rgb", boxes_xyxy: Iterable[Sequence[float]] | None = None
    ) -> Found:
        """The faces in a picture, N of them, and their crops uint8 (N, S, S, C); see `recognize`."""
        pixels = read_image(image, color=color)
        if boxes_xyxy is None:
            detections = _checked_detections(self.detector.detect(pixels))
        else:
            detections = [Detection(checked_box("boxes_xyxy", box), 1.0) for box in boxes_xyxy]
        preprocessing = self.scorer.card.preprocessing
        for found in detections:
            _require_inside(found, pixels)
        crops = [_crop(found, pixels, preprocessing) for found in detections]
        detections = [_with_mouth(found, pixels) for found in detections]
        size_px, channels = preprocessing.size_px, preprocessing.channels
        return detections, np.stack(crops) if crops else np.empty((0, size_px, size_px, channels), np.uint8)

    def score_faces(self, faces: ImageArray) -> NDArray[np.float32]:
        """Probabilities float32 (N, K) of face crops uint8 (N, S, S, C), computed in batches.

        S and C are those of the network's pre-processing; `crop` makes such crops from pictures. InputError for others.
        """
        return self.scorer(faces)

    def crop(self, image: ImageArray) -> ImageArray:
        """A picture that is a face already, uint8 (H, W, 1 or 3), as the network's crop uint8 (S, S, C)."""
        return whole_image_face(image, self.scorer.card.preprocessing)

    def _faces(self, detections: Sequence[Detection], scores: NDArray[np.float32]) -> list[Face]:
        return [
            Face(
                found.box_xyxy,
                found.score,
                dict(zip(self.expressions, row, strict=True)),
                found.landmarks_xy,
                self.scorer.card.unsure_below,
                found.mouth_covered,
            )
            for found, row in zip(detections, scores, strict=True)
        ]

    def _in_batches(self, pictures: Iterable[Found | MienError], return_exceptions: bool) -> Iterator[Any]:
        waiting: list[Found | MienError] = []
        count = 0
        for each in pictures:
            waiting.append(each)
            count += 0 if isinstance(each, MienError) else len(each[0])
            if count >= BATCH_SIZE or len(waiting) >= BATCH_SIZE:
                yield from self._scored(waiting, return_exceptions)
                waiting, count = [], 0
        yield from self._scored(waiting, return_exceptions)

    def _scored(self, pictures: Sequence[Found | MienError], return_exceptions: bool) -> Iterator[Any]:
        crops = [each[1] for each in pictures if not isinstance(each, MienError)]
        scores = self.score_faces(np.concatenate(crops)) if crops else np.empty((0, len(self.expressions)), np.float32)
        for each in pictures:
            if not isinstance(each, MienError):
                detections, _ = each
                yield self._faces(detections, scores[: len(detections)])
                scores = scores[len(detections) :]
            elif return_exceptions:
                yield each
            else:
                raise each


def _checked_detections(given: Any) -> list[Detection]:
    found = list(given) if isinstance(given, Iterable) else [given]
    wrong = [each for each in found if not isinstance(each, Detection)]
    if wrong:
        raise InputError(
            f"detector: expected a list of Detection objects from detect(image), received a {type(wrong[0]).__name__}; "
            "mien.Detection(box_xyxy, score) makes one"
        )
    return found


def _require_inside(found: Detection, image: ImageArray) -> None:
    height, width = image.shape[:2]
    x0, y0, x1, y1 = found.box_xyxy
    if x1 <= 0 or y1 <= 0 or x0 >= width or y0 >= height:
        raise InputError(
            f"box_xyxy: expected a box that touches the picture of {width} x {height} pixels, received {found.box_xyxy}"
        )


def _crop(found: Detection, pixels: ImageArray, preprocessing: Preprocessing) -> ImageArray:
    if found.is_whole_image:
        return whole_image_face(pixels, preprocessing)
    return crop_face(pixels, found.upright_box_xyxy or found.box_xyxy, preprocessing, found.roll_degrees)


def _with_mouth(found: Detection, pixels: ImageArray) -> Detection:
    return replace(found, mouth_covered=mouth_is_covered(_crop(found, pixels, LOOK)))

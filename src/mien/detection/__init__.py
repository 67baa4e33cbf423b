"""Faces in pictures: detectors, and what they find."""

from mien.detection.detection import Detection, FaceDetector, WholeImage
from mien.detection.detectors import make_detector
from mien.detection.face_finder import FaceFinder

__all__ = ["Detection", "FaceDetector", "FaceFinder", "WholeImage", "make_detector"]

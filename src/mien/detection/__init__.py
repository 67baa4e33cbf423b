"""Faces in pictures: detectors, and what they find."""

from mien.detection.detection import Detection, FaceDetector, FaceFinder, WholeImage, make_detector

__all__ = ["Detection", "FaceDetector", "FaceFinder", "WholeImage", "make_detector"]

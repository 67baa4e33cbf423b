"""Face detectors by name."""

from collections.abc import Callable
from pathlib import Path

from mien.detection.detection import FaceDetector, WholeImage
from mien.detection.face_finder import AUTO, FaceFinder, LongestPx
from mien.errors import ModelError


def _haar() -> FaceDetector:
    from mien.detection.haar import HaarDetector

    return HaarDetector()


DEFAULT_DETECTOR = "face-finder"
OTHERS: dict[str, Callable[[], FaceDetector]] = {"haar": _haar, "whole-image": WholeImage}
"""The detectors that are no `FaceFinder`."""


def make_detector(
    name: str, longest_px: LongestPx | None = None, score_threshold: float | None = None, any_way_up: bool = False
) -> FaceDetector:
    """A detector by name, or a `FaceFinder` from the path of an ONNX file; ModelError where there is none such.

    longest_px, score_threshold, any_way_up: of a `FaceFinder`, where they are not its defaults; ModelError for other
    detectors.
    """
    if name == DEFAULT_DETECTOR or Path(name).is_file():
        side = AUTO if longest_px is None else longest_px
        return FaceFinder(name, side, score_threshold, any_way_up=any_way_up)
    if name not in OTHERS:
        known = ", ".join(sorted([DEFAULT_DETECTOR, *OTHERS]))
        raise ModelError(f"unknown detector {name!r}; known: {known}, or give the path of an ONNX file")
    given = {"longest_px": longest_px is not None, "score_threshold": score_threshold is not None}
    for option, is_given in {**given, "any_way_up": any_way_up}.items():
        if is_given:
            raise ModelError(f"{option} is for the detector {DEFAULT_DETECTOR!r} alone, found {name!r}")
    return OTHERS[name]()

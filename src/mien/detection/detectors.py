"""Face detectors by name."""

from collections.abc import Callable
from pathlib import Path

from mien.detection.detection import FaceDetector, WholeImage
from mien.detection.face_finder import AUTO, AnyWayUp, FaceFinder, LongestPx
from mien.errors import ModelError, shortened
from mien.session import CPU, Providers
from mien.weights import list_detectors, names_file


def _haar() -> FaceDetector:
    from mien.detection.haar import HaarDetector

    return HaarDetector()


DEFAULT_DETECTOR = "face-finder"
OTHERS: dict[str, Callable[[], FaceDetector]] = {"haar": _haar, "whole-image": WholeImage}
"""The detectors that are no `FaceFinder`."""


def make_detector(
    name: str | Path,
    longest_px: LongestPx | None = None,
    score_threshold: float | None = None,
    any_way_up: AnyWayUp | None = None,
    threads: int = 1,
    providers: Providers = CPU,
) -> FaceDetector:
    """A detector by name, or a `FaceFinder` from the path of an ONNX file; ModelError where there is none such.

    A known name always means that detector, whatever files there are; a `Path` always means a file.
    longest_px, score_threshold, any_way_up: of a `FaceFinder`, where they are not its defaults; ModelError for other
    detectors. threads, providers: of a `FaceFinder`; the others run as they do.
    """
    if isinstance(name, Path) or name not in OTHERS:
        packaged = [card.name for card in list_detectors()]
        if name not in packaged and not names_file(name):
            known = ", ".join(sorted([*packaged, *OTHERS]))
            raise ModelError(f"unknown detector '{shortened(name)}'; known: {known}, or give the path of an ONNX file")
        side, turns = AUTO if longest_px is None else longest_px, AUTO if any_way_up is None else any_way_up
        return FaceFinder(name, side, score_threshold, threads, turns, providers)
    given = {"longest_px": longest_px, "score_threshold": score_threshold, "any_way_up": any_way_up}
    for option, value in given.items():
        if value is not None:
            raise ModelError(f"{option} is for the detector {DEFAULT_DETECTOR!r} alone, found {name!r}")
    return OTHERS[name]()

"""Of 33 photographs, how many keep their expression when they are darkened; the last line of stdout is JSON.

    python benchmarks/darkness.py --photographs FOLDER [--model NAME ...] [--json FILE]

Six are the two portraits of examples/ (those of skimage.data.astronaut() and Matplotlib's grace_hopper.jpg): as they
are, mirrored, and at half their size. The others are of LFW (lfw.parquet in FOLDER), of persons whom the face detector
has not learned: the first in an order drawn with seed 0 in which it finds a face. Pictures are multiplied by 0.3, 0.15
and 0.08 and rounded to 8 bits. `kept` counts those whose surest face, recognised as `mien predict` does, is found again
and has the expression of the untouched picture; `kept_in_known_box` those where the network answers the same with the
box of the untouched picture; `found` those where the detector finds the face, at an intersection over union of a half.
"""

import argparse
import json
import sys
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from mien import Recognizer, list_models
from mien.datasets.photographs import read_photographs
from mien.detection.boxes import iou
from mien.detection.detection import Detection, FaceDetector
from mien.detection.detectors import DEFAULT_DETECTOR, make_detector
from mien.evaluation.corruptions import BRIGHTNESS, darkness
from mien.images import read_image
from mien.preprocessing import ImageArray
from mien.results import Face

EXAMPLES = Path(__file__).parents[1] / "examples"
PICTURES = 33
SEVERITIES = (2, 3, 4)


class KnownFace:
    """A detector that finds what it was told."""

    face: Detection

    def detect(self, image: ImageArray) -> list[Detection]:
        return [self.face]


def main() -> None:
    parser = argparse.ArgumentParser(description="How many photographs keep their expression in the dark.")
    parser.add_argument("--photographs", type=Path, required=True, help="the folder with lfw.parquet")
    parser.add_argument(
        "--model", action="append", help="packaged networks or ONNX files; all packaged if none is named"
    )
    parser.add_argument("--json", type=Path, help="also write the result here")
    arguments = parser.parse_args()
    detector = make_detector(DEFAULT_DETECTOR)
    pictures = portraits()
    pictures += chosen_of_lfw(arguments.photographs, detector, PICTURES - len(pictures))
    values: dict[str, Any] = {
        "pictures": len(pictures),
        "detector": DEFAULT_DETECTOR,
        "models": {
            model: measure(model, detector, pictures)
            for model in arguments.model or [card.name for card in list_models()]
        },
    }
    for model, found in values["models"].items():
        for brightness, counts in found.items():
            print(f"{model}, brightness {brightness}: {counts}", file=sys.stderr)
    if arguments.json:
        arguments.json.write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(values))


def portraits() -> list[ImageArray]:
    images = [read_image(EXAMPLES / f"{name}.jpg") for name in ("eileen-collins", "grace-hopper")]
    mirrored = [np.ascontiguousarray(image[:, ::-1]) for image in images]
    halves = [halved(image) for image in images]
    return [*images, *mirrored, *halves]


def halved(image: ImageArray) -> ImageArray:
    height, width = (side // 2 * 2 for side in image.shape[:2])
    blocks = image[:height, :width].reshape(height // 2, 2, width // 2, 2, 3)
    means: ImageArray = np.rint(blocks.mean(axis=(1, 3))).astype(np.uint8)
    return means


def chosen_of_lfw(root: Path, detector: FaceDetector, count: int) -> list[ImageArray]:
    photographs = read_photographs(root, "lfw-held-out")
    order = np.random.default_rng(0).permutation(len(photographs))
    images = (photographs[int(index)].read() for index in order)
    with_face = (image for image in images if detector.detect(image))
    return list(islice(with_face, count))


def measure(model: str, detector: FaceDetector, pictures: list[ImageArray]) -> dict[str, dict[str, Any]]:
    counts = {severity: {"kept": 0, "kept_in_known_box": 0, "found": 0} for severity in SEVERITIES}
    known = KnownFace()
    whole, in_known_box = Recognizer(model, detector), Recognizer(model, known)
    for picture in pictures:
        known.face = detector.detect(picture)[0]
        (face,) = in_known_box.recognize(picture)
        for severity in SEVERITIES:
            dark = darkness(picture, severity, np.random.default_rng(0))
            again = found_again(face, whole.recognize(dark))
            counts[severity]["found"] += again is not None
            counts[severity]["kept"] += again is not None and again.expression == face.expression
            counts[severity]["kept_in_known_box"] += in_known_box.recognize(dark)[0].expression == face.expression
    return {str(BRIGHTNESS[severity - 1]): found for severity, found in counts.items()}


def found_again(face: Face, others: list[Face]) -> Face | None:
    overlaps = {iou(face.box_xyxy, [other.box_xyxy])[0]: other for other in others}
    nearest = max(overlaps, default=0.0)
    return overlaps[nearest] if nearest >= 0.5 else None


if __name__ == "__main__":
    main()

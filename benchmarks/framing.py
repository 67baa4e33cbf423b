"""How FER2013 frames its faces, and how crops around found faces are recognised.

    python benchmarks/framing.py --root fer2013.parquet --photographs FOLDER [--model NAME ...] [--json FILE]

A detector's box on FER2013's pictures, which are cut close to the faces, says little; its landmarks do. On every 40th
image of `training`, the distances between the eyes and from eyes to mouth are taken as shares of the frame, and on LFW
(lfw.parquet in FOLDER) as shares of the box's height: their ratio tells how high the box is in a frame of FER2013, and
so the margin of the crop rule, (1 / height - 1) / 2. Haar's boxes are held against LFW's.

Accuracy is measured on `public_test`, by the labels of FERPlus for networks that learned these, with a border of
repeated pixels around the pictures: of the whole pictures and of the crops around each detector's surest face, with its
lean taken out and without, on the pictures where the detector finds a face and on those where both do; there, also by
the margin of the crop rule. face-finder with the network's own margin is held against Haar with the margin and form
that are best for it. The last line of stdout is JSON.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mien.datasets import Dataset, open_dataset
from mien.datasets.photographs import Photographs, read_photographs
from mien.detection.boxes import iou
from mien.detection.detection import Detection, FaceDetector
from mien.detection.detectors import make_detector
from mien.evaluation.metrics import bootstrap_interval
from mien.preprocessing import ImageArray, Preprocessing, crop_face, whole_image_face
from mien.scorer import OnnxScorer
from mien.weights import default_model

BORDER_PX, ZOOM = 24, 3
LEAST_LEAN = 15
"""Faces that lean by so many degrees are not measured."""
MARGINS = (0, 0.02, 0.04, 0.06, 0.08)
"""Of the crop rule, as shares of a box's longer side."""


def main() -> None:
    parser = argparse.ArgumentParser(description="How FER2013 frames its faces, and recognition of found faces.")
    parser.add_argument("--root", type=Path, required=True, help="FER2013, as for mien train")
    parser.add_argument("--photographs", type=Path, required=True, help="the folder with lfw.parquet")
    parser.add_argument("--model", action="append", help="packaged networks; the default one if none is named")
    parser.add_argument("--json", type=Path, help="also write the result here")
    arguments = parser.parse_args()
    detectors = {name: make_detector(name) for name in ("face-finder", "haar")}
    portraits = read_photographs(arguments.photographs, "lfw-held-out")
    values = {
        "framing": framing(detectors["face-finder"], open_dataset("fer2013", arguments.root, "training"), portraits),
        "haar_against_lfw": shapes(detectors["haar"], portraits),
        "accuracy": {
            model: accuracies(OnnxScorer(model), arguments.root, detectors)
            for model in arguments.model or [default_model()]
        },
    }
    if arguments.json:
        arguments.json.write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(values))


def with_border(face: ImageArray) -> ImageArray:
    """A grey face (S, S, 1) as an RGB picture in which it has room."""
    room = np.pad(face[:, :, 0], BORDER_PX, mode="edge")
    return np.asarray(Image.fromarray(room).resize([ZOOM * side for side in room.shape[::-1]]).convert("RGB"))


def surest(detector: FaceDetector, face: ImageArray) -> Detection | None:
    return next(iter(detector.detect(with_border(face))), None)


def distances(landmarks: NDArray[np.floating]) -> list[float]:
    """Between the eyes, from eyes to mouth, and how far down the eyes are, of landmarks (5, 2) of an upright face."""
    eyes, mouth = landmarks[:2].mean(axis=0), landmarks[3:].mean(axis=0)
    return [landmarks[1, 0] - landmarks[0, 0], mouth[1] - eyes[1], eyes[1]]


def framing(finder: FaceDetector, training: Dataset, portraits: Photographs) -> dict[str, float]:
    in_frame, in_box = [], []
    for index in range(0, len(training), 40):
        face = training[index].image
        found = [each for each in finder.detect(with_border(face)) if abs(each.roll_degrees) < LEAST_LEAN]
        if len(found) == 1 and found[0].landmarks_xy is not None:
            in_frame.append(distances((np.array(found[0].landmarks_xy) / ZOOM - BORDER_PX) / len(face)))
    for portrait in portraits:
        found = [each for each in finder.detect(portrait.read()) if abs(each.roll_degrees) < LEAST_LEAN]
        if found and found[0].landmarks_xy is not None:
            x0, y0, _, y1 = found[0].box_xyxy
            in_box.append(distances((np.array(found[0].landmarks_xy) - (x0, y0)) / (y1 - y0)))
    eyes, mouth, down = np.median(in_frame, axis=0)
    box_eyes, box_mouth, box_down = np.median(in_box, axis=0)
    height = float((eyes / box_eyes + mouth / box_mouth) / 2)
    return {
        "images": len(in_frame),
        "height_by_eyes": round(float(eyes / box_eyes), 3),
        "height_by_mouth": round(float(mouth / box_mouth), 3),
        "centre_y": round(float(down + (0.5 - box_down) * height), 3),
        "margin": round((1 / height - 1) / 2, 3),
    }


def shapes(detector: FaceDetector, portraits: Photographs) -> dict[str, float]:
    """Medians of a detector's boxes, as shares of LFW's and of their height."""
    ratios = []
    for portrait in portraits:
        main = portrait.boxes_xyxy[portrait.main]
        for each in detector.detect(portrait.read()):
            box = np.array(each.box_xyxy)
            if not each.roll_degrees and iou(each.box_xyxy, [main])[0] > 0.3:
                width, height = main[2:] - main[:2]
                lower = (box[1] + box[3] - main[1] - main[3]) / 2 / height
                ratios.append([(box[2] - box[0]) / width, (box[3] - box[1]) / height, lower])
    width, height, lower = (round(float(value), 3) for value in np.median(ratios, axis=0))
    return {"portraits": len(ratios), "width": width, "height": height, "lower": lower}


def accuracies(scorer: OnnxScorer, root: Path, detectors: dict[str, FaceDetector]) -> dict[str, Any]:
    public = open_dataset("ferplus" if "contempt" in scorer.card.expressions else "fer2013", root, "public_test")
    preprocessing = scorer.card.preprocessing
    images = [sample.image for sample in public]
    labels = np.array([scorer.card.expressions.index(public.expressions[sample.label]) for sample in public])
    found = {name: [surest(detector, image) for image in images] for name, detector in detectors.items()}
    known = {name: np.array([face is not None for face in faces]) for name, faces in found.items()}
    both = np.logical_and.reduce(list(known.values()))

    def right(crops: list[ImageArray]) -> NDArray[np.bool_]:
        hit: NDArray[np.bool_] = scorer(np.stack(crops)).argmax(axis=1) == labels
        return hit

    def hits(name: str, aligned: bool, margin: float) -> NDArray[np.bool_]:
        rule = replace(preprocessing, margin=margin)
        return right([cut(image, face, aligned, rule) for image, face in zip(images, found[name], strict=True)])

    whole = right([whole_image_face(image, preprocessing) for image in images])
    values: dict[str, Any] = {
        "dataset": public.name,
        "images": len(images),
        "whole": float(whole.mean()),
        "both_find": int(both.sum()),
        "whole_where_both_find": float(whole[both].mean()),
        "margin": preprocessing.margin,
    }
    by_way = {}
    for name in found:
        for form, aligned in (("aligned", True), ("as_they_lean", False)):
            correct = by_way[f"{name}_{form}"] = hits(name, aligned, preprocessing.margin)
            values[f"{name}_{form}"] = {
                "found": float(known[name].mean()),
                "where_it_finds": float(correct[known[name]].mean()),
                "whole_there": float(whole[known[name]].mean()),
                "where_both_find": float(correct[both].mean()),
            }
    by_margin = {
        f"{name}_{form}": {margin: hits(name, form == "aligned", margin)[both] for margin in MARGINS}
        for name, form in (("face-finder", "aligned"), ("haar", "aligned"), ("haar", "as_they_lean"))
    }
    values["where_both_find_by_margin"] = {
        way: {f"{margin:.2f}": float(correct.mean()) for margin, correct in each.items()}
        for way, each in by_margin.items()
    }
    best = max((*by_margin["haar_aligned"].values(), *by_margin["haar_as_they_lean"].values()), key=np.mean)
    more = 1.0 * by_way["face-finder_aligned"][both] - best
    values["face_finder_minus_haar_at_its_best"] = float(more.mean())
    values["interval"] = bootstrap_interval(lambda drawn: float(more[drawn].mean()), len(more))
    return values


def cut(image: ImageArray, face: Detection | None, aligned: bool, rule: Preprocessing) -> ImageArray:
    if face is None:
        return whole_image_face(image, rule)
    box = (face.upright_box_xyxy or face.box_xyxy) if aligned else face.box_xyxy
    return crop_face(with_border(image), box, rule, face.roll_degrees if aligned else 0)


if __name__ == "__main__":
    main()

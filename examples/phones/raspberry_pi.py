"""Faces and their expressions on a Raspberry Pi with LiteRT, without mien and without ONNX Runtime.

    mien export mien-1m --to litert --int8-weights --out phones           # on any computer
    mien export face-finder --to litert --size 416 --out phones
    pip install ai-edge-litert numpy pillow                              # on the Pi
    python raspberry_pi.py phones picture.jpg

Alone with the files of the folder: what mien's preprocessing and decoding do, for one look at 416 pixels and without
turning leaning faces upright, written from the specifications there. A look at one size misses small faces, and large
ones that fill most of the picture.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray
from PIL import Image, ImageOps

FloatArray = NDArray[np.float32]


class Network:
    """A .tflite file and its specification."""

    def __init__(self, folder: Path, name: str, suffix: str = "") -> None:
        self.told: dict[str, Any] = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
        self._runner = Interpreter(str(folder / f"{name}{suffix}.tflite"), num_threads=2).get_signature_runner()
        (self._given,) = self._runner.get_input_details()

    def __call__(self, inputs: FloatArray) -> list[FloatArray]:
        """The outputs, in the order of the specification."""
        answers = self._runner(**{self._given: inputs})
        return [answers[output["litert"]] for output in self.told["outputs"]]


def find_faces(detector: Network, picture: Image.Image) -> list[tuple[float, FloatArray]]:
    """Scores and boxes (4,) in pixels of the picture, the surest first."""
    told = detector.told
    size = told["size_px"]
    scale = size / max(picture.size)
    shrunk = picture.resize([max(1, round(side * scale)) for side in picture.size], Image.Resampling.BILINEAR)
    canvas = np.zeros((size, size, 3), np.float32)
    canvas[: shrunk.height, : shrunk.width] = np.asarray(shrunk)
    found: list[tuple[float, FloatArray]] = []
    for values, stride in zip(detector(canvas.transpose(2, 0, 1)[None]), told["strides"], strict=True):
        scores = 1 / (1 + np.exp(-values[0, 0]))
        for row, column in np.argwhere(scores > told["score_threshold"]):
            cell = values[0, :, row, column]
            centre = (np.array([column, row]) + 0.5 + cell[1:3]) * stride
            half = np.exp(np.minimum(cell[3:5], 5)) * stride * told["size_in_strides"] / 2
            found.append((float(scores[row, column]), np.concatenate((centre - half, centre + half)) / scale))
    kept: list[tuple[float, FloatArray]] = []
    for score, box in sorted(found, key=lambda each: -each[0]):
        if all(iou(box, other) <= told["nms_iou"] for _, other in kept):
            kept.append((score, box))
    return kept


def iou(a: FloatArray, b: FloatArray) -> float:
    """Intersection over union of two boxes (4,)."""
    sides = np.maximum(0, np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]))
    areas = (a[2:] - a[:2]).prod() + (b[2:] - b[:2]).prod()
    return float(sides.prod() / (areas - sides.prod()))


def scores_of_face(network: Network, picture: Image.Image, box: FloatArray) -> FloatArray:
    """Probabilities (K,) of the expressions of an upright face."""
    values = network.told["preprocessing"]
    centre, side = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]).max() * (1 + 2 * values["margin"])
    left, top = np.floor(centre - side / 2).astype(int)
    right, bottom = np.ceil(centre + side / 2).astype(int)
    pixels = np.asarray(picture)
    rows, columns = (
        np.clip(np.arange(*ends), 0, length - 1)
        for ends, length in (((top, bottom), picture.height), ((left, right), picture.width))
    )
    window = Image.fromarray(pixels[rows[:, None], columns]).convert("L" if values["channels"] == 1 else "RGB")
    x, y = centre - side / 2 - (left, top)
    inside = (max(x, 0), max(y, 0), min(x + side, window.width), min(y + side, window.height))
    size = (values["size_px"], values["size_px"])
    crop = np.asarray(window.resize(size, Image.Resampling.BILINEAR, box=inside), np.float32) / 255
    if values["standardize"]:
        crop = (crop - crop.mean()) / (crop.std() + np.float32(values["flat_std"]))
    else:
        crop = (crop - np.float32(values["mean"])) / np.float32(values["std"])
    planes = crop[None] if crop.ndim == 2 else crop.transpose(2, 0, 1)
    logits = network(planes[None])[0][0]
    exponentials: FloatArray = np.exp(logits - logits.max())
    return exponentials / exponentials.sum()


def main() -> None:
    """Print a line of JSON for each picture."""
    folder, *pictures = map(Path, sys.argv[1:])
    detector, network = Network(folder, "face-finder-416"), Network(folder, "mien-1m", "-int8-weights")
    for name in pictures:
        picture = ImageOps.exif_transpose(Image.open(name)).convert("RGB")
        faces = [
            {
                "box_xyxy": np.round(box, 2).tolist(),
                "detection_score": round(score, 4),
                "scores": dict(
                    zip(network.told["expressions"], scores_of_face(network, picture, box).tolist(), strict=True)
                ),
            }
            for score, box in find_faces(detector, picture)
        ]
        print(json.dumps({"source": str(name), "faces": faces}))


if __name__ == "__main__":
    main()

"""Faces and their expressions with ncnn as the only engine: the same answers as `mien predict --json`.

    mien export mien-1m --to ncnn --out phones
    mien export face-finder --to ncnn --size 416 --out phones
    python ncnn_faces.py phones examples/two-people.jpg

Needs mien's code, ncnn and Pillow, and never loads ONNX Runtime. ncnn takes the detector at any size whose sides are
multiples of 32, whatever size it was exported for, so photographs are looked at as finely as mien does.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from mien.detection.boxes import roll_degrees, upright_box
from mien.detection.looks import find_in_photograph
from mien.export.phones.engines import FloatArray, ncnn_engine
from mien.images import read_image
from mien.preprocessing import ImageArray, Preprocessing, crop_face, to_network_input
from mien.scorer import softmax


class NcnnFaces:
    """The detector and the network that tells expressions, from a folder of `mien export --to ncnn`."""

    def __init__(self, folder: Path, network: str = "mien-1m", detector: str = "face-finder-416") -> None:
        told = json.loads((folder / f"{network}.json").read_text(encoding="utf-8"))
        values = {name: value for name, value in told["preprocessing"].items() if name != "flat_std"}
        self.preprocessing, self.expressions = Preprocessing.from_dict(values), told["expressions"]
        self.score_threshold = json.loads((folder / f"{detector}.json").read_text(encoding="utf-8"))["score_threshold"]
        self._tell, self._find = (ncnn_engine(folder / f"{name}.ncnn.param") for name in (network, detector))

    def maps(self, image: ImageArray) -> list[FloatArray]:
        """The detector's maps of an image uint8 (H, W, 3), sides divisible by 32."""
        return [found[0] for found in self._find(image.transpose(2, 0, 1)[None].astype(np.float32))]

    def faces(self, image: ImageArray) -> list[dict[str, Any]]:
        """The faces in an RGB image uint8 (H, W, 3), as `mien predict --json` tells them."""
        found = find_in_photograph(image, self.maps, self.score_threshold)
        return [
            self._face(image, *each) for each in zip(found.boxes_xyxy, found.scores, found.landmarks_xy, strict=True)
        ]

    def _face(self, image: ImageArray, box: FloatArray, score: float, landmarks: FloatArray) -> dict[str, Any]:
        roll = roll_degrees(landmarks)
        crop = crop_face(image, upright_box(box, roll), self.preprocessing, roll)
        scores = softmax(self._tell(to_network_input(crop[None], self.preprocessing))[0])[0]
        order = np.argsort(-scores)
        return {
            "box_xyxy": np.round(box.astype(float), 2).tolist(),
            "detection_score": round(float(score), 4),
            "expression": self.expressions[order[0]],
            "scores": {self.expressions[place]: round(float(scores[place]), 4) for place in order},
        }


def main() -> None:
    """Print a line of JSON for each picture."""
    folder, *pictures = map(Path, sys.argv[1:])
    recognizer = NcnnFaces(folder)
    for picture in pictures:
        print(json.dumps({"source": str(picture), "faces": recognizer.faces(read_image(picture))}))


if __name__ == "__main__":
    main()

"""How many covered mouths are told, and how many bare ones are taken for covered.

    python benchmarks/covered_mouths.py lfw.parquet faces-dev.parquet [--portraits 400] [--out FILE]

On photographs of people with and without masks, and on LFW's portraits, bare and with masks drawn over them as the
detector's training draws them; the limits were chosen on the latter (mien/covered_mouth.py). `doubted` are those whose
confidence alone makes them unsure. The last line of stdout is JSON.
"""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import torch

from mien import Recognizer
from mien.detection.boxes import iou
from mien.detection.face_finder import FaceFinder
from mien.images import read_image
from mien.preprocessing import ImageArray
from mien.training.detector import occluders

SAME_IOU = 0.35
SMALLEST_PX = 20
Labelled = Iterator[tuple[ImageArray, str, list[list[float]]]]


def drawn_masks(file: Path, portraits: int) -> Labelled:
    """Each portrait bare and with a mask, and the box of its main face."""
    table = pq.read_table(file, columns=["image", "boxes_xyxy", "landmarks_xy"])
    draw = torch.Generator().manual_seed(7)
    for row in np.random.default_rng(0).permutation(len(table))[:portraits]:
        portrait = table.slice(int(row), 1).to_pylist()[0]
        image = read_image(portrait["image"])
        box = np.reshape(portrait["boxes_xyxy"], (-1, 4))[:1].tolist()
        landmarks = np.reshape(portrait["landmarks_xy"], (-1, 5, 2))[0]
        yield image, "portraits, bare", box
        yield with_mask(image, landmarks, draw), "portraits, drawn mask", box


def with_mask(image: ImageArray, landmarks: np.ndarray, draw: torch.Generator) -> ImageArray:
    """A mask drawn over the face with these landmarks (5, 2)."""
    tile = torch.from_numpy(image.astype(np.float32) / 255).permute(2, 0, 1)[None]
    y, x = torch.meshgrid(*(torch.arange(side) for side in image.shape[:2]), indexing="ij")
    places = torch.stack((x, y), dim=-1)[None].float()
    occluders.draw_over(tile, places, torch.from_numpy(landmarks)[None].float(), occluders.mask, draw)
    masked: ImageArray = (tile[0].permute(1, 2, 0).numpy() * 255).round().clip(0, 255).astype(np.uint8)
    return masked


def photographs(file: Path) -> Labelled:
    """Photographs and the boxes of each of their labels."""
    for row in pq.read_table(file, columns=["image", "boxes_xyxy", "labels"]).to_pylist():
        image, boxes = read_image(row["image"]), np.reshape(row["boxes_xyxy"], (-1, 4))
        for label in sorted(set(row["labels"])):
            chosen = [box.tolist() for box, its in zip(boxes, row["labels"], strict=True) if its == label]
            yield image, f"photographs, {label}", chosen


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("lfw", type=Path)
    parser.add_argument("faces_dev", type=Path)
    parser.add_argument("--portraits", type=int, default=400)
    parser.add_argument("--out", type=Path)
    wanted = parser.parse_args()
    recognizer = Recognizer(detector=FaceFinder(longest_px=416), threads=1)
    counts: dict[str, Counter[str]] = {}
    for labelled in (drawn_masks(wanted.lfw, wanted.portraits), photographs(wanted.faces_dev)):
        for image, label, boxes in labelled:
            faces = recognizer.recognize(image)
            for x0, y0, x1, y1 in boxes:
                overlaps = iou((x0, y0, x1, y1), [face.box_xyxy for face in faces]) if faces else np.zeros(1)
                if ((x1 - x0) * (y1 - y0)) ** 0.5 >= SMALLEST_PX and overlaps.max() >= SAME_IOU:
                    face = faces[int(overlaps.argmax())]
                    doubted = face.confidence < face.unsure_below
                    found = counts.setdefault(label, Counter())
                    found.update({"faces": 1, "told": face.mouth_covered, "doubted": doubted, face.expression: 1})
    document = {"model": recognizer.model_name, "counts": {label: dict(found) for label, found in counts.items()}}
    for label, found in counts.items():
        print(f"{label}: {found['told'] / found['faces']:.3f} of {found['faces']} are told", file=sys.stderr)
    if wanted.out:
        wanted.out.write_text(json.dumps(document, indent=1) + "\n")
    print(json.dumps(document))


if __name__ == "__main__":
    main()

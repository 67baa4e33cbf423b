"""What face-finder's looks find in large photographs, and what they cost; the last line of stdout is JSON.

    python benchmarks/looks.py --photographs FOLDER [--portraits 100] [--repeats 5] [--json FILE]

The two portraits of examples/ and portraits of LFW (lfw.parquet in FOLDER) of persons whom no detector learned, scaled
so that the face is 100 px high, are pasted at drawn places into photographs without people (no-people.parquet) that are
enlarged to 4032x3024. A face counts as found at an intersection over union of a half. Times are processor time on one
thread, each way in turn on one picture after the other, relative to the look of 416 px: at 640x480, at 12 megapixels
with one small face, and at 16 megapixels with 280 faces of 50 px, where the budget for closer looks is used up. `small
looks at known faces` is what following faces between looks at the whole would cost: one look of 96 px at each face.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from mien.datasets.photographs import read_photographs
from mien.detection import FaceFinder
from mien.face_finder import FloatArray, overlaps
from mien.images import read_image
from mien.preprocessing import ImageArray, Preprocessing, crop_face

EXAMPLES = Path(__file__).parents[1] / "examples"
BOXES = {"eileen-collins": (178, 65, 268, 176), "grace-hopper": (186, 125, 352, 333)}
SCENE, HIGH_PX = (4032, 3024), 100
WAYS: dict[str, Any] = {"416": {"longest_px": 416}, "auto": {}, "1280": {"longest_px": 1280}}


def main() -> None:
    parser = argparse.ArgumentParser(description="What looks at large photographs find and cost.")
    parser.add_argument("--photographs", type=Path, required=True, help="the folder with lfw and no-people.parquet")
    parser.add_argument("--portraits", type=int, default=100)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", type=Path, help="also write the result here")
    arguments = parser.parse_args()
    finders = {name: FaceFinder(**options) for name, options in WAYS.items()}
    result = {
        "seconds": {name: relative(finders, image, arguments.repeats) for name, image in pictures().items()},
        "small_looks_at_known_faces": following(finders["416"], arguments.repeats),
        "scenes": scenes(finders, arguments.photographs, arguments.portraits),
    }
    text = json.dumps(result)
    if arguments.json:
        arguments.json.write_text(text + "\n", encoding="utf-8")
    print(text)


def pictures() -> dict[str, ImageArray]:
    """Pictures to measure time on."""
    portrait = Image.open(EXAMPLES / "eileen-collins.jpg").convert("RGB")
    class_picture = Image.new("RGB", (20 * 231, 14 * 231))
    for index in range(280):
        class_picture.paste(portrait.resize((231, 231)), (index % 20 * 231, index // 20 * 231))
    large = Image.new("RGB", SCENE, "grey")
    large.paste(portrait, (2000, 1000))
    vga = Image.open(EXAMPLES / "two-people.jpg").convert("RGB").resize((640, 480))
    return {"640x480": np.asarray(vga), "4032x3024": np.asarray(large), "280 faces": np.asarray(class_picture)}


def relative(finders: dict[str, FaceFinder], image: ImageArray, repeats: int) -> dict[str, float]:
    """Median processor time of each way, and that of the look of 416 px in seconds."""
    times: dict[str, list[float]] = {name: [] for name in finders}
    for _ in range(repeats):
        for name, finder in finders.items():
            times[name].append(seconds(lambda finder=finder: finder.detect(image)))  # type: ignore[misc]
    medians = {name: statistics.median(each) for name, each in times.items()}
    found = {name: round(each / medians["416"], 2) for name, each in medians.items()}
    print(f"{image.shape[1]}x{image.shape[0]}: {medians}", file=sys.stderr)
    return {**found, "416 in ms": round(medians["416"] * 1000, 2), "auto in ms": round(medians["auto"] * 1000, 2)}


def seconds(run: Callable[[], object]) -> float:
    started = time.process_time()
    run()
    return time.process_time() - started


def following(finder: FaceFinder, repeats: int) -> dict[str, float]:
    """A look at each of two known faces in 640x480 over a look at the whole."""
    image = pictures()["640x480"]
    faces, crop = finder.detect(image), Preprocessing(96, 3, 0.5)
    small = FaceFinder(longest_px=96)
    times: dict[str, list[float]] = {"whole": [], "small": []}
    for _ in range(repeats * 4):
        times["whole"].append(seconds(lambda: finder.detect(image)))
        times["small"].append(seconds(lambda: [small.detect(crop_face(image, face.box_xyxy, crop)) for face in faces]))
    whole, known = (statistics.median(each) for each in times.values())
    return {"faces": len(faces), "over a look at the whole": round(known / whole, 2)}


def portraits(folder: Path, count: int) -> list[tuple[ImageArray, FloatArray]]:
    """Portraits and the boxes (4,) of their main faces."""
    found = [(read_image(EXAMPLES / f"{name}.jpg"), np.array(box, np.float32)) for name, box in BOXES.items()]
    held_out = read_photographs(folder, "lfw-held-out")
    for index in np.random.default_rng(0).permutation(len(held_out))[:count]:
        photograph = held_out[int(index)]
        found.append((photograph.read(), photograph.boxes_xyxy[photograph.main]))
    return found


def scenes(finders: dict[str, FaceFinder], folder: Path, count: int) -> dict[str, dict[str, int]]:
    """How many portraits are found in large scenes, and how many other faces."""
    generator, empty = np.random.default_rng(0), read_photographs(folder, "no-people-held-out")
    result = {name: {"scenes": 0, "found": 0, "other faces": 0} for name in finders}
    for image, box in portraits(folder, count):
        scene = Image.fromarray(empty[int(generator.integers(len(empty)))].read())
        scene = (scene.rotate(90, expand=True) if scene.height > scene.width else scene).resize(SCENE)
        scale = HIGH_PX / (box[3] - box[1])
        small = Image.fromarray(image).resize([round(side * scale) for side in image.shape[1::-1]])
        at = [int(generator.integers(side - own)) for side, own in zip(SCENE, small.size, strict=True)]
        scene.paste(small, (at[0], at[1]))
        truth = box * scale + np.array([*at, *at], np.float32)
        for name, finder in finders.items():
            boxes = np.array([face.box_xyxy for face in finder.detect(np.asarray(scene))], np.float32).reshape(-1, 4)
            right = overlaps(truth, boxes) >= 0.5
            result[name]["scenes"] += 1
            result[name]["found"] += int(right.any())
            result[name]["other faces"] += len(boxes) - int(right.any())
    return result


if __name__ == "__main__":
    main()

"""Stages of a 640 x 480 frame with one face: in V8 with the page's runtime, and native, on one thread each.

`python web/benchmarks/stages.py [ROUNDS]`, after scripts/web; needs node. Processor time, medians, in milliseconds; the
last line of stdout is one JSON document.
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

import mien
from mien.detection import FaceFinder
from mien.detection.options import LOOKS
from mien.preprocessing import crop_face
from mien.web.files import STATIC, write_page

WEB = Path(__file__).parents[1]


def frame() -> np.ndarray:
    portrait = Image.open(WEB.parent / "examples" / "eileen-collins.jpg").convert("RGB")
    canvas = Image.new("RGB", (640, 480), "#465a50")
    canvas.paste(portrait.crop((60, 0, 460, 400)).resize((480, 480)), (80, 0))
    return np.asarray(canvas)


def native(pixels: np.ndarray, rounds: int) -> dict[str, float]:
    recognizer = mien.Recognizer(detector=FaceFinder(longest_px=LOOKS.longest_px), threads=1)
    preprocessing = recognizer.scorer.card.preprocessing
    found: dict[str, list[float]] = {"detect": [], "crop": [], "recognize": []}
    for _ in range(rounds):
        marks = [time.process_time()]
        detections = recognizer.detector.detect(pixels)
        marks.append(time.process_time())
        crops = [crop_face(pixels, each.upright_box_xyxy, preprocessing, each.roll_degrees) for each in detections]
        marks.append(time.process_time())
        recognizer.score_faces(np.stack(crops))
        marks.append(time.process_time())
        for stage, start, end in zip(found, marks, marks[1:], strict=False):
            found[stage].append(1000 * (end - start))
    return {stage: round(statistics.median(each), 2) for stage, each in found.items()}


def in_v8(pixels: np.ndarray, rounds: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_page(folder / "page")
        (folder / "frame.raw").write_bytes(pixels.tobytes())
        bundle = [
            *("npx", "esbuild", "benchmarks/stages.ts", "--bundle", "--platform=node", "--format=esm"),
            *(
                "--conditions=onnxruntime-web-use-extern-wasm",
                f"--outfile={folder / 'stages.mjs'}",
                "--log-level=error",
            ),
        ]
        subprocess.run(bundle, cwd=WEB, check=True)
        (runtime,) = (folder / "page" / "runtime").iterdir()
        height, width = pixels.shape[:2]
        words = ["settings.json", "", f"{runtime.relative_to(folder / 'page')}/", "../frame.raw", width, height, rounds]
        command = ["node", str(folder / "stages.mjs"), *map(str, words)]
        command[3] = str(folder / "page")
        done = subprocess.run(command, cwd=folder / "page", check=True, capture_output=True, text=True)
    return {stage: round(value, 2) for stage, value in json.loads(done.stdout.splitlines()[-1]).items()}


def main() -> None:
    rounds = int((sys.argv[1:] or ["30"])[0])
    pixels, version = frame(), json.loads((STATIC / "runtime.json").read_text())["version"]
    found = {"onnxruntime-web": version, "browser_ms": in_v8(pixels, rounds), "native_ms": native(pixels, rounds)}
    print(json.dumps(found))


if __name__ == "__main__":
    main()

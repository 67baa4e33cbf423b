"""Frames a second of a video, what each stage of a frame costs, and how true boxes are where faces are looked for less.

    python benchmarks/video.py [--seconds 8] [--detector face-finder] [--out FILE]

Generated clips at 640x480 with one face: one moves evenly, as the tracker takes motion to be, one sways to and fro in
three seconds; everything on one core. True boxes are the mean of what the detector finds on the portrait, moved as the
portrait is; a frame without a box counts 0. The last line of stdout is JSON.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from moving_portraits import portraits, shift_px, write_clip

from mien import Recognizer, Video
from mien.cli.video_outputs import annotated
from mien.detection.boxes import iou
from mien.detection.face_finder import FaceFinder
from mien.drawing import draw_faces
from mien.results import Box, Face
from mien.video.tracking import TrackingOptions
from mien.video.writing import VideoFile

EVERY = (1, 2, 3, 5, 10)
REPEATS = 3


def frames_per_second(clip: Path, recognizer: Recognizer, every: int, out: Path | None = None) -> float:
    """Of reading the clip, and of writing an annotated copy with sound where `out` is given."""
    started, count = time.perf_counter(), 0
    video = Video(clip, recognizer, every)
    copy = VideoFile(out, video.rate, str(clip)) if out else None
    for frame in video:
        if copy:
            copy.write(frame.time_s, annotated(frame))
        count += 1
    if copy:
        copy.close()
    return count / (time.perf_counter() - started)


def stages(clip: Path, recognizer: Recognizer, out: Path) -> dict[str, float]:
    """Median milliseconds of a frame in which faces are looked for."""
    times: dict[str, list[float]] = defaultdict(list)
    file = VideoFile(out, Video(clip, recognizer).rate, str(clip))
    frames = Video(clip, recognizer).images()
    while True:
        marks = [time.perf_counter()]
        following = next(frames, None)
        if following is None:
            break
        time_s, image = following
        marks.append(time.perf_counter())
        detections, crops = recognizer.find_faces(image)
        marks.append(time.perf_counter())
        scores = recognizer.score_faces(crops)
        marks.append(time.perf_counter())
        faces = [
            Face(found.box_xyxy, found.score, dict(zip(recognizer.expressions, map(float, row), strict=True)))
            for found, row in zip(detections, scores, strict=True)
        ]
        drawn = draw_faces(image, faces)
        marks.append(time.perf_counter())
        file.write(time_s, drawn)
        marks.append(time.perf_counter())
        names = ("decode", "find and crop", "recognise", "draw", "encode")
        for name, first, second in zip(names, marks[:-1], marks[1:], strict=True):
            times[name].append(second - first)
    file.close()
    return {name: statistics.median(each) * 1000 for name, each in times.items()}


def overlaps(clip: Path, seconds: float, recognizer: Recognizer, swaying: bool) -> dict[str, dict[str, float]]:
    """Intersection over union of the boxes with the true ones, by how often faces are looked for."""
    width = portraits()[0].width

    def moved(box: Box, time_s: float, sign: int) -> Box:
        shift = sign * shift_px(time_s, seconds, width, swaying)
        return (box[0] + shift, box[1], box[2] + shift, box[3])

    options = TrackingOptions(confirmed_s=0)
    found: dict[int, list[tuple[float, Box | None]]] = {
        every: [
            (frame.time_s, frame.faces[0].face.box_xyxy if frame.faces else None)
            for frame in Video(clip, recognizer, every, options)
        ]
        for every in EVERY
    }
    x0, y0, x1, y1 = np.mean([moved(box, time_s, -1) for time_s, box in found[1] if box], axis=0)
    result = {}
    for every, boxes in found.items():
        values = [
            float(iou(moved((float(x0), float(y0), float(x1), float(y1)), time_s, 1), [box])[0]) if box else 0.0
            for time_s, box in boxes
        ]
        result[str(every)] = {"frames": len(values), "mean": float(np.mean(values)), "smallest": min(values)}
    return result


def small_looks(clip: Path, recognizer: Recognizer) -> dict[str, float]:
    """What a look around a face known from the frame before costs against one at the whole frame, and what it finds.

    The window has 2.5 times the face's longer side and is looked at with 96 pixels; the box is held against that of the
    look at the whole frame. Recognition costs the same after both. Times are those of the processor.
    """
    whole, around = FaceFinder(longest_px=416), FaceFinder(longest_px=96)
    times: dict[str, list[float]] = defaultdict(list)
    overlaps: list[float] = []
    known: Box | None = None
    for _, image in Video(clip, recognizer).images():
        marks = [time.process_time()]
        found = whole.detect(image)
        marks.append(time.process_time())
        if known and found:
            (x0, y0, x1, y1), side = known, 1.25 * max(known[2] - known[0], known[3] - known[1])
            left, top = (max(0, round((low + high) / 2 - side)) for low, high in ((x0, x1), (y0, y1)))
            window = np.ascontiguousarray(image[top : top + round(2 * side), left : left + round(2 * side)])
            seen = around.detect(window)
            marks.append(time.process_time())
            boxes = [np.add(each.box_xyxy, (left, top, left, top)) for each in seen]
            overlaps.append(max((float(iou(found[0].box_xyxy, [box])[0]) for box in boxes), default=0.0))
            recognizer.score_faces(recognizer.crop(image)[None])
            marks.append(time.process_time())
            for name, first, second in zip(("whole", "around", "network"), marks[:-1], marks[1:], strict=True):
                times[name].append(second - first)
        known = found[0].box_xyxy if found else None
    milliseconds = {f"{name} ms": 1000 * statistics.median(each) for name, each in times.items()}
    return {
        **milliseconds,
        "whole against around": milliseconds["whole ms"] / milliseconds["around ms"],
        "overlap of boxes, mean": float(np.mean(overlaps)),
        "faces lost": float(np.mean(np.array(overlaps) < 0.5)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--detector", default="face-finder")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--small-looks", action="store_true", help="only measure looks around known faces")
    wanted = parser.parse_args()
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # decoders and x264 start threads of their own
    recognizer = Recognizer(detector=wanted.detector, threads=1)
    with tempfile.TemporaryDirectory() as folder:
        clip, swaying, out = (Path(folder) / f"{name}.mp4" for name in ("clip", "swaying", "out"))
        write_clip(clip, wanted.seconds, people=1)
        write_clip(swaying, wanted.seconds, people=1, swaying=True)
        if wanted.small_looks:
            print(json.dumps({each.stem: small_looks(each, recognizer) for each in (clip, swaying)}))
            return
        rates: dict[str, list[float]] = defaultdict(list)
        for _ in range(REPEATS):
            for every in EVERY:
                rates[f"every {every}"].append(frames_per_second(clip, recognizer, every))
            for every in (1, 5):
                rates[f"every {every}, with writing"].append(frames_per_second(clip, recognizer, every, out))
        milliseconds = stages(clip, recognizer, out)
        true = overlaps(clip, wanted.seconds, recognizer, False)
        true_swaying = overlaps(swaying, wanted.seconds, recognizer, True)
    document: dict[str, Any] = {
        "detector": wanted.detector,
        "frames_per_second": {name: round(statistics.median(each), 1) for name, each in rates.items()},
        "milliseconds": {name: round(value, 3) for name, value in milliseconds.items()},
        "overlap_with_true_boxes": true,
        "overlap_with_true_boxes_swaying": true_swaying,
    }
    for name, value in document["frames_per_second"].items():
        print(f"{name}: {value:.1f} frames a second", file=sys.stderr)
    if wanted.out:
        wanted.out.parent.mkdir(parents=True, exist_ok=True)
        wanted.out.write_text(json.dumps(document, indent=1) + "\n")
    print(json.dumps(document))


if __name__ == "__main__":
    main()

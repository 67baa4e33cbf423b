"""What a frame of a video costs, stage by stage, and how far boxes drift where faces are looked for less often.

    python benchmarks/video.py [--seconds 8] [--out FILE]

A generated clip at 640x480 with one face that moves; everything on one core. The last line of stdout is JSON.
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

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from clips import write_clip

from mien import Recognizer, Video
from mien.drawing import draw_faces
from mien.results import Face, intersection_over_union
from mien.tracking import People, TrackingOptions, between, follow
from mien.video_file import VideoFile

EVERY = (2, 3, 5, 10)


def stages(clip: Path, recognizer: Recognizer, out: Path) -> dict[str, float]:
    """Median milliseconds of a frame."""
    times: dict[str, list[float]] = defaultdict(list)
    people, options = People(), TrackingOptions()
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
        people, tracked = follow(people, faces, time_s, options)
        marks.append(time.perf_counter())
        annotated = draw_faces(image, [each.face for each in tracked])
        marks.append(time.perf_counter())
        file.write(time_s, annotated)
        marks.append(time.perf_counter())
        names = ("decode", "find and crop", "recognise", "", "draw", "encode")
        for name, first, second in zip(names, marks[:-1], marks[1:], strict=True):
            times[name].append(second - first)
    file.close()
    return {name: statistics.median(each) * 1000 for name, each in times.items() if name}


def drift(clip: Path, recognizer: Recognizer) -> dict[str, dict[str, float]]:
    """Overlap of boxes moved on between looks with those found in the same frame."""
    found = [(time_s, recognizer.recognize(image)) for time_s, image in Video(clip, recognizer).images()]
    result = {}
    for every in EVERY:
        people, overlaps = People(), []
        for number, (time_s, faces) in enumerate(found):
            if number % every == 0:
                people, _ = follow(people, faces, time_s, TrackingOptions())
                continue
            overlaps += [
                max(intersection_over_union(each.face.box_xyxy, face.box_xyxy) for face in faces)
                for each in between(people, time_s)
                if faces
            ]
        result[str(every)] = {"mean_overlap": float(np.mean(overlaps)), "smallest": float(np.min(overlaps))}
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--detector", default="haar")
    parser.add_argument("--out", type=Path)
    wanted = parser.parse_args()
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # decoders and x264 start threads of their own
    recognizer = Recognizer(detector=wanted.detector, threads=1)
    with tempfile.TemporaryDirectory() as folder:
        clip = Path(folder) / "clip.mp4"
        write_clip(clip, wanted.seconds, people=1)
        milliseconds = stages(clip, recognizer, Path(folder) / "out.mp4")
        drifts = drift(clip, recognizer)
    looking = milliseconds["decode"] + milliseconds["find and crop"] + milliseconds["recognise"]
    document = {
        "detector": wanted.detector,
        "milliseconds": {name: round(value, 3) for name, value in milliseconds.items()},
        "frames_per_second": {
            f"faces in every {every}. frame": round(
                1000 / (milliseconds["decode"] + (looking - milliseconds["decode"]) / every), 1
            )
            for every in (1, *EVERY)
        },
        "with_writing": round(1000 / (looking + milliseconds["draw"] + milliseconds["encode"]), 1),
        "drift": drifts,
    }
    for name, value in milliseconds.items():
        print(f"{name}: {value:.2f} ms", file=sys.stderr)
    if wanted.out:
        wanted.out.write_text(json.dumps(document, indent=1) + "\n")
    print(json.dumps(document))


if __name__ == "__main__":
    main()

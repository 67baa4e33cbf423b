"""What the benchmarks measured, as tables in Markdown: each function takes a report that a benchmark wrote."""

from itertools import pairwise
from pathlib import Path
from typing import Any

from mien.evaluation.comparison import read_report
from mien.evaluation.markdown import markdown_table
from mien.evaluation.series_tables import NOT_RUN, NOTHING, relative_speeds

Values = dict[str, Any]

DETECTOR_MEASURES = (
    "average_precision_all",
    "average_precision_bare",
    "average_precision_masked",
    "recall",
    "recall_20_to_32_px",
    "recall_32_to_48_px",
    "recall_48_to_96_px",
    "recall_from_96_px",
    "precision",
    "calibration_error",
    "landmark_error",
    "portraits_with_landmarks",
)
FOUND_BY = {
    "face-finder_aligned": "face-finder, turned upright",
    "face-finder_as_they_lean": "face-finder, as they lean",
    "haar_aligned": "haar, turned by the angle it was found at",
    "haar_as_they_lean": "haar, as they lean",
}
"""How framing.py cut faces out."""


def with_interval(values: Values, key: str) -> str:
    """A measure and its interval, short."""
    low, high = values[f"{key}_interval"]
    return f"{values[key]:.4f} [{low:.3f}, {high:.3f}]"


def clustering_table(values: Values) -> str:
    """A row for each number of embeddings (clustering.py), and how time and memory grow from row to row."""
    runs = values["runs"]
    rows = [
        [
            f"{run['count']:,}",
            f"{run['search_seconds']:.1f}",
            f"{run['cluster_seconds']:.1f}",
            f"{run['peak_bytes'] / 1e9:.2f} GB",
            ", ".join(f"{run['against_truth'][name]:.3f}" for name in ("precision", "recall", "f1")),
        ]
        for run in runs
    ]
    seconds = [run["search_seconds"] + run["cluster_seconds"] for run in runs]
    bytes_ = [run["peak_bytes"] for run in runs]
    times, memory = (
        " and ".join(f"{after / before:.0f}" for before, after in pairwise(each)) for each in (seconds, bytes_)
    )
    first = runs[0]
    heading = ["embeddings", "seconds to search", "to cluster", "peak memory", "pairwise precision, recall, F1"]
    return (
        f"{markdown_table(heading, rows)}\n\nFrom row to row, time grows {times} times, memory {memory} times. On the "
        f"first row, the approximate index finds {first['recall_of_neighbours']:.3f} of the neighbours; the clusters "
        f"agree with those from exact neighbours by a pairwise F1 of {first['against_exact']['f1']:.3f} "
        f"(exact ones against the truth: {first['exact_against_truth']['f1']:.3f})."
    )


def forms_table(values: Values, file: Path, trained: dict[str, Path]) -> str:
    """A row for each form of a network in the file of forms.py; trained: the reports of those that were trained."""
    relative = relative_speeds(file)
    return markdown_table(
        ["form", "parameters", "multiply-adds", "time for a face, relative", "training speed, relative", "accuracy"],
        (
            [
                name,
                f"{form['parameters']:,}",
                f"{form['multiply_adds'] / 1e6:.1f} M",
                *relative[name],
                with_interval(read_report(trained[name]), "accuracy") if name in trained else NOT_RUN,
            ]
            for name, form in values.items()
        ),
    )


def detectors_table(values: Values) -> str:
    """A row for each measure of `mien evaluate-detector`, a column for each detector; times relative to the first."""
    found: dict[str, dict[str, dict[str, float | None]]] = values["detectors"]
    fastest = values["detectors"][next(iter(found))]["640x480"]["latency_ms"]
    rows = [
        [
            f"{part}: {measure.replace('_', ' ')}",
            *(NOTHING if (value := each[part][measure]) is None else f"{value:.3f}" for each in found.values()),
        ]
        for part, measures in next(iter(found.values())).items()
        for measure in DETECTOR_MEASURES
        if measure in measures
    ]
    hits = (f"{each['no-people-held-out']['false_faces_on_100_pictures']:.1f}" for each in found.values())
    times = (f"{each['640x480']['latency_ms'] / fastest:.1f}" for each in values["detectors"].values())
    rows += [["false faces on 100 photographs without people", *hits], ["time at 640x480, relative", *times]]
    return f"{values['protocol']}\n\n{markdown_table(['', *found], rows)}"


def found_faces_table(values: Values) -> str:
    """A row for each network and way to find faces: accuracy on their crops (framing.py); below, by margin."""
    rows, notes = [], []
    for model, measured in values["accuracy"].items():
        for way, name in FOUND_BY.items():
            keys = ("found", "where_it_finds", "whole_there", "where_both_find")
            rows.append([f"{model}, {measured['dataset']}", name, *(f"{measured[way][key]:.4f}" for key in keys)])
        low, high = measured["interval"]
        by_margin = (
            f"{FOUND_BY[way]} {', '.join(f'{accuracy:.4f}' for accuracy in found.values())}"
            for way, found in measured["where_both_find_by_margin"].items()
        )
        notes.append(
            f"{model}, the {measured['both_find']} images where both find a face, by margin "
            f"({', '.join(measured['where_both_find_by_margin']['haar_aligned'])}): {'; '.join(by_margin)}. "
            f"face-finder at its margin ({measured['margin']}) minus Haar at its best: "
            f"{measured['face_finder_minus_haar_at_its_best']:+.4f} [{low:+.4f}, {high:+.4f}]."
        )
    heading = ["network", "crops", "images with a face", "accuracy on these", "whole pictures there"]
    return "\n\n".join([markdown_table([*heading, "where both find one"], rows), *notes])


def proposals_table(values: Values) -> str:
    """A row for each guidance (judge-labels --proposals): the labels it makes from the same first networks."""
    return markdown_table(
        ["labels by", "share of the faces that get one", "right by FER2013", "right by FERPlus"],
        (
            [
                name,
                f"{judged['fer2013']['coverage']:.3f}",
                *(f"{judged[kind]['precision']:.3f}" for kind in ("fer2013", "ferplus")),
            ]
            for name, judged in values["proposals"].items()
        ),
    )


def video_table(values: Values, hour: Values) -> str:
    """A row for each rate of looking for faces (video.py); below, the stages of a frame, and memory (long_video.py)."""
    rates = values["frames_per_second"]
    rows = []
    for every, overlap in values["overlap_with_true_boxes"].items():
        swaying = values["overlap_with_true_boxes_swaying"][every]
        writing = rates.get(f"every {every}, with writing")
        rows.append(
            [
                "every frame" if every == "1" else f"one of {every} frames",
                f"{rates[f'every {every}']:.0f}",
                NOTHING if writing is None else f"{writing:.0f}",
                f"{overlap['mean']:.3f}, {overlap['smallest']:.3f}",
                f"{swaying['mean']:.3f}, {swaying['smallest']:.3f}",
            ]
        )
    stages = ", ".join(f"{name} {time:.1f}" for name, time in values["milliseconds"].items())
    heading = ["faces looked for in", "frames a second", "with an annotated copy"]
    heading += ["overlap with true boxes, mean, smallest", "of a face that sways"]
    return (
        f"{markdown_table(heading, rows)}\n\nMilliseconds of a frame in which faces are looked for: {stages}. "
        f"Memory over {hour['minutes']} minutes: {hour['peak_mb_after_a_minute']:.0f} MB at most in the first minute, "
        f"{hour['peak_mb_at_the_end']:.0f} MB until the end ({hour['growth']:+.1%})."
    )

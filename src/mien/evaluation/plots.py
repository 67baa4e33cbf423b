"""Pictures of trainings and evaluations, by matplotlib (the `train` extra)."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import MissingExtraError
from mien.evaluation.series import Row, report_name
from mien.evaluation.series_tables import SeriesReports
from mien.signature import signed

try:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
except ImportError as error:
    raise MissingExtraError(
        "pictures of curves and confusion matrices need matplotlib; install it with: pip install 'mien[train]'"
    ) from error


def draw_curves(history: list[dict[str, float]], title: str, file: Path, selected_by: str = "accuracy") -> None:
    """Write the curves of a training's log as a PNG: losses, and what the best epoch was selected by."""
    figure = Figure(figsize=(10, 4), layout="constrained")
    figure.suptitle(title)
    for axes, quantity in zip(figure.subplots(1, 2), ("loss", selected_by), strict=True):
        for part in ("training", "selection"):
            measured = [row for row in history if f"{part}_{quantity}" in row]
            if measured:
                axes.plot(
                    [row["epoch"] for row in measured], [row[f"{part}_{quantity}"] for row in measured], label=part
                )
        axes.set_xlabel("epoch")
        axes.set_ylabel(quantity.replace("_", " "))
        axes.grid(alpha=0.3)
        if axes.lines:
            axes.legend()
    if selected := [row for row in history if f"selection_{selected_by}" in row]:
        _mark_best(axes, selected, f"selection_{selected_by}")
    figure.savefig(file, dpi=120, format="png", pil_kwargs={"exif": signed()})


def _mark_best(axes: Axes, history: list[dict[str, float]], column: str) -> None:
    best = max(reversed(history), key=lambda row: row[column])  # of equal ones the last, as is saved
    axes.plot(best["epoch"], best[column], "o", color="black")
    axes.annotate(
        f"{best[column]:.4f}",
        (best["epoch"], best[column]),
        textcoords="offset points",
        xytext=(0, 6),
        ha="center",
    )


def draw_confusion_matrix(matrix: NDArray[np.int64], names: Sequence[str], title: str, file: Path) -> None:
    """Write a confusion matrix (K, K) as a PNG: shades are shares of the true class, numbers are counts."""
    shares = matrix / np.maximum(1, matrix.sum(axis=1, keepdims=True))
    side = 2.5 + 0.75 * len(names)
    figure = Figure(figsize=(side, side), layout="constrained")
    axes = figure.subplots()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set_title(title, fontsize=10)
    axes.set_xticks(range(len(names)), names, rotation=45, ha="right")
    axes.set_yticks(range(len(names)), names)
    axes.set_xlabel("answer")
    axes.set_ylabel("label")
    for row in range(len(names)):
        for column in range(len(names)):
            axes.text(
                column,
                row,
                f"{matrix[row, column]}\n{shares[row, column]:.0%}",
                ha="center",
                va="center",
                fontsize=8,
                color="white" if shares[row, column] > 0.5 else "black",
            )
    figure.savefig(file, dpi=120, format="png", pil_kwargs={"exif": signed()})


def draw_reliability(report: Mapping[str, Any], file: Path) -> None:
    """Write a report's accuracy against confidence as a PNG.

    Each bin of confidence has a point with its 95 % interval, and below, its number of faces.
    """
    bins = report["reliability"]
    filled = [(place, found) for place, found in enumerate(bins) if found["count"]]
    counts, confidences, accuracies = (
        np.array([found[key] for _, found in filled], float) for key in ("count", "mean_confidence", "accuracy")
    )
    figure = Figure(figsize=(6, 7.2), layout="constrained")
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    top.set_title(_title(report, "ECE", "ece"), fontsize=10)
    top.plot([0, 1], [0, 1], "--", color="grey", label="right as often as it says")
    top.vlines(confidences, confidences, accuracies, color="tab:red", linewidth=5, alpha=0.5, label="gap")
    around = np.abs(_wilson_interval(accuracies, counts) - accuracies)
    top.errorbar(confidences, accuracies, around, fmt="o", color="tab:blue", capsize=3, label="accuracy, 95 % interval")
    top.text(0.03, 0.93, "not sure enough", color="grey")
    top.text(0.99, 0.05, "too sure", color="grey", ha="right")
    top.set_ylabel("accuracy")
    top.set_ylim(0, 1.02)
    figure.legend(loc="outside lower center", ncols=3, fontsize=9)
    width = 1 / len(bins)
    middles = [(place + 0.5) * width for place, _ in filled]
    bottom.bar(middles, counts, width, color="tab:blue", alpha=0.5, edgecolor="white")
    for middle, count in zip(middles, counts, strict=True):
        above = (0, 2)
        bottom.annotate(f"{count:.0f}", (middle, count), above, textcoords="offset points", ha="center", fontsize=7)
    bottom.margins(y=0.2)
    bottom.set_xlim(0, 1.02)
    bottom.set_xlabel("confidence: probability of the answer")
    bottom.set_ylabel("faces")
    for axes in (top, bottom):
        axes.set_axisbelow(True)
        axes.grid(alpha=0.3)
    figure.savefig(file, dpi=120, format="png", pil_kwargs={"exif": signed()})


def _wilson_interval(shares: NDArray[np.float64], counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """The 95 % intervals (2, B) of shares (B,) of counts (B,); Wilson, JASA 1927."""
    z = 1.96
    middle = (shares + z * z / (2 * counts)) / (1 + z * z / counts)
    half = z / (1 + z * z / counts) * np.sqrt(shares * (1 - shares) / counts + z * z / (4 * counts**2))
    interval: NDArray[np.float64] = np.stack((middle - half, middle + half))
    return interval


def draw_risk_coverage(report: Mapping[str, Any], file: Path) -> None:
    """Write a report's error on the most confident faces against the share of faces kept, as a PNG.

    Every other point is marked with the confidence of the last face kept.
    """
    points = report["risk_coverage"]
    coverages = [point["coverage"] for point in points]
    errors = [1 - point["accuracy"] for point in points]
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    axes.set_title(_title(report, "accuracy", "accuracy"), fontsize=10)
    axes.plot(coverages, errors, "o-", color="tab:blue", markersize=4)
    for point, coverage, error in list(zip(points, coverages, errors, strict=True))[1::2]:
        axes.annotate(
            f"{point['confidence']:.2f}", (coverage, error), (0, 6), textcoords="offset points", ha="right", fontsize=8
        )
    axes.set_xlabel("share of faces kept, the most confident first; numbers: confidence of the last one kept")
    axes.set_ylabel("error of the faces kept")
    axes.set_xlim(0, 1.02)
    axes.set_ylim(0, 1.15 * max(*errors, 0.01))
    axes.grid(alpha=0.3)
    figure.savefig(file, dpi=120, format="png", pil_kwargs={"exif": signed()})


def _title(report: Mapping[str, Any], measure: str, key: str) -> str:
    return f"{report['model']} on {report['dataset']} {report['split']}: {measure} {report[key]:.3f}"


def draw_series(rows: Sequence[Row], reports: SeriesReports, file: Path) -> None:
    """Write the PublicTest accuracies of the rows of a table as a PNG, with their intervals; a dot for each seed."""
    figure = Figure(figsize=(9, 0.9 + 0.55 * len(rows)), layout="constrained")
    axes = figure.subplots()
    for place, row in enumerate(rows):
        for report, offset in zip(reports.found[report_name(row.arm, row.form)].values(), (0, 0.3, 0.6), strict=False):
            low, high = report["accuracy_interval"]
            axes.plot([low, high], [place + offset] * 2, color="tab:blue", alpha=0.5)
            axes.plot(report["accuracy"], place + offset, "o", color="tab:blue")
            axes.annotate(
                f"{report['accuracy']:.3f}",
                (high, place + offset),
                xytext=(5, -3),
                textcoords="offset points",
                fontsize=8,
            )
    axes.set_yticks(range(len(rows)), [row.title for row in rows])
    axes.margins(x=0.12, y=0.12)
    axes.invert_yaxis()
    axes.set_xlabel("PublicTest accuracy after a short schedule, 95 % bootstrap interval; a dot a seed")
    axes.grid(axis="x", alpha=0.3)
    figure.savefig(file, dpi=120, format="png", pil_kwargs={"exif": signed()})

"""Pictures of trainings and evaluations, by matplotlib (the `train` extra)."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.errors import MissingExtraError

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
    figure.savefig(file, dpi=120)


def _mark_best(axes: Axes, history: list[dict[str, float]], column: str) -> None:
    best = max(history, key=lambda row: row[column])
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
    figure.savefig(file, dpi=120)

"""The picture of a training: loss and accuracy over epochs."""

from pathlib import Path


def draw_curves(history: list[dict[str, float]], title: str, file: Path) -> None:
    """Write the curves of a training's log as a PNG."""
    from matplotlib.figure import Figure

    epochs = [row["epoch"] for row in history]
    figure = Figure(figsize=(10, 4), layout="constrained")
    figure.suptitle(title)
    for axes, quantity in zip(figure.subplots(1, 2), ("loss", "accuracy"), strict=True):
        for part in ("training", "selection"):
            axes.plot(epochs, [row[f"{part}_{quantity}"] for row in history], label=part)
        axes.set_xlabel("epoch")
        axes.set_ylabel(quantity)
        axes.grid(alpha=0.3)
    best = max(history, key=lambda row: row["selection_accuracy"])
    axes.plot(best["epoch"], best["selection_accuracy"], "o", color="black")
    axes.annotate(
        f"{best['selection_accuracy']:.4f}",
        (best["epoch"], best["selection_accuracy"]),
        textcoords="offset points",
        xytext=(0, 6),
        ha="center",
    )
    axes.legend()
    figure.savefig(file, dpi=120)

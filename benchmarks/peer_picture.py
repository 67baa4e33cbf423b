"""Accuracy against time and against size, as a picture: which systems no other beats in both."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from matplotlib.transforms import Bbox

PANELS = {
    "processor_1_ms": ("processor time for one face, ms", 1.0),
    "model_bytes": ("file of the network, MB", 1e6),
}
"""What accuracy is drawn against: the label, and the unit's size."""
KINDS = {
    "packaged": ("mien, packaged", "o", "#1f5fa8"),
    "own": ("mien, other files", "D", "#5aa02c"),
    "peer": ("other packages", "s", "#c4541a"),
}
"""Legend, marker and colour of a kind."""
FRONT = "most accurate at this cost or less"
BEHIND = {"boxstyle": "square,pad=0.1", "facecolor": "white", "edgecolor": "none", "alpha": 0.75}
NAME: dict[str, Any] = {"va": "center", "size": 10.5, "zorder": 3, "bbox": BEHIND}
"""How a name is written: over lines, which do not cross it out, and under points."""
PLACES = ((9, 0, "left"), (-9, 0, "right"), (0, 12, "center"), (0, -12, "center"), (9, 13, "left"), (9, -13, "left"))
"""Where a name may stand beside its point: offsets in points and alignment, the first that is free."""


def draw(found: dict[str, Any], file: Path) -> None:
    """Write the picture (PNG) of a document of peers.py; systems without a measured accuracy are left out."""
    systems = {name: row for name, row in found["systems"].items() if "accuracy" in row}
    figure = Figure(figsize=(10, 4.4), layout="constrained")
    first, second = figure.subplots(1, 2, sharey=True)
    for axes, (quantity, (label, unit)) in zip((first, second), PANELS.items(), strict=True):
        draw_panel(axes, systems, quantity, unit)
        axes.set_xlabel(label, fontsize=11)
    first.set_ylabel("accuracy", fontsize=11)
    handles, legends = first.get_legend_handles_labels()
    figure.legend(handles, legends, loc="outside lower center", ncols=len(legends), fontsize=10.5, frameon=False)
    pictures = sorted({row["n"] for row in systems.values()})
    count = " to ".join(f"{each:,}" for each in pictures)
    figure.suptitle(f"{found['dataset']} {found['split']}, {count} faces (bars: 95 % intervals)", fontsize=12)
    figure.draw_without_rendering()  # so that the places on the picture are known
    for axes, (quantity, (_, unit)) in zip((first, second), PANELS.items(), strict=True):
        write_names(axes, {name: (row[quantity] / unit, row["accuracy"]) for name, row in systems.items()})
    figure.savefig(file, dpi=150)


def draw_panel(axes: Axes, systems: dict[str, dict[str, Any]], quantity: str, unit: float) -> None:
    """One panel: points with their intervals and names, and the line of those that none beats in both."""
    places = {name: (row[quantity] / unit, row["accuracy"]) for name, row in systems.items()}
    axes.set_xscale("log")
    best = list(front(places.values()))
    axes.step(*zip(*best, strict=True), where="post", color="0.6", linestyle="--", linewidth=1, zorder=1, label=FRONT)
    for kind, (legend, marker, colour) in KINDS.items():
        names = [name for name, row in systems.items() if row["kind"] == kind]
        if names:
            x, y = zip(*(places[name] for name in names), strict=True)
            low, high = zip(*(systems[name]["accuracy_interval"] for name in names), strict=True)
            below, above = ([abs(a - b) for a, b in zip(y, ends, strict=True)] for ends in (low, high))
            axes.errorbar(x, y, (below, above), fmt="none", ecolor=colour, elinewidth=1.2, alpha=0.5, zorder=2)
            axes.plot(x, y, marker, color=colour, markersize=8, label=legend, zorder=4)
    axes.margins(x=0.3, y=0.12)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_tick_params(labelsize=10)
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.grid(alpha=0.25)


def front(places: Iterable[tuple[float, float]]) -> Iterator[tuple[float, float]]:
    """The points (cost, accuracy) that are more accurate than every point of the same cost or less, by cost."""
    highest = float("-inf")
    for cost, accuracy in sorted(places, key=lambda place: (place[0], -place[1])):
        if accuracy > highest:
            highest = accuracy
            yield cost, accuracy


def write_names(axes: Axes, places: dict[str, tuple[float, float]]) -> None:
    """A name beside each point, where it covers neither another name nor a point."""
    points = [axes.transData.transform(place) for place in places.values()]
    taken = [Bbox.from_bounds(x - 7, y - 7, 14, 14) for x, y in points]
    for name, place in places.items():
        for x, y, alignment in PLACES:
            text = axes.annotate(name, place, (x, y), textcoords="offset points", ha=alignment, **NAME)
            box = text.get_window_extent()
            inside = axes.bbox.x0 <= box.x0 and box.x1 <= axes.bbox.x1
            if inside and not any(box.overlaps(other) for other in taken):
                break
            if (x, y, alignment) != PLACES[-1]:
                text.remove()
        taken.append(box)

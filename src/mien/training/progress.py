"""What a person sees of a training: a bar, or a line now and then; a line for each epoch; a csv log."""

import csv
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from torch import Tensor

from mien.atomic import replacing
from mien.progress_bar import NO_COUNT, ProgressBar, duration

ESTIMATED_AFTER_STEPS = 4


class Progress:
    """Tells an estimate after a few steps, then epoch, step, loss, images/s and the time left.

    costs: the relative time of each epoch, which differs where input sizes do.
    """

    def __init__(self, costs: Sequence[float], steps_per_epoch: int) -> None:
        self._costs, self._steps = costs, steps_per_epoch
        self._bar: ProgressBar | None = None
        self._whole = 0.0
        self._epoch = self._step = self._steps_timed = self._images = 0
        self._loss_sum: Tensor | None = None

    def __enter__(self) -> "Progress":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar:
            self._bar.__exit__(kind, error, trace)

    def _work_left(self) -> float:
        """Cost of the steps after this one, in steps of cost 1."""
        return (
            self._costs[self._epoch] * (self._steps - self._step - 1)
            + sum(self._costs[self._epoch + 1 :]) * self._steps
        )

    def step(self, epoch: int, step: int, images: int, loss_sum: Tensor) -> None:
        """Called after each step of `images` faces; reads the loss from the device only when a line is due."""
        self._epoch, self._step, self._images, self._loss_sum = epoch, step, images, loss_sum
        if self._bar is None:  # the first step also allocates
            self._whole = self._work_left()
            self._bar = ProgressBar(self._whole, self._title, NO_COUNT)
            return
        self._bar.advance(self._whole - self._work_left())
        self._steps_timed += 1
        if self._steps_timed == ESTIMATED_AFTER_STEPS and self._bar.pace_s is not None:
            left = duration(self._bar.pace_s * self._work_left())
            self._bar.tell(f"{len(self._costs) - epoch} epochs of {self._steps} steps: about {left}")

    def _title(self) -> str:
        """Where the training is."""
        assert self._loss_sum is not None
        parts = [
            f"epoch {self._epoch + 1}/{len(self._costs)}",
            f"step {self._step + 1}/{self._steps}",
            f"loss {self._loss_sum.item() / (self._step + 1):.4f}",
        ]
        if self._bar and self._bar.pace_s:
            parts.append(f"{self._images / (self._bar.pace_s * self._costs[self._epoch]):.0f} images/s")
        return "  ".join(parts)

    def epoch(self, row: dict[str, float]) -> None:
        """Called after each epoch with its row of the log."""
        found = [
            f"{name.removeprefix('selection_').replace('_', ' ')} {value:.4f}"
            for name, value in row.items()
            if name.startswith("selection_") and name != "selection_loss"
        ]
        selected = f"  selection: {', '.join(found)}" if found else ""
        assert self._bar is not None  # an epoch has steps
        self._bar.tell(f"epoch {row['epoch']:.0f}/{len(self._costs)}  loss {row['training_loss']:.4f}{selected}")


def write_log(file: Path, history: list[dict[str, float]]) -> None:
    """Write the log of all epochs so far as csv, atomically."""
    columns = list(dict.fromkeys(name for row in history for name in row))  # some epochs may not be measured
    with replacing(file) as temporary, temporary.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, fieldnames=columns)
        writer.writeheader()
        writer.writerows(history)

"""What a person sees of a training: one live line on a terminal, a line now and then elsewhere, a csv log."""

import csv
import os
import sys
import time
from pathlib import Path
from types import TracebackType

from torch import Tensor

SECONDS_BETWEEN_LINES = 30.0
SECONDS_BETWEEN_UPDATES = 0.5


class Progress:
    """Writes progress to stderr: epoch, step, loss, images/s, time left."""

    def __init__(self, epochs: int, steps_per_epoch: int) -> None:
        self._epochs, self._steps = epochs, steps_per_epoch
        self._terminal = sys.stderr.isatty()
        self._shown = self._started = time.perf_counter()
        self._first: int | None = None

    def __enter__(self) -> "Progress":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._terminal:
            print(file=sys.stderr)

    def estimate(self, seconds_per_epoch: float, epochs: int) -> None:
        """Tell, before it starts, how long the training will take."""
        print(
            f"{epochs} epochs of {self._steps} steps: about {duration(seconds_per_epoch)} an epoch, "
            f"{duration(seconds_per_epoch * epochs)} in all",
            file=sys.stderr,
            flush=True,
        )
        self._started = time.perf_counter()

    def step(
        self, epoch: int, step: int, steps: int, images: int, loss_sum: Tensor, seen: int
    ) -> None:
        """Called after each step; reads the loss from the device only when a line is due."""
        position = epoch * steps + step
        if self._first is None:
            self._first, self._started = position, time.perf_counter()
            return
        now = time.perf_counter()
        if now - self._shown < (
            SECONDS_BETWEEN_UPDATES if self._terminal else SECONDS_BETWEEN_LINES
        ):
            return
        self._shown = now
        done = position - self._first
        per_step = (now - self._started) / done
        left = per_step * (self._epochs * steps - position - 1)
        self._write(
            f"epoch {epoch + 1}/{self._epochs}  step {step + 1}/{steps}  loss {loss_sum.item() / seen:.4f}  "
            f"{images / per_step:.0f} images/s  {duration(left)} left"
        )

    def epoch(self, row: dict[str, float]) -> None:
        """Called after each epoch with its row of the log."""
        self._write(
            f"epoch {row['epoch']:.0f}/{self._epochs}  loss {row['training_loss']:.4f}  "
            f"selection: accuracy {row['selection_accuracy']:.4f}, "
            f"mean class accuracy {row['selection_mean_class_accuracy']:.4f}",
            keep=True,
        )

    def _write(self, text: str, keep: bool = False) -> None:
        if self._terminal:
            print(f"\r\x1b[K{text}", end="\n" if keep else "", file=sys.stderr, flush=True)
        else:
            print(text, file=sys.stderr, flush=True)


def duration(seconds: float) -> str:
    """Seconds as a person says them: 42 s, 12 min, 3 h 05 min."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def write_log(file: Path, history: list[dict[str, float]]) -> None:
    """Write the log of all epochs so far as csv, atomically."""
    temporary = file.with_name(file.name + ".part")
    with temporary.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, fieldnames=list(history[0]))
        writer.writeheader()
        writer.writerows(history)
    os.replace(temporary, file)

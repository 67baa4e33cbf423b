"""What a person sees of a training: lines in the log of the library, and a csv of all epochs."""

import csv
import logging
import time
from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

from mien.atomic import replacing

LOGGER = logging.getLogger("mien")
SECONDS_BETWEEN_LINES = 30.0
SECONDS_BETWEEN_UPDATES = 0.5
ESTIMATED_AFTER_STEPS = 4


class Progress:
    """Logs progress: an estimate after a few steps, then now and then epoch, step, loss, images/s, time left.

    The lines between two epochs are marked as `live`; on level DEBUG there are more of them, for a terminal.
    costs: the relative time of each epoch, which differs where input sizes do.
    """

    def __init__(self, costs: Sequence[float], steps_per_epoch: int) -> None:
        self._costs, self._steps = costs, steps_per_epoch
        self._logged = self._shown = self._started = time.perf_counter()
        self._first: tuple[int, int] | None = None
        self._steps_timed = 0

    def _work_left(self, epoch: int, step: int) -> float:
        """Cost of the steps after a step, in steps of cost 1."""
        return self._costs[epoch] * (self._steps - step - 1) + sum(self._costs[epoch + 1 :]) * self._steps

    def step(self, epoch: int, step: int, images: int, loss_sum: Tensor) -> None:
        """Called after each step of `images` faces; reads the loss from the device only when a line is due."""
        now = time.perf_counter()
        if self._first is None:  # the first step also allocates
            self._first = (epoch, step)
            self._logged = self._shown = self._started = now
            return
        self._steps_timed += 1
        if self._steps_timed == ESTIMATED_AFTER_STEPS:
            left = self._work_left(epoch, step)
            whole = (now - self._started) / (self._work_left(*self._first) - left) * left
            epochs = len(self._costs) - epoch
            LOGGER.info("%s epochs of %s steps: about %s", epochs, self._steps, duration(whole))
        due = now - self._logged >= SECONDS_BETWEEN_LINES
        if not due and (now - self._shown < SECONDS_BETWEEN_UPDATES or not LOGGER.isEnabledFor(logging.DEBUG)):
            return
        self._shown, self._logged = now, now if due else self._logged
        left = self._work_left(epoch, step)
        per_work = (now - self._started) / (self._work_left(*self._first) - left)
        LOGGER.log(
            logging.INFO if due else logging.DEBUG,
            f"epoch {epoch + 1}/{len(self._costs)}  step {step + 1}/{self._steps}  "
            f"loss {loss_sum.item() / (step + 1):.4f}  {images / (per_work * self._costs[epoch]):.0f} images/s  "
            f"{duration(per_work * left)} left",
            extra={"live": True},
        )

    def epoch(self, row: dict[str, float]) -> None:
        """Called after each epoch with its row of the log."""
        found = [
            f"{name.removeprefix('selection_').replace('_', ' ')} {value:.4f}"
            for name, value in row.items()
            if name.startswith("selection_") and name != "selection_loss"
        ]
        selected = f"  selection: {', '.join(found)}" if found else ""
        LOGGER.info(f"epoch {row['epoch']:.0f}/{len(self._costs)}  loss {row['training_loss']:.4f}{selected}")


def duration(seconds: float) -> str:
    """Seconds as a person says them: 42 s, 12 min, 3 h 05 min."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def write_log(file: Path, history: list[dict[str, float]]) -> None:
    """Write the log of all epochs so far as csv, atomically."""
    columns = list(dict.fromkeys(name for row in history for name in row))  # some epochs may not be measured
    with replacing(file) as temporary, temporary.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, fieldnames=columns)
        writer.writeheader()
        writer.writerows(history)

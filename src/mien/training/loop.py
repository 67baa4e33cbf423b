"""The one training loop: epochs, checkpoints, log; from the start or from where a training stood."""

import logging
import math
from dataclasses import dataclass
from pathlib import Path

from mien.errors import CheckpointError, ExperimentError
from mien.evaluation.plots import draw_curves
from mien.training.batches import Relabel, input_size_px
from mien.training.checkpoint import load_checkpoint, read_header, save_checkpoint
from mien.training.config import Experiment
from mien.training.machine import find_device, reproducible
from mien.training.methods import method_class
from mien.training.progress import Progress, write_log
from mien.training.state import Training
from mien.training.task import AnyData
from mien.training.weights_file import find_initial_weights

LOGGER = logging.getLogger("mien")
LAST, BEST = "last.safetensors", "best.safetensors"
LOG, CURVES = "log.csv", "curves.png"


@dataclass(frozen=True)
class TrainingResult:
    """What a finished training tells."""

    best: Path
    """Checkpoint of the epoch that was best on the selection split."""
    history: tuple[dict[str, float], ...]
    """One row an epoch, as in the log."""


def train(
    experiment: Experiment,
    training: AnyData,
    selection: AnyData | None,
    out: Path,
    resume: bool = False,
    device: str | None = None,
    initial: str = "",
    relabel: Relabel | None = None,
) -> TrainingResult:
    """Train an experiment; checkpoints, log and curves go into the folder `out`.

    selection: what the best epoch is chosen on; without it, that is the last one.
    resume: go on from the last checkpoint in `out`, with the result of an undisturbed training, bit for bit
    on one machine. Without it, a folder that already holds a training is refused.
    device: a torch device; by default the GPU where there is one.
    initial: weights to start from instead of the experiment's.
    relabel: changes the labels of each batch by what the averaged network answers.
    """
    place = find_device(device)
    with reproducible(place):
        state = Training(experiment, training, selection, place, initial, relabel)
        _start(state, out / LAST, resume)
        out.mkdir(parents=True, exist_ok=True)
        _run_epochs(state, out)
    write_log(out / LOG, state.history)  # again, for a run that was killed between the last checkpoint and its log
    draw_curves(state.history, experiment.name, out / CURVES, state.task.selected_by)
    return TrainingResult(out / BEST, tuple(state.history))


def _start(state: Training, last: Path, resume: bool) -> None:
    if resume and last.exists():
        state.resume(load_checkpoint(last), str(last))
    elif last.exists():
        raise CheckpointError(
            f"{last}: holds a training of {read_header(last).epoch} epochs; "
            "resume it with --resume, or choose another folder"
        )
    else:
        _require_own_files(last)
        if resume:
            LOGGER.warning("%s: no checkpoint yet, training starts from the beginning", last)


def _require_own_files(last: Path) -> None:
    """CheckpointError where a folder without a last checkpoint holds files of the same names from elsewhere."""
    if (best := last.with_name(BEST)).exists():
        read_header(best)  # of a training that was killed in its first epoch
    for file in (last.with_name(LOG), last.with_name(CURVES)):
        if file.exists():
            raise CheckpointError(f"{file}: exists without {LAST} beside it; choose another folder for this training")


def _run_epochs(state: Training, out: Path) -> None:
    experiment, epochs = state.experiment, state.experiment.schedule.epochs
    costs = [(input_size_px(experiment, epoch) / experiment.data.size_px) ** 2 for epoch in range(epochs)]
    with Progress(costs, state.method.steps_per_epoch()) as progress:
        while state.epoch < epochs:
            row = state.run_epoch(progress)
            if not math.isfinite(row["training_loss"]):
                raise ExperimentError(
                    f"{experiment.name}: expected a finite loss, found {row['training_loss']} in epoch "
                    f"{state.epoch}; try a lower learning rate or clip_norm"
                )
            checkpoint = state.checkpoint()
            if is_best(state.history, f"selection_{state.task.selected_by}"):
                save_checkpoint(out / BEST, checkpoint)
            save_checkpoint(out / LAST, checkpoint)
            write_log(out / LOG, state.history)
            progress.epoch(row)


def check_experiment(experiment: Experiment) -> None:
    """ExperimentError for a network, method or option that does not exist; needs no data."""
    method, network = method_class(experiment.method.name), experiment.network
    task = method.task(experiment, method.read_options(experiment.method.options))
    method.check(task.make_network(2), experiment)
    if network.weights:
        find_initial_weights(network.weights)


def is_best(history: list[dict[str, float]], column: str) -> bool:
    """Whether no epoch was better than the last one, which without a selection split is always the best.

    Not for an epoch that was not measured, where others were.
    """
    if column not in history[-1]:
        return not any(column in row for row in history)
    return all(row[column] <= history[-1][column] for row in history if column in row)

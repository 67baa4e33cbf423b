"""The one training loop: batches, loss, backward, step, average, evaluate, save; and from the start again."""

import copy
import math
import platform
import sys
import time
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import nn

import mien
from mien.errors import CheckpointError, DatasetError, ExperimentError
from mien.evaluation.plots import draw_curves
from mien.training.batches import input_size_px
from mien.training.checkpoint import Checkpoint, Header, load_checkpoint, read_header, save_checkpoint
from mien.training.config import Experiment
from mien.training.initial_weights import find_initial_weights, load_initial_weights
from mien.training.learned_from import splits_of_training
from mien.training.machine import find_device, keep_freed_memory, mixed_precision
from mien.training.methods import method_class
from mien.training.methods.method import AnyBatch, AnyData
from mien.training.optimization import (
    WeightAverage,
    learning_rate,
    load_optimizer_tensors,
    make_optimizer,
    optimizer_tensors,
)
from mien.training.plain_statistics import renew_statistics, with_statistics_of_the_batch
from mien.training.progress import Progress, write_log
from mien.training.randomness import derive_seed
from mien.training.resumption import require_same_data, require_same_experiment

LAST, BEST = "last.safetensors", "best.safetensors"
LOG, CURVES = "log.csv", "curves.png"


@dataclass(frozen=True)
class TrainingResult:
    """What a finished training tells."""

    best: Path
    """Checkpoint of the epoch that was best on the selection split."""
    history: tuple[dict[str, float], ...]
    """One row an epoch, as in the log."""


class Relabel(Protocol):
    """Changes the labels of batches by what the averaged network answers; joint/teachers.py has one."""

    def __call__(self, batch: Any, average: Any, passed: float) -> Any:
        """The batch with other labels. average: the network, in evaluation mode. passed: of the training, 0 to 1."""

    def to(self, device: torch.device) -> Any:
        """Move what it remembers to a device."""

    def state_dict(self) -> dict[str, torch.Tensor]:
        """What must survive a kill."""

    def load_state_dict(self, state: dict[str, torch.Tensor]) -> Any:
        """The inverse of `state_dict`."""


class Training:
    """The state of one training: network, method, optimizer, average, and where it stands."""

    def __init__(
        self,
        experiment: Experiment,
        training: AnyData,
        selection: AnyData | None,
        device: torch.device,
        initial: str = "",
        relabel: Relabel | None = None,
    ) -> None:
        """See `train`."""
        if selection is not None and training.expressions != selection.expressions:
            raise DatasetError(
                f"training and selection split have different classes: "
                f"{training.expressions} and {selection.expressions}"
            )
        if len(training) < experiment.schedule.batch_size and not experiment.schedule.steps_per_epoch:
            raise DatasetError(
                f"{training.name} {training.split}: expected at least one batch of "
                f"{experiment.schedule.batch_size} faces, found {len(training)}"
            )
        self.experiment, self.device, self.relabel = experiment, device, relabel
        self.expressions, self.training_images = training.expressions, len(training)
        data = experiment.data
        self.preprocessing = data.preprocessing()
        torch.manual_seed(derive_seed(experiment.seed, "weights"))
        method = method_class(experiment.method.name)
        self.network = method.make_network(experiment, len(self.expressions)).to(device)
        if weights := initial or experiment.network.weights:
            load_initial_weights(self.network, weights, self.expressions, self.preprocessing)
        self.learned_from = splits_of_training(experiment, initial)
        self.network.to(memory_format=torch.channels_last)  # twice as fast on CPU
        source = method.make_source(training, self.preprocessing, experiment, device)
        self.source = source
        self.method = method(source, self.network, experiment.method.options)
        self.optimizer = make_optimizer(experiment.optimizer, self.network, self.method.parameters())
        self.average = WeightAverage(self.network, experiment.averaging)
        if relabel:
            source.add_weak()
            relabel.to(device)
            self._averaged = copy.deepcopy(self.network).eval()
            if experiment.statistics == "anew":
                with_statistics_of_the_batch(self._averaged)
        self.selection = None
        if selection is not None:
            self.selection = method.prepare(selection, self.preprocessing, experiment.method.options)
        self.epoch = 0
        self.seconds = 0.0
        self.history: list[dict[str, float]] = []

    def run_epoch(self, progress: Progress) -> dict[str, float]:
        """Train one epoch and evaluate the averaged network; the row for the log."""
        started = time.perf_counter()
        self.network.train()
        steps = self.method.steps_per_epoch()
        sums: dict[str, torch.Tensor] = {}
        seen = 0
        for step, batch in enumerate(self.method.batches(self.epoch)):
            for name, value in self.take_step(batch, step, steps).items():
                sums[name] = sums.get(name, 0) + value.detach()
            seen += len(batch.images)
            progress.step(self.epoch, step, len(batch.images), sums["loss"])
        schedule = self.experiment.schedule
        last = self.epoch + 1 == schedule.epochs
        due = self.selection is not None and (last or (self.epoch + 1) % schedule.selection_every == 0)
        if self.experiment.statistics == "anew" and (last or due):
            self.renew_statistics()
        selected = self.measure_selection() if due else {}
        elapsed = time.perf_counter() - started
        self.seconds += elapsed
        self.epoch += 1
        row = {
            "epoch": self.epoch,
            **{f"training_{name}": total.item() / steps for name, total in sums.items()},
            **selected,
            "learning_rate": self.optimizer.param_groups[0]["lr"],
            "images_per_second": seen / elapsed,
            "hours": self.seconds / 3600,
        }
        self.history.append(row)
        return row

    def renew_statistics(self) -> None:
        """Compute the batch norm statistics of the averaged network anew."""
        network = self.averaged()
        renew_statistics(network, self.source)
        self.average.load(network.state_dict())

    def measure_selection(self) -> dict[str, float]:
        """What the averaged network does on the selection split; empty without one."""
        if self.selection is None:
            return {}
        network = self.method.selectable(self.averaged(), self.experiment.method.options).eval()
        measured = self.method.measure(network, self.preprocessing, self.selection)
        return {f"selection_{name}": value for name, value in measured.items()}

    def take_step(self, batch: AnyBatch, step: int, steps_per_epoch: int) -> dict[str, torch.Tensor]:
        """Forward, backward, optimizer and average for one batch; the method's losses."""
        position = self.epoch * steps_per_epoch + step
        losses = [row["selection_loss"] for row in self.history if "selection_loss" in row]
        rate = learning_rate(self.experiment.schedule, position, steps_per_epoch, losses)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        if self.relabel:
            self.average.copy_to(self._averaged)
            passed = position / (self.experiment.schedule.epochs * steps_per_epoch)
            batch = self.relabel(batch, self._averaged, passed)
        torch.manual_seed(derive_seed(self.experiment.seed, "network", self.epoch, step))
        self.optimizer.zero_grad()
        precision = mixed_precision(self.network, self.device) if self.experiment.mixed_precision else nullcontext()
        with precision:
            results = self.method.loss(self.network, batch, self.epoch)
        results["loss"].backward()  # type: ignore[no-untyped-call]
        if self.experiment.optimizer.clip_norm is not None:
            parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
            nn.utils.clip_grad_norm_(parameters, self.experiment.optimizer.clip_norm)
        self.optimizer.step()
        self.average.update(position)
        return results

    def averaged(self) -> Any:
        """A copy of the network with the averaged weights."""
        network = copy.deepcopy(self.network)
        self.average.copy_to(network)
        return network

    def deployable(self) -> Any:
        """The averaged network as it would ship, in evaluation mode."""
        return self.method.deployable(self.averaged(), self.experiment.method.options).eval()

    def checkpoint(self) -> Checkpoint:
        """Everything that the rest of the training depends on."""
        owners = {
            "network": self.network.state_dict(),
            "average": self.average.tensors(),
            "optimizer": optimizer_tensors(self.optimizer),
            "method": self.method.state_dict(),
            "relabel": self.relabel.state_dict() if self.relabel else {},
        }
        versions = {"mien": mien.__version__, "torch": torch.__version__, "python": platform.python_version()}
        header = Header(
            experiment=self.experiment,
            expressions=self.expressions,
            preprocessing=self.preprocessing,
            learned_from=self.learned_from,
            training_images=self.training_images,
            epoch=self.epoch,
            seconds=self.seconds,
            history=tuple(self.history),
            versions=versions,
        )
        tensors = {f"{owner}/{name}": tensor for owner, named in owners.items() for name, tensor in named.items()}
        return Checkpoint(tensors, header)

    def resume(self, checkpoint: Checkpoint, source: str) -> None:
        """Go on from a checkpoint of the same experiment and data; CheckpointError otherwise."""
        header = checkpoint.header
        require_same_experiment(header, self.experiment, source)
        require_same_data(header, self.expressions, self.training_images, source)
        self.network.load_state_dict(checkpoint.part("network"))
        self.average.load(checkpoint.part("average"))
        load_optimizer_tensors(self.optimizer, checkpoint.part("optimizer"))
        self.method.load_state_dict(checkpoint.part("method"))
        if self.relabel:
            self.relabel.load_state_dict(checkpoint.part("relabel"))
        self.epoch, self.seconds, self.history = header.epoch, header.seconds, list(header.history)


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
    keep_freed_memory()
    torch.backends.cudnn.deterministic = True
    state = Training(experiment, training, selection, find_device(device), initial, relabel)
    last = out / LAST
    if resume and last.exists():
        state.resume(load_checkpoint(last), str(last))
    elif resume:
        print(f"{last}: no checkpoint yet, training starts from the beginning", file=sys.stderr)
    elif last.exists():
        raise CheckpointError(
            f"{last}: holds a training of {read_header(last).epoch} epochs; "
            "resume it with --resume, or choose another folder"
        )
    out.mkdir(parents=True, exist_ok=True)
    costs = [
        (input_size_px(experiment, epoch) / experiment.data.size_px) ** 2 for epoch in range(experiment.schedule.epochs)
    ]
    with Progress(costs, state.method.steps_per_epoch()) as progress:
        while state.epoch < experiment.schedule.epochs:
            row = state.run_epoch(progress)
            if not math.isfinite(row["training_loss"]):
                raise ExperimentError(
                    f"{experiment.name}: expected a finite loss, found {row['training_loss']} in epoch "
                    f"{state.epoch}; try a lower learning rate or clip_norm"
                )
            checkpoint = state.checkpoint()
            if is_best(state.history, f"selection_{state.method.selected_by}"):
                save_checkpoint(out / BEST, checkpoint)
            save_checkpoint(last, checkpoint)
            write_log(out / LOG, state.history)
            progress.epoch(row)
    write_log(out / LOG, state.history)  # again, for a run that was killed between the last checkpoint and its log
    draw_curves(state.history, experiment.name, out / CURVES, state.method.selected_by)
    return TrainingResult(out / BEST, tuple(state.history))


def check_experiment(experiment: Experiment) -> None:
    """ExperimentError for a network, method or option that does not exist; needs no data."""
    method, network = method_class(experiment.method.name), experiment.network
    method.read_options(experiment.method.options)
    method.check(method.make_network(experiment, 2), experiment)
    if network.weights:
        find_initial_weights(network.weights)


def is_best(history: list[dict[str, float]], column: str) -> bool:
    """Whether no epoch was better than the last one, which without a selection split is always the best.

    Not for an epoch that was not measured, where others were.
    """
    if column not in history[-1]:
        return not any(column in row for row in history)
    return all(row[column] <= history[-1][column] for row in history if column in row)

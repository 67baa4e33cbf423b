"""The state of one training: a step learns, an epoch is measured, and all of it can be kept and resumed."""

import copy
import platform
import time
from contextlib import nullcontext
from typing import Any

import torch
from torch import nn

import mien
from mien.errors import DatasetError
from mien.training.batches import Relabel
from mien.training.checkpoint import Checkpoint, Header
from mien.training.config import Experiment
from mien.training.initial_weights import load_initial_weights
from mien.training.learned_from import splits_of_training
from mien.training.machine import mixed_precision
from mien.training.methods import method_class
from mien.training.methods.method import AnyBatch
from mien.training.optimization import (
    LearningRates,
    WeightAverage,
    load_optimizer_tensors,
    make_optimizer,
    optimizer_tensors,
)
from mien.training.precise_bn import precise_bn, with_statistics_of_the_batch
from mien.training.progress import Progress
from mien.training.randomness import derive_seed
from mien.training.resumption import require_same_data, require_same_experiment
from mien.training.task import AnyData


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
        method = method_class(experiment.method.name)
        self.task = method.task(experiment, method.read_options(experiment.method.options))
        torch.manual_seed(derive_seed(experiment.seed, "weights"))
        self.network = self.task.make_network(len(self.expressions)).to(device)
        if weights := initial or experiment.network.weights:
            load_initial_weights(self.network, weights, self.expressions, self.task.preprocessing)
        self.learned_from = splits_of_training(experiment, initial)
        self.network.to(memory_format=torch.channels_last)  # twice as fast on CPU
        self.source = self.task.make_source(training, device, weak=relabel is not None)
        self.method = method(self.source, self.network, experiment.method.options)
        self.optimizer = make_optimizer(experiment.optimizer, self.network, self.method.parameters())
        self.rates = LearningRates(experiment.schedule, self.method.steps_per_epoch())
        self.average = WeightAverage(self.network, experiment.averaging)
        if relabel:
            relabel.to(device)
            self._averaged = copy.deepcopy(self.network).eval()
            if experiment.statistics == "precise":
                with_statistics_of_the_batch(self._averaged)
        self.selection = None if selection is None else self.task.prepare(selection)
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
        if self.experiment.statistics == "precise" and (last or due):
            self.make_statistics_precise()
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
        self.rates.after_epoch(row)
        return row

    def make_statistics_precise(self) -> None:
        """Compute the batch norm statistics of the averaged network on faces as they are."""
        network = self.averaged()
        precise_bn(network, self.source)
        self.average.load(network.state_dict())

    def measure_selection(self) -> dict[str, float]:
        """What the averaged network does on the selection split; empty without one."""
        if self.selection is None:
            return {}
        network = self.method.selectable(self.averaged(), self.experiment.method.options).eval()
        measured = self.task.measure(network, self.selection)
        return {f"selection_{name}": value for name, value in measured.items()}

    def take_step(self, batch: AnyBatch, step: int, steps_per_epoch: int) -> dict[str, torch.Tensor]:
        """Forward, backward, optimizer and average for one batch; the method's losses."""
        position = self.epoch * steps_per_epoch + step
        for group in self.optimizer.param_groups:
            group["lr"] = self.rates.at(position)
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
            preprocessing=self.task.preprocessing,
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
        for row in self.history:
            self.rates.after_epoch(row)

"""The learning rate as a function of the step, the optimizer, and the average of the weights."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from mien.training.options import OptimizerOptions, ScheduleOptions

ONE_CYCLE_START = 1 / 25
"""Share of the highest learning rate at which one-cycle starts (Smith, 2018, as commonly implemented)."""


class LearningRates:
    """The learning rate as a function of the step; for the shape `plateau` also of the selection losses so far."""

    def __init__(self, schedule: ScheduleOptions, steps_per_epoch: int) -> None:
        self._schedule, self._steps_per_epoch = schedule, steps_per_epoch
        self._optimizer = torch.optim.SGD([torch.zeros(1)], lr=schedule.learning_rate)
        self._plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(self._optimizer)

    def after_epoch(self, row: Mapping[str, float]) -> None:
        """Take notice of an epoch's row of the log."""
        if "selection_loss" in row:
            self._plateau.step(row["selection_loss"])

    def at(self, step: int) -> float:
        """The learning rate of a step, counted from 0 over the whole training."""
        schedule, steps_per_epoch = self._schedule, self._steps_per_epoch
        total = schedule.epochs * steps_per_epoch
        warmup = max(1, round(schedule.warmup_epochs * steps_per_epoch))
        if step < warmup and schedule.shape != "one-cycle":
            return schedule.learning_rate * (step + 1) / warmup
        if step < warmup:
            rise = (1 - math.cos(math.pi * step / warmup)) / 2
            return schedule.learning_rate * (ONE_CYCLE_START + (1 - ONE_CYCLE_START) * rise)
        if schedule.shape == "plateau":
            return float(self._optimizer.param_groups[0]["lr"])
        fall = (1 + math.cos(math.pi * (step - warmup) / max(1, total - warmup))) / 2
        return schedule.learning_rate * fall


def make_optimizer(options: OptimizerOptions, network: nn.Module, own: list[nn.Parameter]) -> torch.optim.Optimizer:
    """The optimizer over a network's parameters and a method's own; vectors have no weight decay."""
    parameters = [*network.parameters(), *own]
    groups = [
        {
            "params": [parameter for parameter in parameters if parameter.ndim > 1],
            "weight_decay": options.weight_decay,
        },
        {
            "params": [parameter for parameter in parameters if parameter.ndim <= 1],
            "weight_decay": 0.0,
        },
    ]
    if options.name != "sgd":
        return (torch.optim.AdamW if options.name == "adamw" else torch.optim.Adam)(groups, lr=0.0, fused=True)
    return torch.optim.SGD(groups, lr=0.0, momentum=0.9, nesterov=True, fused=True)


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The optimizer's state as tensors by name, "INDEX/KEY"."""
    state = optimizer.state_dict()["state"]
    return {
        f"{index}/{key}": value
        for index, values in state.items()
        for key, value in values.items()
        if isinstance(value, Tensor)
    }


def load_optimizer_tensors(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """The inverse of `optimizer_tensors`.

    Tensors take up the memory layout of their parameter: fused optimizers go through both in memory order.
    """
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        index, key = name.split("/")
        if tensor.shape == (parameter := parameters[int(index)]).shape:
            tensor = torch.empty_like(parameter).copy_(tensor)
        state.setdefault(int(index), {})[key] = tensor
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})


class WeightAverage:
    """An exponential moving average of a network's weights and batch-norm statistics.

    The decay grows from 0 to its value ((1 + n) / (10 + n) after n steps), so that the average forgets
    the first, random weights early.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self._decay = decay
        self._followed = [tensor for tensor in network.state_dict().values() if tensor.is_floating_point()]
        self._average = [tensor.clone() for tensor in self._followed]
        self._names = [name for name, tensor in network.state_dict().items() if tensor.is_floating_point()]

    def update(self, step: int) -> None:
        """Follow the network after a step, counted from 0."""
        decay = min(self._decay, (1 + step) / (10 + step)) if self._decay else 0.0
        with torch.no_grad():
            torch._foreach_lerp_(self._average, self._followed, 1 - decay)

    def tensors(self) -> dict[str, Tensor]:
        """The averaged weights by their names in the network."""
        return dict(zip(self._names, self._average, strict=True))

    def load(self, tensors: dict[str, Tensor]) -> None:
        """Take up the averaged weights of a checkpoint."""
        for name, average in self.tensors().items():
            average.copy_(tensors[name])

    def copy_to(self, network: nn.Module) -> None:
        """Give another network of the same kind the averaged weights."""
        network.load_state_dict(self.tensors(), strict=False)

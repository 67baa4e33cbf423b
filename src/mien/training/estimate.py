"""How long a training will take."""

import copy
import time
from itertools import islice
from typing import TYPE_CHECKING

from mien.training.optimization import WeightAverage, make_optimizer

if TYPE_CHECKING:
    from mien.training.loop import Training


def estimate_seconds(state: "Training", steps: int = 4) -> float:
    """Seconds an epoch will take, from a few steps on a copy; the training itself is not touched."""
    network, optimizer, average, relabel = state.network, state.optimizer, state.average, state.relabel
    method = {name: tensor.clone() for name, tensor in state.method.state_dict().items()}
    state.network, state.relabel = copy.deepcopy(network), copy.deepcopy(relabel)
    state.optimizer = make_optimizer(state.experiment.optimizer, state.network, [])
    state.average = WeightAverage(state.network, state.experiment.averaging)
    state.network.train()
    try:
        batches = state.method.batches(state.epoch)
        total = state.method.steps_per_epoch()
        state.take_step(next(batches), 0, total)  # the first step also allocates
        started = time.perf_counter()
        measured = sum(1 for batch in islice(batches, steps) if state.take_step(batch, 0, total))
        elapsed = time.perf_counter() - started
    finally:
        state.network, state.optimizer, state.average, state.relabel = network, optimizer, average, relabel
        state.method.load_state_dict(method)
    return elapsed / max(1, measured) * total

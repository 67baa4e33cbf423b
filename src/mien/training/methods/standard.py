"""The standard method: every face once an epoch, cross entropy with label smoothing."""

from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import Field, TypeAdapter
from pydantic.dataclasses import dataclass
from torch import Tensor
from torch.nn import functional

from mien.models import Classifier
from mien.training.batches import Batch, BatchSource
from mien.training.config import STRICT, validated
from mien.training.methods.method import Method
from mien.training.samplers import uniform_order


@dataclass(frozen=True, config=STRICT)
class StandardOptions:
    """Options of the standard method."""

    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Share of the target that is spread over all classes (Szegedy et al., 2016)."""


class Standard(Method):
    """Every face once an epoch in random order, cross entropy with label smoothing."""

    def __init__(self, source: BatchSource, options: dict[str, Any]) -> None:
        self.source = source
        self.options = self.read_options(options)

    @staticmethod
    def read_options(options: dict[str, Any]) -> StandardOptions:
        return validated(TypeAdapter(StandardOptions), options, "method standard")

    def steps_per_epoch(self) -> int:
        return len(self.source) // self.source.batch_size

    def batches(self, epoch: int) -> Iterator[Batch]:
        source, size = self.source, self.source.batch_size
        order = uniform_order(len(source), source.draw("order", epoch))
        for step in range(self.steps_per_epoch()):
            yield source.batch(order[step * size : (step + 1) * size], epoch, step)

    def loss(self, network: Classifier, batch: Batch, epoch: int) -> dict[str, Tensor]:
        logits = network(batch.images)
        loss = functional.cross_entropy(logits, batch.labels, label_smoothing=self.options.label_smoothing)
        return {"loss": loss, "correct": (logits.argmax(dim=1) == batch.labels).sum()}

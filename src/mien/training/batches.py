"""The training faces on the device, and the augmented batches cut from them."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mien.preprocessing import ImageArray
from mien.training.augmentation import augment
from mien.training.config import Experiment
from mien.training.randomness import generator


@dataclass(frozen=True)
class Batch:
    """One step's faces."""

    images: Tensor
    """Normalised float32 (B, C, S, S), channels last, augmented."""
    labels: Tensor
    """int64 (B,)."""


class BatchSource:
    """All training faces as one uint8 tensor on the device; a batch is drawn from (seed, epoch, step) alone.

    faces: uint8 (N, S, S, C). labels: int64 (N,).
    """

    def __init__(
        self,
        faces: ImageArray,
        labels: NDArray[np.int64],
        experiment: Experiment,
        device: torch.device,
    ) -> None:
        self._faces = torch.from_numpy(faces.transpose(0, 3, 1, 2).copy()).to(device)
        self._labels = torch.from_numpy(labels).to(device)
        self._experiment = experiment
        self._device = device
        self.batch_size = experiment.schedule.batch_size

    def __len__(self) -> int:
        return len(self._labels)

    def shuffled(self, epoch: int) -> Tensor:
        """A permutation (N,) of all faces for an epoch."""
        draw = generator(self._experiment.seed, "order", epoch)
        return torch.randperm(len(self), generator=draw).to(self._device)

    def batch(self, order: Tensor, epoch: int, step: int) -> Batch:
        """The step-th batch of an order of face indices (M,), augmented."""
        chosen = order[step * self.batch_size : (step + 1) * self.batch_size]
        experiment, data = self._experiment, self._experiment.data
        images = augment(
            self._faces[chosen].float().mul_(1 / 255),
            experiment.augmentation,
            input_size_px(experiment, epoch),
            generator(experiment.seed, "augmentation", epoch, step, self._device),
        )
        images = images.sub_(data.mean).mul_(1 / data.deviation)
        return Batch(images.contiguous(memory_format=torch.channels_last), self._labels[chosen])


def input_size_px(experiment: Experiment, epoch: int) -> int:
    """Side of the network input in an epoch: small sizes first, where the schedule asks for it."""
    schedule = experiment.schedule
    if epoch >= schedule.progressive_epochs:
        return experiment.data.size_px
    phases = schedule.progressive_size_px
    return phases[int(epoch / schedule.progressive_epochs * len(phases))]

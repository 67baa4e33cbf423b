"""The training faces on the device, and the augmented batches cut from them."""

from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mien.datasets import Dataset
from mien.datasets.ferplus import vote_shares
from mien.errors import ExperimentError
from mien.preprocessing import FLAT_STD, ImageArray, Preprocessing
from mien.training.augmentation import augment
from mien.training.config import Experiment
from mien.training.masking import mask
from mien.training.options import AugmentationOptions
from mien.training.randomness import generator
from mien.training.samplers import uniform_order

WEAK = AugmentationOptions(translation=0.04)
"""Flips and shifts of up to two of 48 pixels: what a teacher sees (Sohn et al., FixMatch, NeurIPS 2020)."""


@dataclass(frozen=True)
class Batch:
    """One step's faces."""

    images: Tensor
    """Normalised float32 (B, C, S, S), channels last, augmented."""
    labels: Tensor
    """int64 (B,)."""
    votes: Tensor | None = None
    """Shares of votes float32 (B, 8) in the order of FERPLUS_8, where the method asks for them."""
    targets: Tensor | None = None
    """Distributions over the classes float32 (B, K), where the method asks for them."""
    weights: Tensor | None = None
    """How much each face counts, float32 (B,), where the data set says so."""
    given: Tensor | None = None
    """Whether each face's label was given by networks, bool (B,), where some were."""
    weak: Tensor | None = None
    """The same faces with `WEAK` augmentation, like `images`, where they are asked for."""


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


class BatchSource:
    """All training faces as one uint8 tensor on the device; a batch is drawn from (seed, epoch, step) alone.

    faces: uint8 (N, S, S, C). labels: int64 (N,). dataset: theirs. votes, targets: whether batches have those of the
    data set; ExperimentError where it has none. weak: whether batches also have their faces weakly augmented.
    Where the experiment asks for masked copies, they stand behind the faces, so that len() is (1 + copies) N.
    """

    def __init__(
        self,
        faces: ImageArray,
        labels: NDArray[np.int64],
        experiment: Experiment,
        device: torch.device,
        dataset: Dataset | None = None,
        votes: bool = False,
        targets: bool = False,
        weak: bool = False,
    ) -> None:
        self.experiment = experiment
        self.preprocessing = experiment.data.preprocessing()
        self.batch_size = experiment.schedule.batch_size
        copies = experiment.augmentation.masked_copies
        originals = torch.from_numpy(faces.transpose(0, 3, 1, 2).copy()).to(device)
        masked = [_masked_copy(originals, experiment, number) for number in range(copies)]
        self.faces = torch.cat((originals, *masked)) if copies else originals
        """uint8 (N, C, S, S)."""
        self.labels = torch.from_numpy(labels).to(device).repeat(1 + copies)
        self.expressions = dataset.expressions if dataset else ()
        self.classes = len(self.expressions) or int(labels.max()) + 1
        self._device, self._weak = device, weak
        self.votes = self._votes(dataset) if votes else None
        self.targets = self._targets(dataset) if targets else None
        weights, given = (dataset.weights(), dataset.given()) if dataset else (None, None)
        self.weights = None if weights is None else self._for_copies(weights)
        self.given = None if given is None else self._for_copies(given)

    def __len__(self) -> int:
        return len(self.labels)

    def _votes(self, dataset: Dataset | None) -> Tensor:
        votes = dataset.votes() if dataset else None
        if votes is None:
            raise ExperimentError("vote_weight: expected a data set with FERPlus votes, found one without")
        return self._for_copies(vote_shares(votes))

    def _targets(self, dataset: Dataset | None) -> Tensor:
        targets = dataset.targets() if dataset else None
        if targets is None:
            raise ExperimentError(
                "targets: expected a data set that has more than one label a face, such as ferplus-distribution"
            )
        return self._for_copies(targets)

    def _for_copies(self, values: NDArray[np.float32] | NDArray[np.bool_]) -> Tensor:
        return torch.from_numpy(values).to(self._device).repeat(len(self) // len(values), *[1] * (values.ndim - 1))

    def order(self, length: int, epoch: int) -> Tensor:
        """Indices int64 (length,) of an epoch, each face once before any comes again."""
        return uniform_order(len(self), length, self.draw("order", epoch))

    def draw(self, purpose: str, epoch: int) -> torch.Generator:
        """The generator (on the CPU) for one purpose in an epoch."""
        return generator(self.experiment.seed, purpose, epoch)

    def batch(self, chosen: Tensor, epoch: int, step: int) -> Batch:
        """The faces with the chosen indices int64 (B,), augmented."""
        chosen = chosen.to(self._device)
        experiment = self.experiment
        faces = self.faces[chosen].float().mul_(1 / 255)
        images = augment(
            faces,
            experiment.augmentation,
            input_size_px(experiment, epoch),
            generator(experiment.seed, "augmentation", epoch, step, self._device),
            crop=experiment.schedule.progressive_crops,
        )
        weak = None
        if self._weak:
            draw = generator(experiment.seed, "weak augmentation", epoch, step, self._device)
            weak = self.normalised(augment(faces, WEAK, experiment.data.size_px, draw))
        return self.batch_of(self.normalised(images), chosen, weak)

    def batch_of(self, images: Tensor, chosen: Tensor, weak: Tensor | None = None) -> Batch:
        """A batch of network inputs (B, C, S, S) with what is known of the faces with the chosen indices (B,)."""
        known = (self.votes, self.targets, self.weights, self.given)
        votes, targets, weights, given = (None if each is None else each[chosen] for each in known)
        return Batch(images, self.labels[chosen], votes, targets, weights, given, weak)

    def plain(self, chosen: Tensor) -> Tensor:
        """The faces with the chosen indices int64 (B,) as they are, normalised, of the network's input size."""
        return self.normalised(self.faces[chosen.to(self._device)].float().mul_(1 / 255))

    def normalised(self, images: Tensor) -> Tensor:
        """Images on the scale 0 to 1 as the network sees them, channels last; in place."""
        return normalised(images, self.preprocessing)


def normalised(images: Tensor, preprocessing: Preprocessing) -> Tensor:
    """Images (B, C, S, S) on the scale 0 to 1 as a network sees them, channels last; in place.

    The arithmetic of `preprocessing.to_network_input`, on tensors.
    """
    if preprocessing.standardize:
        std, mean = torch.std_mean(images, dim=(1, 2, 3), correction=0, keepdim=True)
        images = images.sub_(mean).div_(std.add_(FLAT_STD))
    else:
        images = images.sub_(preprocessing.mean).mul_(1 / preprocessing.std)
    return images.contiguous(memory_format=torch.channels_last)


def _masked_copy(faces: Tensor, experiment: Experiment, number: int) -> Tensor:
    """Faces uint8 (N, C, S, S) with masks that stay the same in all epochs; another number, other masks."""
    options = replace(experiment.augmentation, masking=1.0)
    draw = generator(experiment.seed, "masked copies", number, device=faces.device)
    parts = (mask(part.float().mul_(1 / 255), options, draw) for part in torch.split(faces, 1024))
    return torch.cat([part.mul_(255).round_().to(torch.uint8) for part in parts])


def at_full_size(experiment: Experiment) -> Experiment:
    """The experiment without small sizes first."""
    return replace(experiment, schedule=replace(experiment.schedule, progressive_size_px=(), progressive_epochs=0.0))


def input_size_px(experiment: Experiment, epoch: int) -> int:
    """Side of the network input in an epoch: small sizes first, where the schedule asks for it."""
    schedule = experiment.schedule
    if epoch >= schedule.progressive_epochs:
        return experiment.data.size_px
    phases = schedule.progressive_size_px
    return phases[int(epoch / schedule.progressive_epochs * len(phases))]

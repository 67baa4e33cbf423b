"""Networks that answer to augmented faces, so that another one learns what they see in them, view by view.

Consistent teaching: Beyer et al., "Knowledge distillation: A good teacher is patient and consistent", CVPR 2022,
https://arxiv.org/abs/2106.05237.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from mien.training.batches import Batch
from mien.training.checkpoint import load_checkpoint
from mien.training.deployment import deployable_network
from mien.training.machine import find_device


class Teachers:
    """Changes the targets of the faces whose labels were given by networks; the others keep theirs.

    Batches come to it at full size: networks that have learned to see faces at 48 pixels answer worse to those at 36.

    checkpoints: of the networks that answer. share: of their mean answer in the new target, against the old one.
    temperature: the mean answer is raised to the power of 1 / temperature.
    """

    def __init__(self, checkpoints: Sequence[Path], share: float, temperature: float, device: str | None) -> None:
        self.share, self.temperature = share, temperature
        self.networks: list[Any] = [deployable_network(load_checkpoint(file)) for file in checkpoints]
        for network in self.networks:
            network.to(find_device(device), memory_format=torch.channels_last)

    def __call__(self, batch: Batch) -> Batch:
        """The batch with targets by the teachers; it needs targets and `given`."""
        assert batch.targets is not None
        assert batch.given is not None
        with torch.no_grad():
            images = batch.images[batch.given].contiguous(memory_format=torch.channels_last)
            answers = [each.classify(each.forward_features(images)).softmax(dim=1) for each in self.networks]
            powers = torch.stack(answers).mean(dim=0) ** (1 / self.temperature)
            answer = powers / powers.sum(dim=1, keepdim=True)
            targets = batch.targets.clone()
            targets[batch.given] = torch.lerp(batch.targets[batch.given], answer, self.share)
        return replace(batch, targets=targets)

"""Batch norm statistics of an averaged network, computed on training faces as they are (precise batch norm).

Those that training averages belong to augmented faces, and to networks before they were averaged. Wu and Johnson,
"Rethinking 'Batch' in BatchNorm", 2021, https://arxiv.org/abs/2105.07576, section 3.
"""

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim.swa_utils import update_bn

from mien.training.batches import BatchSource
from mien.training.randomness import derive_seed

FACES = 10_240
"""At most as many are looked at (chosen)."""
FACES_AT_ONCE = 256


def precise_bn(network: nn.Module, source: BatchSource) -> None:
    """Give a network the statistics of faces drawn from the training faces, all the same for one seed."""
    seed = derive_seed(source.experiment.seed, "statistics")
    chosen = torch.randperm(len(source), generator=torch.Generator().manual_seed(seed))[:FACES]
    torch.manual_seed(seed)  # of dropout
    update_bn((source.plain(part) for part in chosen.chunk(-(-len(chosen) // FACES_AT_ONCE))), network)


def with_statistics_of_the_batch(network: nn.Module) -> nn.Module:
    """The network in evaluation mode, but for its batch norms, which take each batch's statistics and keep none."""
    network.eval()
    for layer in network.modules():
        if isinstance(layer, _BatchNorm):
            layer.train()
            layer.momentum = 0.0
    return network

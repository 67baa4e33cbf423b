"""Which faces an epoch shows, and in which order: pure functions of the labels and a generator.

Both samplers of BBN (Zhou et al., CVPR 2020, https://arxiv.org/abs/1912.02413, and its reference code).
"""

import torch
from torch import Tensor


def uniform_order(count: int, length: int, generator: torch.Generator) -> Tensor:
    """Faces in random order, each once before any comes again: indices int64 (length,) below count."""
    rounds = max(1, -(-length // count))
    return torch.cat([torch.randperm(count, generator=generator) for _ in range(rounds)])[:length]


def reversed_order(labels: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Faces drawn with replacement, rare classes most often: indices int64 (count,) into labels (N,).

    A class is drawn with a probability proportional to w_i = N_max / N_i, N_i being its number of faces, then
    one of its faces with equal probability. Classes without faces are never drawn.
    """
    sizes = torch.bincount(labels)
    weights = torch.where(sizes > 0, sizes.max() / sizes.clamp(min=1), 0.0)
    a_face = weights / sizes.clamp(min=1)
    return torch.multinomial(a_face[labels].double(), count, replacement=True, generator=generator)

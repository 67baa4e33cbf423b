"""Attention modules: each maps (B, C, H, W) to the same shape.

Shuffle attention: Zhang and Yang, "SA-Net: Shuffle Attention for Deep Convolutional Neural Networks",
ICASSP 2021, https://arxiv.org/abs/2102.00240, and its reference code.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from mien.models.blocks import interleave


class ShuffleAttention(nn.Module):
    """Shuffle attention: half of each group is weighted by channel, the other half by place.

    channels C and groups G: C must be divisible by 2G. Parameters: 6 C / (2G), shared by all groups.
    """

    def __init__(self, channels: int, groups: int) -> None:
        super().__init__()
        if groups < 1 or channels % (2 * groups):
            possible = [g for g in range(1, channels // 2 + 1) if channels % (2 * g) == 0]
            raise ValueError(
                f"shuffle attention: {channels} channels need a number of groups G with {channels} divisible by 2G "
                f"({', '.join(map(str, possible))}), not {groups}"
            )
        self.groups = groups
        self.width = channels // (2 * groups)
        # Vectors, so that weight decay leaves them alone; both gates start as the constant sigmoid(1).
        self.channel_weight = nn.Parameter(torch.zeros(self.width))
        self.channel_bias = nn.Parameter(torch.ones(self.width))
        self.place_weight = nn.Parameter(torch.zeros(self.width))
        self.place_bias = nn.Parameter(torch.ones(self.width))
        self.norm = nn.GroupNorm(self.width, self.width)

    def forward(self, x: Tensor) -> Tensor:
        grouped = x.reshape(-1, self.groups, 2, self.width, *x.shape[2:])  # (B, G, 2, c, H, W)
        by_channel, by_place = grouped[:, :, 0], grouped[:, :, 1]
        mean = by_channel.mean(dim=(-2, -1), keepdim=True)
        by_channel = by_channel * _gate(mean, self.channel_weight, self.channel_bias)
        normed = self.norm(by_place.flatten(0, 1)).reshape(by_place.shape)
        by_place = by_place * _gate(normed, self.place_weight, self.place_bias)
        joined = torch.stack((by_channel, by_place), dim=2).flatten(1, 3)
        return interleave(*joined.chunk(2, dim=1))

    def extra_repr(self) -> str:
        return f"channels={2 * self.groups * self.width}, groups={self.groups}"


def _gate(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return functional.sigmoid(weight[:, None, None] * x + bias[:, None, None])

"""Attention modules: each maps (B, C, H, W) to the same shape.

Shuffle attention: Zhang and Yang, "SA-Net: Shuffle Attention for Deep Convolutional Neural Networks",
ICASSP 2021, https://arxiv.org/abs/2102.00240, and its reference code.
Squeeze-and-excitation as in MobileNetV3: Howard et al., ICCV 2019, https://arxiv.org/abs/1905.02244.
Coordinate attention: Hou, Zhou, Feng, CVPR 2021, https://arxiv.org/abs/2103.02907; its complementary pooling
variant: Liang et al., IET Image Process. 2023, 17(8), 2375, https://doi.org/10.1049/ipr2.12798, and its code.
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


class SqueezeExcitation(nn.Module):
    """Squeeze-and-excitation: x * hard-sigmoid(W2 relu(W1 mean(x))), the middle about a quarter as wide."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        middle = make_divisible(channels / 4)
        self.gate = nn.Sequential(
            nn.Conv2d(channels, middle, 1), nn.ReLU(), nn.Conv2d(middle, channels, 1), nn.Hardsigmoid()
        )

    def forward(self, x: Tensor) -> Tensor:
        weighted: Tensor = x * self.gate(x.mean(dim=(2, 3), keepdim=True))
        return weighted


class CoordinateAttention(nn.Module):
    """Coordinate attention: x * sigmoid(Wh f_h) * sigmoid(Ww f_w), with one weight a row and one a column.

    f = h-swish(BN(W1 [g_h; g_w])), where g_h (B, C, H, 1) and g_w (B, C, W, 1) are the means over the width and over
    the height, joined along their places; f_h and f_w are its parts again. W1 leaves max(8, C / 32) channels.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        middle = max(8, channels // 32)
        self.squeeze = nn.Conv2d(channels, middle, 1)
        self.norm = nn.BatchNorm2d(middle)
        self.rows = nn.Conv2d(middle, channels, 1)
        self.columns = nn.Conv2d(middle, channels, 1)

    def squeezed(self, x: Tensor) -> Tensor:
        """Pooled and squeezed rows and columns: (B, C, H, W) to (B, max(8, C / 32), H + W, 1)."""
        pooled: Tensor = self.squeeze(_rows_and_columns(_mean(x, 3), _mean(x, 2)))
        return pooled

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[2:]
        f = functional.hardswish(self.norm(self.squeezed(x)))
        rows, columns = torch.split(f, [height, width], dim=2)
        weighted: Tensor = x * self.rows(rows).sigmoid() * self.columns(columns.transpose(2, 3)).sigmoid()
        return weighted


class ComplementaryPoolingAttention(CoordinateAttention):
    """CPSCA: mean rows with maximum columns and maximum rows with mean columns, squeezed by the same W1 and added.

    Since W1 is linear, the sum is W1 of (mean + maximum) with its bias twice: the crossing has no effect on numbers.
    """

    def squeezed(self, x: Tensor) -> Tensor:
        """As in coordinate attention, the sum of both crossings."""
        first = self.squeeze(_rows_and_columns(_mean(x, 3), _maximum(x, 2)))
        second = self.squeeze(_rows_and_columns(_maximum(x, 3), _mean(x, 2)))
        pooled: Tensor = first + second
        return pooled


def make_divisible(channels: float, divisor: int = 8) -> int:
    """The multiple of the divisor nearest to a number of channels, at least one and at least nine tenths of it."""
    rounded = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * channels else rounded


def _mean(x: Tensor, dim: int) -> Tensor:
    # Pooling is two to four times as fast here as a mean over one dimension.
    return functional.avg_pool2d(x, _whole(x, dim))


def _maximum(x: Tensor, dim: int) -> Tensor:
    # As above; the gradient goes to one of equal maxima, as in the authors' code.
    return functional.max_pool2d(x, _whole(x, dim))


def _whole(x: Tensor, dim: int) -> tuple[int, int]:
    """The kernel that covers one dimension of maps."""
    return (x.shape[2], 1) if dim == 2 else (1, x.shape[3])


def _rows_and_columns(rows: Tensor, columns: Tensor) -> Tensor:
    """(B, C, H, 1) and (B, C, 1, W) to (B, C, H + W, 1)."""
    return torch.cat((rows, columns.transpose(2, 3)), dim=2)

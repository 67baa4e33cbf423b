"""Building blocks that several networks share: convolutions, channel shuffle, β-Mish, stems.

Sources: channel shuffle from ShuffleNetV2 (Ma et al., ECCV 2018, https://arxiv.org/abs/1807.11164);
β-Mish f(x) = x * tanh(β * softplus(x)) from the reference repository of Mish's author (default β = 1.5).
"""

from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

Stem = Literal["stride4", "stride2", "stride1"]
Activation = Callable[[], nn.Module]


def interleave(first: Tensor, second: Tensor) -> Tensor:
    """Concatenate two (B, C, H, W) and shuffle the channels with two groups: one from each in turn.

    Written in one copy that keeps the channels-last layout; concatenating, viewing and transposing
    takes twice as long and loses the layout for the convolutions that follow.
    """
    pairs = torch.stack((first.permute(0, 2, 3, 1), second.permute(0, 2, 3, 1)), dim=-1)
    return pairs.flatten(3).permute(0, 3, 1, 2)


class BetaMish(nn.Module):
    """β-Mish, f(x) = x * tanh(β * softplus(x)), elementwise and without parameters; β = 1 is Mish."""

    def __init__(self, beta: float = 1.5) -> None:
        super().__init__()
        if beta < 0.2:
            raise ValueError(f"beta must be at least 0.2, not {beta}")
        self.beta = beta

    def forward(self, x: Tensor) -> Tensor:
        if x.dtype != torch.float32:  # in half precision 1 + e^x loses the small e^x
            return x * torch.tanh(self.beta * functional.softplus(x))
        if torch.is_grad_enabled() and not torch.compiler.is_exporting():
            y: Tensor = _BetaMishFunction.apply(x, self.beta)  # type: ignore[no-untyped-call]
            return y
        # As below; ONNX Runtime takes half the time for the whole network that softplus and tanh would take.
        u = 1 + torch.exp(x.clamp(max=10 / self.beta))
        return x * (1 - 2 / (u ** (2 * self.beta) + 1))

    def extra_repr(self) -> str:
        return f"beta={self.beta}"


class _BetaMishFunction(torch.autograd.Function):
    """β-Mish with one exponential for both directions, half the time of the plain formula's gradient.

    With u = 1 + e^x and n = u^(2β): tanh(β softplus(x)) = (n - 1) / (n + 1) and sigmoid(x) = 1 - 1 / u.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, beta: float) -> Tensor:
        u = x.clamp(max=10 / beta).exp_().add_(1)  # beyond, tanh is 1 in float32
        t = u.pow(2 * beta).add_(1).reciprocal_().mul_(-2).add_(1)
        ctx.save_for_backward(x, u, t)
        ctx.beta = beta
        return x * t

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        x, u, t = ctx.saved_tensors
        slope = u.reciprocal().neg_().add_(1).mul_(x).mul_(ctx.beta)  # β x sigmoid(x)
        slope.mul_(torch.mul(t, t).neg_().add_(1)).add_(t)
        return slope.mul_(gradient), None


class DepthwiseConvolution(nn.Conv2d):
    """A depth-wise convolution that keeps height and width / stride, without bias.

    The zero padding of maps smaller than the kernel is done apart in training: the weight gradient of
    the padded convolution takes three times as long there (23 ms against 7 ms for 128 x 232 x 3 x 3).
    """

    def __init__(self, channels: int, kernel_size: int, stride: int = 1) -> None:
        padding = kernel_size // 2
        super().__init__(channels, channels, kernel_size, stride, padding, groups=channels, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        size, padding = self.kernel_size[0], self.kernel_size[0] // 2
        if not self.training or self.stride[0] != 1 or x.shape[-1] >= size:
            return super().forward(x)
        padded = functional.pad(x, (padding, padding, padding, padding))
        return functional.conv2d(padded, self.weight, groups=self.groups)


def convolution(
    in_channels: int, out_channels: int, kernel_size: int, activation: Activation, stride: int = 1
) -> nn.Sequential:
    """Convolution without bias, batch norm, activation; keeps height and width / stride."""
    padding = kernel_size // 2
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, kernel_size, stride, padding, bias=False),
        nn.BatchNorm2d(out_channels),
        activation(),
    )


def depthwise(channels: int, kernel_size: int, stride: int = 1) -> nn.Sequential:
    """Depth-wise convolution and batch norm, without activation."""
    return nn.Sequential(DepthwiseConvolution(channels, kernel_size, stride), nn.BatchNorm2d(channels))


def make_stem(stem: Stem, in_channels: int, out_channels: int, activation: Activation) -> nn.Module:
    """The first layer, a 3x3 convolution: `stride4` is the published one with max-pooling, for 224 px;
    `stride2` leaves the pooling out; `stride1` also keeps the full resolution, at four times the cost.
    """
    if stem == "stride1":
        return convolution(in_channels, out_channels, 3, activation)
    strided = convolution(in_channels, out_channels, 3, activation, stride=2)
    if stem == "stride2":
        return strided
    return nn.Sequential(strided, nn.MaxPool2d(3, stride=2, padding=1))

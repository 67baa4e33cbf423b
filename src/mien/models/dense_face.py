"""A plain stack of dense 3x3 convolutions for small faces, trained with RepVGG's branches, which are folded away.

Dense networks of few layers are the best published at a million parameters (Pramerdorfer and Kampel, 2016,
https://arxiv.org/abs/1612.02903), and the fastest for their multiply-adds: a processor runs a dense 3x3 convolution
with ReLU at several times the rate of depth-wise ones. RepVGG (Ding et al., CVPR 2021,
https://arxiv.org/abs/2101.03697) trains each such convolution beside a 1x1 convolution and an identity, each with batch
norm; their sum is linear, so that one 3x3 convolution with bias takes their place afterwards. Widths and depths are
mien's, for faces of 48 pixels: the first stage keeps the full resolution, the others halve it.
"""

import copy
from typing import Annotated, Literal

import torch
from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_weights

from mien.models.checked import STRICT, Count, Share
from mien.models.classifier import Classifier

Branches = Literal["repvgg", "identity", "none"]


class DenseBlock(nn.Module):
    """3x3 convolution and ReLU; height and width are divided by stride.

    branches: `repvgg` adds a 1x1 convolution and, where input and output have the same shape, an identity, each with
    batch norm; `identity` adds the input itself there; `none` adds nothing.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int, branches: Branches) -> None:
        super().__init__()
        same = in_channels == out_channels and stride == 1
        self.convolution = nn.Conv2d(in_channels, out_channels, 3, stride, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(out_channels)
        self.pointwise: nn.Conv2d | None = None
        self.identity: nn.Module | None = nn.Identity() if same and branches == "identity" else None
        if branches == "repvgg":
            self.pointwise = nn.Conv2d(in_channels, out_channels, 1, stride, bias=False)
            self.pointwise_norm = nn.BatchNorm2d(out_channels)
            self.identity = nn.BatchNorm2d(in_channels) if same else None

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.norm(self.convolution(x))
        if self.pointwise is not None:
            y = y + self.pointwise_norm(self.pointwise(x))
        if self.identity is not None:
            y = y + self.identity(x)
        return functional.relu(y, inplace=True)

    def folded(self) -> nn.Sequential:
        """One convolution with bias and ReLU that answer as the block does in evaluation mode."""
        kernel, bias = _folded(self.convolution.weight, self.norm)
        if self.pointwise is not None:
            small, more = _folded(self.pointwise.weight, self.pointwise_norm)
            kernel, bias = kernel + functional.pad(small, (1, 1, 1, 1)), bias + more
        if self.identity is not None:
            itself = functional.pad(torch.eye(len(kernel), device=kernel.device)[:, :, None, None], (1, 1, 1, 1))
            if isinstance(self.identity, nn.BatchNorm2d):
                itself, more = _folded(itself, self.identity)
                bias = bias + more
            kernel = kernel + itself
        out_channels, in_channels = kernel.shape[:2]
        whole = nn.Conv2d(in_channels, out_channels, 3, self.convolution.stride[0], padding=1)
        whole.load_state_dict({"weight": kernel.detach(), "bias": bias.detach()})
        return nn.Sequential(whole.to(kernel.device), nn.ReLU())


def _folded(kernel: Tensor, norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Kernel and bias of a convolution without bias, followed by a batch norm in evaluation mode."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    return fuse_conv_bn_weights(kernel, None, norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias)


@dataclass(frozen=True, config=STRICT)
class DenseFaceOptions:
    """Options of the dense network."""

    widths: Annotated[tuple[Count, ...], Field(min_length=1)] = (32, 48, 96, 176)
    """Channels of each stage."""
    depths: tuple[Count, ...] = (1, 3, 3, 3)
    """Blocks of each stage; from the second stage on, the first one halves the resolution."""
    branches: Branches = "repvgg"
    """What is added to each 3x3 convolution in training: `repvgg` adds a 1x1 convolution and, where input and output
    have the same shape, an identity, each with batch norm; `identity` the input itself there; `none` nothing."""
    dropout: Share = 0.0
    """Share of the features that is set to 0 in training, before the last layer."""

    @model_validator(mode="after")
    def _check(self) -> "DenseFaceOptions":
        if len(self.widths) != len(self.depths):
            raise ValueError(f"widths and depths must be as many, not {self.widths} and {self.depths}")
        return self


class DenseFace(Classifier):
    """Stages of dense blocks, then the mean over all places."""

    paper = "https://arxiv.org/abs/2101.03697"
    bfloat16_on_cpu = True
    options_class = DenseFaceOptions

    def __init__(self, classes: int, in_channels: int, options: DenseFaceOptions) -> None:
        super().__init__()
        blocks: list[nn.Module] = []
        channels = in_channels
        for stage, (width, depth) in enumerate(zip(options.widths, options.depths, strict=True)):
            for position in range(depth):
                stride = 2 if stage > 0 and position == 0 else 1
                blocks.append(DenseBlock(channels, width, stride, options.branches))
                channels = width
        self.blocks = nn.Sequential(*blocks)
        self.dropout = nn.Dropout(options.dropout)
        self.feature_count = channels
        self.classifier = nn.Linear(channels, classes)

    def forward_features(self, x: Tensor) -> Tensor:
        """Faces (B, C, 48, 48) to features (B, D)."""
        x = self.blocks(x)  # (B, 32, 48, 48), (B, 48, 24, 24), (B, 96, 12, 12), (B, 176, 6, 6)
        return x.mean(dim=(2, 3))

    def classify(self, features: Tensor) -> Tensor:
        """Features (B, D) to logits (B, K)."""
        logits: Tensor = self.classifier(self.dropout(features))
        return logits

    def folded(self) -> "DenseFace":
        """The network with each block as one convolution; this one stays as it is."""
        network = copy.deepcopy(self)
        network.blocks = nn.Sequential(
            *(block.folded() if isinstance(block, DenseBlock) else block for block in network.blocks)
        )
        return network

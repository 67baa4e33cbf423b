"""AC-CNN: a residual network of affinity-convolution modules, for expression-guided deep joint learning.

Fang, Zhao, Han, He: "Expression-Guided Deep Joint Learning for Facial Expression Recognition", Sensors 2023, 23(16),
7148, https://doi.org/10.3390/s23167148. This is a reconstruction: of the paper only the abstract was at hand, which
names the module and its purpose, less computation, but neither its definition nor the layers.

Read here as a module of GhostNet's kind (Han et al., CVPR 2020, https://arxiv.org/abs/1911.11907): an ordinary
convolution makes one part of the maps, a cheap operation on each of these the others, which are affine to them. Two
other readings of "affinity" are options: a scale and a shift for each map, and a mixture of maps by their affinity.
The network has the shape of ResNet-18 (He et al., CVPR 2016) with three eighths of its widths (chosen: at most
1.3 million parameters and 30 million multiply-adds at 48 px), and features of 256 values, which joint learning
clusters.
"""

import math
from typing import Literal

import torch
from pydantic.dataclasses import dataclass
from torch import Tensor, nn

from mien.models.blocks import convolution, depthwise
from mien.models.checked import STRICT, Share
from mien.models.classifier import Classifier

Affinity = Literal["depthwise", "affine", "channel", "none"]
WIDTHS = (24, 48, 96, 192)
"""Channels of the four stages of two blocks each."""
FEATURES = 256


@dataclass(frozen=True, config=STRICT)
class AcNetOptions:
    """Options of AC-CNN."""

    affinity: Affinity = "depthwise"
    """The cheap operation that makes the second half of the maps: a 3x3 depth-wise convolution, a scale and a shift
    (`affine`), a mixture by affinity (`channel`), or `none`, an ordinary convolution to all maps."""
    dropout: Share = 0.0
    """Share of the features that is set to 0 in training, before the last layer."""


class AffineMaps(nn.Module):
    """A learned scale and shift for each map: (B, C, H, W) to the same shape."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(channels))  # vectors have no weight decay
        self.shift = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.scale[:, None, None] + self.shift[:, None, None]


class ChannelAffinity(nn.Module):
    """Each map becomes a mixture of all, by softmax(Y Y^T / sqrt(H W)): (B, C, H, W) to the same shape."""

    def forward(self, x: Tensor) -> Tensor:
        maps = x.flatten(2)  # (B, C, HW)
        affinity = torch.softmax(maps @ maps.transpose(1, 2) / math.sqrt(maps.shape[2]), dim=2)
        return (affinity @ maps).view_as(x)


class AffinityConvolution(nn.Module):
    """A 3x3 convolution to half of the maps, and a cheap operation on these for the other half.

    affinity: the cheap operation, `depthwise` (3x3), `affine` or `channel`; `none` is a plain convolution to all maps.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int, affinity: Affinity, activation: bool) -> None:
        super().__init__()
        made = out_channels if affinity == "none" else out_channels // 2
        last = nn.ReLU if activation else nn.Identity
        self.convolution = convolution(in_channels, made, 3, last, stride)
        self.cheap: nn.Module | None = None
        if affinity == "depthwise":
            self.cheap = nn.Sequential(depthwise(made, 3), last())
        elif affinity == "affine":
            self.cheap = nn.Sequential(AffineMaps(made), last())
        elif affinity == "channel":
            self.cheap = ChannelAffinity()

    def forward(self, x: Tensor) -> Tensor:
        intrinsic: Tensor = self.convolution(x)
        return torch.cat((intrinsic, self.cheap(intrinsic)), dim=1) if self.cheap else intrinsic


class AffinityBlock(nn.Module):
    """Two affinity convolutions and a shortcut, as ResNet's basic block."""

    def __init__(self, in_channels: int, out_channels: int, stride: int, affinity: Affinity) -> None:
        super().__init__()
        self.main = nn.Sequential(
            AffinityConvolution(in_channels, out_channels, stride, affinity, activation=True),
            AffinityConvolution(out_channels, out_channels, 1, affinity, activation=False),
        )
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or in_channels != out_channels:
            self.shortcut = convolution(in_channels, out_channels, 1, nn.Identity, stride)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.main(x) + self.shortcut(x))


class AcNet(Classifier):
    """AC-CNN: faces (B, C, S, S) to features (B, 256) to logits (B, K)."""

    paper = "https://doi.org/10.3390/s23167148"
    options_class = AcNetOptions

    def __init__(self, classes: int, in_channels: int, options: AcNetOptions) -> None:
        super().__init__()
        self.stem = convolution(in_channels, WIDTHS[0], 3, nn.ReLU, stride=2)
        blocks: list[nn.Module] = []
        channels = WIDTHS[0]
        for stage, width in enumerate(WIDTHS):
            blocks.append(AffinityBlock(channels, width, 1 if stage == 0 else 2, options.affinity))
            blocks.append(AffinityBlock(width, width, 1, options.affinity))
            channels = width
        self.stages = nn.Sequential(*blocks)
        self.feature_count = FEATURES
        self.embedding = nn.Linear(channels, self.feature_count)
        self.dropout = nn.Dropout(options.dropout)
        self.classifier = nn.Linear(self.feature_count, classes)

    def forward_features(self, x: Tensor) -> Tensor:
        """Faces (B, C, 48, 48) to features (B, 256)."""
        x = self.stem(x)  # (B, 24, 24, 24)
        x = self.stages(x)  # (B, 24, 24, 24), (B, 48, 12, 12), (B, 96, 6, 6), (B, 192, 3, 3)
        features: Tensor = self.embedding(x.mean(dim=(2, 3)))
        return features

    def classify(self, features: Tensor) -> Tensor:
        """Features (B, 256) to logits (B, K)."""
        logits: Tensor = self.classifier(self.dropout(features))
        return logits

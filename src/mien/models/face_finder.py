"""The face detector: anchor-free, single shot, on three strides, under 0.2 million parameters.

The outline is that of YuNet (Wu et al., "YuNet: A Tiny Millisecond-level Face Detector", Machine Intelligence
Research 2023, https://doi.org/10.1007/s11633-023-1423-y): depth-wise separable units, a feature pyramid (Lin et al.,
CVPR 2017), one score, box and five landmarks for each cell. What differs: residual units with 5x5 depth-wise
convolutions as in BlazeFace (Bazarevsky et al., 2019, https://arxiv.org/abs/1907.05047), and the score learns the
overlap of the predicted box, so that no second output for objectness is needed. Each stride has a head of its own:
batch norm that strides share has statistics in evaluation that none had in training (Wu and Johnson, "Rethinking
'Batch' in BatchNorm", 2021, https://arxiv.org/abs/2105.07576). Widths and depths were chosen by latency.
"""

import math

import torch
from pydantic.dataclasses import dataclass
from torch import Tensor, nn
from torch.nn import functional

from mien.detection.decoding import STRIDES, VALUES
from mien.models.blocks import convolution, depthwise
from mien.models.checked import STRICT, Count

PAPER = "https://doi.org/10.1007/s11633-023-1423-y"
PRIOR = 0.01
"""Score of all cells before training (Lin et al., "Focal Loss for Dense Object Detection", ICCV 2017)."""

HEAD_DEPTHS = (2, 3, 3)
"""Convolutions of the heads of the strides 8, 16 and 32 (chosen): landmarks of large faces lie many cells away."""


@dataclass(frozen=True, config=STRICT)
class FaceFinderOptions:
    """Options of the face detector of depth-wise units."""

    width: Count = 16
    """Channels after the stem; the strides 4, 8, 16, 32 have 2, 4, 6 and 8 times as many."""
    neck: Count = 64
    """Channels of the pyramid."""


class FaceFinder(nn.Module):
    """Pictures to a map for each stride: score logit, box and landmarks of each cell (mien/detection/decoding.py)."""

    paper = PAPER
    options_class = FaceFinderOptions

    def __init__(self, options: FaceFinderOptions) -> None:
        super().__init__()
        width, neck = options.width, options.neck
        self.stem = convolution(3, width, 3, nn.ReLU, stride=2)
        self.stride_4 = nn.Sequential(_down(width, 2 * width), _Residual(2 * width, 3))
        self.stages = nn.ModuleList(
            [
                nn.Sequential(_down(2 * width, 4 * width), _Residual(4 * width), _Residual(4 * width)),
                nn.Sequential(_down(4 * width, 6 * width), *(_Residual(6 * width) for _ in range(3))),
                nn.Sequential(_down(6 * width, 8 * width), _Residual(8 * width), _Residual(8 * width)),
            ]
        )
        self.laterals = nn.ModuleList(convolution(times * width, neck, 1, nn.ReLU) for times in (4, 6, 8))
        self.merges = nn.ModuleList(_separable(neck, neck) for _ in STRIDES)
        self.heads = nn.ModuleList(
            nn.Sequential(*(_separable(neck, neck, 5) for _ in range(depth)), last_layer(neck)) for depth in HEAD_DEPTHS
        )

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Pictures float (B, 3, H, W), normalised, sides divisible by 32, to (B, 15, H/s, W/s) for s = 8, 16, 32."""
        x = self.stride_4(self.stem(x))
        levels = []
        for stage, lateral in zip(self.stages, self.laterals, strict=True):
            x = stage(x)
            levels.append(lateral(x))
        for place in (1, 0):
            levels[place] = levels[place] + functional.interpolate(levels[place + 1], scale_factor=2.0, mode="nearest")
        return tuple(head(merge(level)) for head, merge, level in zip(self.heads, self.merges, levels, strict=True))

    def folded(self) -> "FaceFinder":
        """The network in evaluation mode; ONNX Runtime folds its batch norms."""
        return self.eval()


def last_layer(channels: int) -> nn.Conv2d:
    """The 1x1 convolution to a cell's values, whose scores begin at `PRIOR`."""
    layer = nn.Conv2d(channels, VALUES, 1)
    nn.init.normal_(layer.weight, std=0.01)
    layer.bias = nn.Parameter(torch.tensor([math.log(PRIOR / (1 - PRIOR)), *[0.0] * (VALUES - 1)]))
    return layer


def _separable(in_channels: int, out_channels: int, kernel_size: int = 3, stride: int = 1) -> nn.Sequential:
    """Depth-wise convolution, then 1x1 with batch norm and ReLU."""
    return nn.Sequential(
        depthwise(in_channels, kernel_size, stride), convolution(in_channels, out_channels, 1, nn.ReLU)
    )


def _down(in_channels: int, out_channels: int) -> nn.Sequential:
    return _separable(in_channels, out_channels, 3, stride=2)


class _Residual(nn.Module):
    def __init__(self, channels: int, kernel_size: int = 5) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            depthwise(channels, kernel_size), nn.Conv2d(channels, channels, 1, bias=False), nn.BatchNorm2d(channels)
        )

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(x + self.branch(x))

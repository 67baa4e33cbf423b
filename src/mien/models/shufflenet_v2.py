"""ShuffleNetV2 (Ma et al., ECCV 2018, https://arxiv.org/abs/1807.11164), 1.0x, for small faces.

What differs from the paper: the stem's stride is an option, because 48-pixel faces vanish in a network made
for 224 pixels; kernel size, activation and the clipped unit are options, so that RLR-CNet (rlr_cnet.py) is
built from the same units. Sizes below are for a 48-pixel input and the `stride2` stem.
"""

from typing import Any, ClassVar

from pydantic.dataclasses import dataclass
from torch import Tensor, nn

from mien.models.blocks import (
    Activation,
    Stem,
    convolution,
    depthwise,
    interleave,
    make_stem,
)
from mien.models.checked import STRICT, Share
from mien.models.classifier import Classifier

STEM_CHANNELS = 24
STAGES = ((116, 4), (232, 8), (464, 4))
"""Channels and units of stages 2, 3 and 4 of the 1.0x network (paper, table 5)."""
FEATURES = 1024


@dataclass(frozen=True, config=STRICT)
class ShuffleNetV2Options:
    """Options of ShuffleNetV2."""

    stem: Stem = "stride2"
    """The first layer: `stride4` is the published one with max-pooling, for 224 px; `stride2` leaves the pooling out;
    `stride1` also keeps the full resolution, at four times the cost."""
    dropout: Share = 0.0
    """Share of the features that is set to 0 in training, before the last layer."""


class BasicUnit(nn.Module):
    """The stride-1 unit: half of the channels pass, the other half go through 1x1, depth-wise, 1x1.

    clipped: the 1x1 convolution after the depth-wise one is left out (RLR-CNet).
    """

    def __init__(self, channels: int, kernel_size: int, activation: Activation, clipped: bool) -> None:
        super().__init__()
        half = channels // 2
        last = [] if clipped else [convolution(half, half, 1, activation)]
        self.main = nn.Sequential(convolution(half, half, 1, activation), depthwise(half, kernel_size), *last)

    def forward(self, x: Tensor) -> Tensor:
        passed, changed = x.chunk(2, dim=1)
        return interleave(passed, self.main(changed))


class DownsamplingUnit(nn.Module):
    """The stride-2 unit: both paths see all channels; height and width are halved."""

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, activation: Activation) -> None:
        super().__init__()
        half = out_channels // 2
        self.side = nn.Sequential(
            depthwise(in_channels, kernel_size, stride=2),
            convolution(in_channels, half, 1, activation),
        )
        self.main = nn.Sequential(
            convolution(in_channels, half, 1, activation),
            depthwise(half, kernel_size, stride=2),
            convolution(half, half, 1, activation),
        )

    def forward(self, x: Tensor) -> Tensor:
        return interleave(self.side(x), self.main(x))


class ShuffleNetV2(Classifier):
    """ShuffleNetV2 1.0x."""

    paper = "https://arxiv.org/abs/1807.11164"
    options_class: ClassVar[type[Any]] = ShuffleNetV2Options

    def __init__(
        self,
        classes: int,
        in_channels: int,
        options: ShuffleNetV2Options,
        *,
        kernel_size: int = 3,
        activation: Activation = nn.ReLU,
        clipped: bool = False,
    ) -> None:
        super().__init__()
        self.stem = make_stem(options.stem, in_channels, STEM_CHANNELS, activation)
        units: list[nn.Module] = []
        channels = STEM_CHANNELS
        for stage_channels, count in STAGES:
            units.append(DownsamplingUnit(channels, stage_channels, kernel_size, activation))
            units += [BasicUnit(stage_channels, kernel_size, activation, clipped) for _ in range(count - 1)]
            channels = stage_channels
        self.stages = nn.Sequential(*units)
        self.last = convolution(channels, FEATURES, 1, activation)
        self.dropout = nn.Dropout(options.dropout)
        self.feature_count = FEATURES
        self.classifier = nn.Linear(self.feature_count, classes)

    def forward_features(self, x: Tensor) -> Tensor:
        """Faces (B, C, 48, 48) to features (B, 1024)."""
        x = self.stem(x)  # (B, 24, 24, 24)
        x = self.stages(x)  # (B, 116, 12, 12), (B, 232, 6, 6), (B, 464, 3, 3)
        x = self.last(x)  # (B, 1024, 3, 3)
        return x.mean(dim=(2, 3))

    def classify(self, features: Tensor) -> Tensor:
        """Features (B, 1024) to logits (B, K)."""
        logits: Tensor = self.classifier(self.dropout(features))
        return logits

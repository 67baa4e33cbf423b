"""Improved MobileNetV3 for facial expressions: a reduced tail, coordinate attention, complementary pooling.

Liang, Liang, Yin, Tang: "A lightweight method for face expression recognition based on improved MobileNetV3", IET Image
Process. 2023, 17(8), 2375-2384, https://doi.org/10.1049/ipr2.12798, after the authors' published code.

It is MobileNetV3-Large (Howard et al., ICCV 2019, https://arxiv.org/abs/1905.02244) with h-swish everywhere, half of
the channels in the last rows, and other attention there. What differs from the code: the network gives logits alone
(the loss takes their log-softmax itself); `resolution` leaves out one of the early strides, for faces of 48 to 96
pixels; weights start as in torchvision's MobileNetV3, since no ImageNet weights come with mien.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

from pydantic.dataclasses import dataclass as checked
from torch import Tensor, nn

from mien.models.attention import ComplementaryPoolingAttention, CoordinateAttention, SqueezeExcitation
from mien.models.blocks import DepthwiseConvolution
from mien.models.checked import STRICT, Share
from mien.models.classifier import Classifier

Attention = Callable[[int], nn.Module]
Arm = Literal["published", "large", "se-original", "none", "se", "ca", "cpsca"]
Resolution = Literal["published", "no-stride-in-row-2", "no-stride-in-stem"]

NORM = partial(nn.BatchNorm2d, eps=1e-3, momentum=0.01)
SE, CA, CPSCA = SqueezeExcitation, CoordinateAttention, ComplementaryPoolingAttention


@checked(frozen=True, config=STRICT)
class FerMobileNetV3Options:
    """Options of the improved MobileNetV3."""

    arm: Arm = "published"
    """`published`, or another arm of the ablation (`ATTENTION`)."""
    resolution: Resolution = "published"
    """`published` for 224 px; `no-stride-in-row-2` and `no-stride-in-stem` double the size of all maps after these
    places."""
    dropout: Share = 0.2
    """Share of the features that is set to 0 in training, before the last layer."""


@dataclass(frozen=True)
class Row:
    """A bottleneck of the layer table."""

    kernel_size: int
    expanded: int
    out_channels: int
    stride: int


HIGH_ROWS = (
    Row(3, 240, 80, 2),  # 7
    Row(3, 200, 80, 1),
    Row(3, 184, 80, 1),  # 9
    Row(3, 184, 80, 1),
    Row(3, 480, 112, 1),  # 11
    Row(3, 672, 112, 1),
)
LOW_ROWS = (
    Row(3, 16, 16, 1),
    Row(3, 64, 24, 2),
    Row(3, 72, 24, 1),
    Row(5, 72, 40, 2),  # 4
    Row(5, 120, 40, 1),
    Row(5, 120, 40, 1),
)
REDUCED_TAIL = (Row(5, 672, 80, 2), Row(5, 480, 80, 1), Row(5, 480, 80, 1))
FULL_TAIL = (Row(5, 672, 160, 2), Row(5, 960, 160, 1), Row(5, 960, 160, 1))

ATTENTION: dict[Arm, tuple[tuple[range, Attention], ...]] = {
    "published": ((range(4, 7), SE), (range(9, 11), CPSCA), (range(11, 16), CA)),
    "large": ((range(4, 7), SE), (range(11, 16), SE)),
    "se-original": ((range(4, 7), SE), (range(11, 16), SE)),
    "none": ((range(4, 7), SE),),
    "se": ((range(4, 7), SE), (range(9, 16), SE)),
    "ca": ((range(4, 7), CA), (range(9, 16), CA)),
    "cpsca": ((range(4, 7), CPSCA), (range(9, 16), CPSCA)),
}
"""The arms of the ablation: which rows, counted from 1, have which attention. `large` also has the full tail."""


class Bottleneck(nn.Module):
    """1x1 expansion, depth-wise convolution, attention, 1x1 projection; the input is added where shapes allow."""

    def __init__(self, in_channels: int, row: Row, stride: int, attention: Attention | None) -> None:
        super().__init__()
        self.adds = stride == 1 and in_channels == row.out_channels
        layers: list[nn.Module] = []
        if row.expanded != in_channels:
            layers.append(convolution(in_channels, row.expanded, 1))
        layers.append(activated(DepthwiseConvolution(row.expanded, row.kernel_size, stride)))
        if attention:
            layers.append(attention(row.expanded))
        layers.append(nn.Sequential(nn.Conv2d(row.expanded, row.out_channels, 1, bias=False), NORM(row.out_channels)))
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layers(x)
        return x + y if self.adds else y


class FerMobileNetV3(Classifier):
    """The improved MobileNetV3: faces (B, C, S, S) to features (B, 640), (B, 1280) for `large`, to logits (B, K)."""

    paper = "https://doi.org/10.1049/ipr2.12798"
    options_class = FerMobileNetV3Options

    def __init__(self, classes: int, in_channels: int, options: FerMobileNetV3Options) -> None:
        super().__init__()
        arm, resolution = options.arm, options.resolution
        reduced = arm != "large"
        rows = (*LOW_ROWS, *HIGH_ROWS, *(REDUCED_TAIL if reduced else FULL_TAIL))
        attention_of = {number: attention for numbers, attention in ATTENTION[arm] for number in numbers}
        self.stem = convolution(in_channels, 16, 3, stride=1 if resolution == "no-stride-in-stem" else 2)
        blocks: list[nn.Module] = []
        channels = 16
        for number, row in enumerate(rows, start=1):
            stride = 1 if number == 2 and resolution == "no-stride-in-row-2" else row.stride
            blocks.append(Bottleneck(channels, row, stride, attention_of.get(number)))
            channels = row.out_channels
        self.rows = nn.Sequential(*blocks)
        self.last = convolution(channels, 6 * channels, 1)
        self.feature_count = 640 if reduced else 1280
        self.embedding = nn.Sequential(nn.Linear(6 * channels, self.feature_count), nn.Hardswish())
        self.dropout = nn.Dropout(options.dropout)
        self.classifier = nn.Linear(self.feature_count, classes)
        self.apply(initialise)

    def forward_features(self, x: Tensor) -> Tensor:
        """Faces (B, C, S, S) to features (B, 640); at 224 px the last maps are 7 x 7."""
        x = self.last(self.rows(self.stem(x)))  # (B, 480, 7, 7)
        features: Tensor = self.embedding(x.mean(dim=(2, 3)))
        return features

    def classify(self, features: Tensor) -> Tensor:
        """Features (B, 640) to logits (B, K)."""
        logits: Tensor = self.classifier(self.dropout(features))
        return logits


def convolution(in_channels: int, out_channels: int, kernel_size: int, stride: int = 1) -> nn.Sequential:
    """Convolution without bias, batch norm, h-swish; keeps height and width / stride."""
    return activated(nn.Conv2d(in_channels, out_channels, kernel_size, stride, kernel_size // 2, bias=False))


def activated(layer: nn.Conv2d) -> nn.Sequential:
    """A convolution, batch norm, h-swish."""
    return nn.Sequential(layer, NORM(layer.out_channels), nn.Hardswish())


def initialise(layer: nn.Module) -> None:
    """Weights as torchvision's MobileNetV3 starts: He's normal of the fan-out, linear layers with deviation 0.01."""
    if isinstance(layer, nn.Conv2d):
        nn.init.kaiming_normal_(layer.weight, mode="fan_out")
    elif isinstance(layer, nn.Linear):
        nn.init.normal_(layer.weight, 0, 0.01)
    if isinstance(layer, nn.Conv2d | nn.Linear) and layer.bias is not None:
        nn.init.zeros_(layer.bias)

"""mini_XCEPTION, the network inside `fer`, with random weights: what it costs to run, not what it knows.

Arriaga et al., "Real-time Convolutional Neural Networks for Emotion and Gender Classification", arXiv:1710.07557.
Layers and sizes are those of `mini_XCEPTION` in the authors' Keras code (github.com/oarriaga/face_classification,
src/models/cnn.py) for 64x64 grey pixels and seven classes: 58,423 parameters as Keras counts them, which takes in the
1,472 running statistics of batch normalisation.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from mien.export.classifier import to_onnx
from mien.expressions import BASIC_7
from mien.models import count_multiply_adds
from mien.models.classifier import Classifier
from mien.preprocessing import Preprocessing
from mien.weights import ModelCard

KERAS_PARAMETERS = 58_423
PREPROCESSING = Preprocessing(size_px=64, channels=1, mean=0.5, std=0.5)
"""As `fer` has it: intensities from -1 to 1."""


def separable(in_channels: int, out_channels: int) -> nn.Sequential:
    """3x3 for each channel, 1x1 over the channels, batch normalisation."""
    return nn.Sequential(
        nn.Conv2d(in_channels, in_channels, 3, padding=1, groups=in_channels, bias=False),
        nn.Conv2d(in_channels, out_channels, 1, bias=False),
        nn.BatchNorm2d(out_channels),
    )


class Module(nn.Module):
    """Two separable convolutions and a pooling that halves the sides, beside a 1x1 convolution that does the same."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            nn.Conv2d(in_channels, out_channels, 1, stride=2, bias=False), nn.BatchNorm2d(out_channels)
        )
        self.main = nn.Sequential(
            separable(in_channels, out_channels), nn.ReLU(), separable(out_channels, out_channels)
        )

    def forward(self, x: Tensor) -> Tensor:
        y = self.main(x)
        # Keras pads for stride 2 by one on both sides where the side is odd, else on the right and below alone.
        pooled = functional.max_pool2d(y, 3, 2, padding=y.shape[-1] % 2, ceil_mode=True)
        mixed: Tensor = pooled + self.residual(x)
        return mixed


class MiniXception(Classifier):
    """Faces (B, 1, 64, 64) to seven logits, which are means of class maps and its only features."""

    paper = "https://arxiv.org/abs/1710.07557"
    feature_count = len(BASIC_7)

    def __init__(self) -> None:
        super().__init__()
        self.base = nn.Sequential(
            nn.Conv2d(1, 8, 3, bias=False),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.Conv2d(8, 8, 3, bias=False),
            nn.BatchNorm2d(8),
            nn.ReLU(),
        )
        self.body = nn.Sequential(Module(8, 16), Module(16, 32), Module(32, 64), Module(64, 128))
        self.maps = nn.Conv2d(128, self.feature_count, 3, padding=1)

    def forward_features(self, x: Tensor) -> Tensor:
        maps: Tensor = self.maps(self.body(self.base(x)))  # (B, 8, 60, 60), (B, 128, 4, 4), (B, 7, 4, 4)
        return maps.mean((2, 3))

    def classify(self, features: Tensor) -> Tensor:
        return features.clone()


def keras_parameters(network: nn.Module) -> int:
    """Parameters as Keras counts them: with the running means and variances of batch normalisation."""
    statistics = sum(buffer.numel() for name, buffer in network.named_buffers() if name.endswith(("mean", "var")))
    return statistics + sum(parameter.numel() for parameter in network.parameters())


def mini_xception_onnx() -> bytes:
    """An ONNX file of the network with random weights, made as mien makes those of its own networks."""
    torch.manual_seed(0)
    network = MiniXception()
    if (found := keras_parameters(network)) != KERAS_PARAMETERS:
        raise ValueError(f"mini_XCEPTION: expected {KERAS_PARAMETERS} parameters, found {found}")
    parameters = sum(parameter.numel() for parameter in network.parameters())
    multiply_adds = count_multiply_adds(network, 1, PREPROCESSING.size_px)
    card = ModelCard(
        "mini-xception", BASIC_7, PREPROCESSING, "nothing", parameters, multiply_adds, {}, "", MiniXception.paper
    )
    return to_onnx(network, card)

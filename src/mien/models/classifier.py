"""What every network offers: features, logits, and their composition."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import torch
from torch import Tensor, nn


class Classifier(nn.Module, ABC):
    """Network input (B, C, S, S) to features (B, D) to logits (B, K)."""

    paper: ClassVar[str]
    """Link to the paper that describes the network."""
    options_class: ClassVar[type[Any]]
    """What `network.options` of an experiment file may say, as the constructor takes it."""
    bfloat16_on_cpu: ClassVar[bool] = False
    """Whether processors with bfloat16 instructions train it faster in mixed precision: dense 3x3 convolutions do, at
    1.8 times the speed, where depth-wise ones fall to half of it (measured with AVX512_BF16, torch 2.13)."""
    feature_count: int
    """D, the width of the features that `classify` takes."""
    classifier: nn.Linear
    """What `classify` ends with."""
    vote_head: nn.Linear | None
    """A second layer on the features, learned beside the first one: logits (B, 8) of FERPlus' classes."""

    def __init__(self) -> None:
        super().__init__()
        self.vote_head = None

    @abstractmethod
    def forward_features(self, x: Tensor) -> Tensor:
        """Network input (B, C, S, S) to features (B, D)."""

    @abstractmethod
    def classify(self, features: Tensor) -> Tensor:
        """Features (B, D) to logits (B, K)."""

    def divide_logits(self, temperature: float) -> None:
        """Divide all logits to come by a temperature: fold it into the last layer.

        A network whose `classify` ends in more than `classifier` has its own.
        """
        with torch.no_grad():
            for parameter in self.classifier.parameters():
                parameter.div_(temperature)

    def folded(self) -> "Classifier":
        """A network that answers the same in evaluation mode, without what training alone needs; by default itself."""
        return self

    def forward(self, x: Tensor) -> Tensor:
        return self.classify(self.forward_features(x))

"""What every network offers: features, logits, and their composition."""

from abc import ABC, abstractmethod
from typing import ClassVar

from torch import Tensor, nn


class Classifier(nn.Module, ABC):
    """Network input (B, C, S, S) to features (B, D) to logits (B, K)."""

    paper: ClassVar[str]
    """Link to the paper that describes the network."""
    feature_count: int
    """D, the width of the features that `classify` takes."""

    @abstractmethod
    def forward_features(self, x: Tensor) -> Tensor:
        """Network input (B, C, S, S) to features (B, D)."""

    @abstractmethod
    def classify(self, features: Tensor) -> Tensor:
        """Features (B, D) to logits (B, K)."""

    def forward(self, x: Tensor) -> Tensor:
        return self.classify(self.forward_features(x))

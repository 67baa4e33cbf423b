"""A second head that learns how ten people voted on each face, beside the label; it does not ship.

Of the single labels of FER2013 people confirm two in three (FERPlus: Barsoum et al., ICMI 2016,
https://arxiv.org/abs/1608.01041). The votes tell the features what a single label does not: which other
expressions a face resembles. That this helps is a choice of mien's, not of a paper implemented here.
"""

from torch import Tensor, nn
from torch.nn import functional

from mien.expressions import FERPLUS_8


class VoteHead(nn.Module):
    """A linear layer on features (B, D) whose softmax approaches the shares of votes (B, 8)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, len(FERPLUS_8))

    def forward(self, features: Tensor, shares: Tensor) -> Tensor:
        """Mean cross entropy with the shares; faces without votes add nothing."""
        loss: Tensor = functional.cross_entropy(self.linear(features), shares)
        return loss

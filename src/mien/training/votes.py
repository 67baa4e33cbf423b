"""A second head that learns how ten people voted on each face, beside the label.

Of the single labels of FER2013 people confirm two in three (FERPlus: Barsoum et al., ICMI 2016,
https://arxiv.org/abs/1608.01041). The votes tell the features what a single label does not: which other
expressions a face resembles. That this helps is a choice of mien's, not of a paper implemented here.
"""

from torch import Tensor, nn
from torch.nn import functional

from mien.expressions import FERPLUS_8
from mien.models import Classifier


def make_vote_head(network: Classifier) -> nn.Linear:
    """A head for the votes on a network's features, freshly initialised."""
    return nn.Linear(network.feature_count, len(FERPLUS_8))


def vote_loss(logits: Tensor, shares: Tensor) -> Tensor:
    """Mean cross entropy of logits (B, 8) with shares of votes (B, 8); faces without votes add nothing."""
    return functional.cross_entropy(logits, shares)

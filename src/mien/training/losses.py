"""Losses beside plain cross entropy: several right answers, and centre loss in two forms."""

import torch
from torch import Tensor, nn
from torch.nn import functional

EPSILON = 0.001
"""Share of a target that every expression keeps in the multi-label loss, as in FERPlus' reference code."""


def multi_label_losses(logits: Tensor, targets: Tensor) -> Tensor:
    """-log max(t p) of each face (B,): any of the right answers will do.

    logits: (B, K). targets: (B, K), not 0 for right answers. Barsoum et al., ICMI 2016,
    https://arxiv.org/abs/1608.01041, with t = 1 for right answers and 0.001 for the others, as in the reference code.
    """
    right = (targets > 0) * (1 - EPSILON) + EPSILON
    best: Tensor = (functional.log_softmax(logits, dim=1) + right.log()).amax(dim=1)
    return -best


class CentreLoss(nn.Module):
    """Half of the squared distance of features to the centre of their class; centres follow the features.

    Wen et al., "A Discriminative Feature Learning Approach for Deep Face Recognition", ECCV 2016,
    https://doi.org/10.1007/978-3-319-46478-7_31: after each batch, centre c_j moves by
    rate * sum(x_i - c_j) / (1 + n_j) over the n_j features of its class. Centres start at the mean of the first
    features of their class (chosen); the mean over the batch is taken, as of the softmax loss.
    """

    centres: Tensor
    started: Tensor

    def __init__(self, classes: int, width: int, rate: float) -> None:
        super().__init__()
        self.rate = rate
        self.register_buffer("centres", torch.zeros(classes, width))
        self.register_buffer("started", torch.zeros(classes))

    def forward(self, features: Tensor, labels: Tensor) -> Tensor:
        """Features (B, D) and labels int64 (B,) to a scalar, with the centres as they were before this batch."""
        features = features.float()
        counts = torch.bincount(labels, minlength=len(self.centres))
        with torch.no_grad():
            means = self._sums(features, labels) / counts.clamp(min=1).unsqueeze(1)
            new = (self.started == 0) & (counts > 0)
            self.centres[new], self.started[new] = means[new], 1.0
        distances = features - self.centres[labels]
        loss: Tensor = distances.square().sum(dim=1).mean() / 2
        with torch.no_grad():
            self.centres += self.rate * self._sums(distances, labels) / (1 + counts.unsqueeze(1))
        return loss

    def _sums(self, values: Tensor, labels: Tensor) -> Tensor:
        """Sums (K, D) of values (B, D) by label."""
        return torch.zeros_like(self.centres).index_add_(0, labels, values.detach())


def noisy_logit_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """What the authors of fer_mobilenet_v3.py run as centre loss: mean of |z_i - c|² / n_y, c drawn anew, halved.

    logits: (B, K). labels: int64 (B,); n_y is the number of faces in the batch with the label of face i. The centres
    are standard normal numbers that nothing learns: a noisy penalty on large logits.
    """
    classes = logits.shape[1]
    centres = torch.randn(classes, classes, device=logits.device)
    counts = torch.bincount(labels, minlength=classes)
    distances = (logits.float() - centres[labels]).square().sum(dim=1)
    return (distances / counts[labels]).mean() / 2

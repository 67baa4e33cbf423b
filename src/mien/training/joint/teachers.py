"""A network's own average as the teacher of faces whose labels are not known: it sees them hardly changed.

Mean teachers: Tarvainen and Valpola, NeurIPS 2017, https://arxiv.org/abs/1703.01780; the network learns from a strongly
changed face what its average answers to the weakly changed one as in FixMatch, Sohn et al., NeurIPS 2020,
https://arxiv.org/abs/2001.07685; by weights instead of a threshold as in SoftMatch, Chen et al., ICLR 2023,
https://arxiv.org/abs/2301.10921, but with the mean and deviation of each batch alone; distribution alignment as in
ReMixMatch, Berthelot et al., ICLR 2020, https://arxiv.org/abs/1911.09785; labels of people, which are often wrong, may
be mixed with the answers too, as in Reed et al., ICLR 2015 workshop, https://arxiv.org/abs/1412.6596.
"""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from mien.training.batches import Batch

GROWING = 0.45
"""Part of the round in which the share of the average's answers grows from 0 (chosen): first it knows less than what
several networks and clusters have told."""
DEVIATIONS = 2.0
"""The weight falls like a normal distribution whose deviation is that of the batch divided by this (SoftMatch)."""
FOLLOWING = 0.01
"""How fast the mean of the answers follows that of each batch (chosen)."""


class OwnAnswers(nn.Module):
    """Changes labels, targets and weights of the faces whose labels were given by networks, and others' targets.

    An answer is the mean of those to the weakly changed face and to its mirror image.
    share: of the average's answer in a face's new distribution, against its old one, once it is grown. What is
    likeliest in it becomes the label, and the less sure that is, the less the face counts.
    labelled_share: the same in the targets of the faces whose labels were not given by networks.
    class_shares: (K,), where they are known of these faces: distributions are scaled so that their mean becomes these.
    """

    answered: Tensor
    class_shares: Tensor | None

    def __init__(self, share: float, labelled_share: float = 0.0, class_shares: Tensor | None = None) -> None:
        super().__init__()
        self.share, self.labelled_share = share, labelled_share
        self.register_buffer("class_shares", class_shares, persistent=False)
        self.register_buffer("answered", None if class_shares is None else class_shares.clone())

    def forward(self, batch: Batch, average: Any, passed: float) -> Batch:
        """The batch with labels by the average network, in evaluation mode.

        It needs targets, weights, `given` and `weak`. passed: of the round, from 0 to 1.
        """
        given, targets, weights = batch.given, batch.targets, batch.weights
        assert given is not None
        assert targets is not None
        assert weights is not None
        assert batch.weak is not None
        grown = min(1.0, passed / GROWING)
        with torch.no_grad():
            answers = _answers(average, batch.weak)
            told = torch.lerp(targets, answers, self.labelled_share * grown)
            labels, weights = batch.labels.clone(), weights.clone()
            if given.any():
                sure, likeliest = self._aligned(torch.lerp(targets, answers, self.share * grown)[given]).max(dim=1)
                labels[given] = likeliest
                told[given] = functional.one_hot(likeliest, told.shape[1]).to(told.dtype)
                weights[given] *= confidence_weights(sure)
        return replace(batch, labels=labels, targets=told, weights=weights)

    def _aligned(self, answers: Tensor) -> Tensor:
        if self.class_shares is None:
            return answers
        self.answered.lerp_(answers.mean(dim=0), FOLLOWING)
        answers = answers * (self.class_shares / self.answered.clamp(min=1e-6))
        return answers / answers.sum(dim=1, keepdim=True)


def _answers(network: Any, images: Tensor) -> Tensor:
    """Probabilities (N, K) of images (N, C, S, S), means of both mirror images."""
    views = torch.cat((images, images.flip(3))).contiguous(memory_format=torch.channels_last)
    answers: Tensor = network.classify(network.forward_features(views)).softmax(dim=1)
    return answers.view(2, len(images), -1).mean(dim=0)


def confidence_weights(sure: Tensor) -> Tensor:
    """Weights (N,) of N faces by the probability (N,) of their label: 1 from its mean on, less below."""
    below = (sure - sure.mean()).clamp(max=0)
    variance = sure.var(correction=0).clamp(min=1e-6) / DEVIATIONS**2
    return (-below.square() / (2 * variance)).exp()

"""A network's own average as the teacher of faces whose labels are not known: it sees them as they are.

Mean teachers: Tarvainen and Valpola, NeurIPS 2017, https://arxiv.org/abs/1703.01780; the network learns from a changed
face what its average answers to the plain one as in FixMatch, Sohn et al., NeurIPS 2020,
https://arxiv.org/abs/2001.07685; by weights instead of a threshold as in SoftMatch, Chen et al., ICLR 2023,
https://arxiv.org/abs/2301.10921, but with the mean and deviation of each batch alone.
"""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from mien.training.batches import Batch

DEVIATIONS = 2.0
"""The weight falls like a normal distribution whose deviation is this part of that of the batch (as in SoftMatch)."""


class OwnAnswers:
    """Changes labels, targets and weights of the faces whose labels were given by networks; the others keep theirs.

    share: of the average's answer in a face's new distribution, against its old one. What is likeliest in it becomes
    the label, and the less sure that is, the less the face counts.
    """

    def __init__(self, share: float) -> None:
        self.share = share

    def __call__(self, batch: Batch, average: Any) -> Batch:
        """The batch with labels by the average network, in evaluation mode.

        It needs targets, weights, `given` and `unchanged`.
        """
        given, targets, weights = batch.given, batch.targets, batch.weights
        assert given is not None
        assert targets is not None
        assert weights is not None
        assert batch.unchanged is not None
        if not given.any():
            return batch
        with torch.no_grad():
            images = batch.unchanged[given].contiguous(memory_format=torch.channels_last)
            answers = average.classify(average.forward_features(images)).softmax(dim=1)
            sure, likeliest = torch.lerp(targets[given], answers, self.share).max(dim=1)
            labels, targets, weights = batch.labels.clone(), targets.clone(), weights.clone()
            labels[given] = likeliest
            targets[given] = functional.one_hot(likeliest, targets.shape[1]).to(targets.dtype)
            weights[given] *= confidence_weights(sure)
        return replace(batch, labels=labels, targets=targets, weights=weights)


def confidence_weights(sure: Tensor) -> Tensor:
    """Weights (N,) of N faces by the probability (N,) of their label: 1 from its mean on, less below."""
    below = (sure - sure.mean()).clamp(max=0)
    variance = sure.var(correction=0).clamp(min=1e-6) / DEVIATIONS**2
    return (-below.square() / (2 * variance)).exp()

import numpy as np
import torch
from torch import Tensor, nn

from mien.training.batches import Batch
from mien.training.teachers import OwnAnswers, confidence_weights


class Brightness(nn.Module):
    """Answers by the mean of a face alone, so that a changed face gets another answer."""

    def forward_features(self, images: Tensor) -> Tensor:
        return images.mean(dim=(1, 2, 3))[:, None]

    def classify(self, features: Tensor) -> Tensor:
        return torch.cat((features, -features), dim=1)


def batch(given: list[bool]) -> Batch:
    unchanged = torch.tensor([0.0, 1.0, -1.0]).view(3, 1, 1, 1).expand(3, 1, 4, 4)
    targets = torch.tensor([[0.3, 0.7], [0.3, 0.7], [0.0, 1.0]])
    labels, weights = torch.ones(3, dtype=torch.int64), torch.tensor([0.5, 0.5, 1.0])
    return Batch(torch.zeros(3, 1, 4, 4), labels, None, targets, weights, torch.tensor(given), unchanged)


def test_given_labels_follow_the_unchanged_face_the_others_stay() -> None:
    found = OwnAnswers(0.75)(before := batch([True, True, False]), Brightness())
    assert found.targets is not None
    assert found.weights is not None
    bright = 1 / (1 + np.exp(-2))  # of the second face's first class
    sure = np.array([0.25 * 0.7 + 0.75 * 0.5, 0.25 * 0.3 + 0.75 * bright])
    assert found.labels.tolist() == [1, 0, 1]
    assert found.targets.tolist() == [[0, 1], [1, 0], [0, 1]]
    below = sure[0] - sure.mean()
    expected = [0.5 * np.exp(-(below**2) / (2 * sure.var() / 4)), 0.5, 1.0]
    np.testing.assert_allclose(found.weights, expected, rtol=1e-5)
    assert found.images is before.images


def test_batches_without_given_labels_stay() -> None:
    assert OwnAnswers(0.5)(before := batch([False] * 3), Brightness()) is before


def test_equally_sure_faces_count_alike() -> None:
    assert torch.equal(confidence_weights(torch.full((4,), 0.5)), torch.ones(4))
    assert confidence_weights(torch.tensor([0.7])).tolist() == [1]

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from mien.training.batches import Batch
from mien.training.joint.teachers import FOLLOWING, GROWING, OwnAnswers, confidence_weights


class Brightness(nn.Module):
    """Answers by the mean of a face's left half alone, so that changed and mirrored faces get other answers."""

    def forward_features(self, images: Tensor) -> Tensor:
        return images[..., :2].mean(dim=(1, 2, 3))[:, None]

    def classify(self, features: Tensor) -> Tensor:
        return torch.cat((features, -features), dim=1)


def batch(given: list[bool]) -> Batch:
    weak = torch.tensor([0.0, 1.0, -1.0]).view(3, 1, 1, 1).expand(3, 1, 4, 4)
    targets = torch.tensor([[0.3, 0.7], [0.3, 0.7], [0.0, 1.0]])
    labels, weights = torch.ones(3, dtype=torch.int64), torch.tensor([0.5, 0.5, 1.0])
    return Batch(torch.zeros(3, 1, 4, 4), labels, None, targets, weights, torch.tensor(given), weak)


def halves(*faces: list[float]) -> Tensor:
    """Three images whose halves are so bright; the last one is black."""
    values = torch.tensor([*faces, [0.0, 0.0]])
    return values.repeat_interleave(2, dim=1)[:, None, None].expand(3, 1, 4, 4)


@pytest.mark.parametrize(("share", "passed"), [(0.75, 1.0), (0.75, GROWING), (1.0, 0.75 * GROWING)])
def test_given_labels_follow_the_weakly_changed_face_the_others_stay(share: float, passed: float) -> None:
    found = OwnAnswers(share)(before := batch([True, True, False]), Brightness(), passed)
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


def test_labelled_faces_get_a_share_of_the_answers() -> None:
    found = OwnAnswers(1.0, 0.5)(before := batch([False, True, False]), Brightness(), GROWING / 2)
    assert found.targets is not None
    assert found.weights is not None
    dark = 1 / (1 + np.exp(2))
    expected = [[0.75 * 0.3 + 0.25 * 0.5, 0.75 * 0.7 + 0.25 * 0.5], [1, 0], [0.25 * dark, 1 - 0.25 * dark]]
    np.testing.assert_allclose(found.targets, expected, atol=1e-6)
    assert found.labels.tolist() == [1, 0, 1]
    assert found.weights.tolist() == [0.5, 0.5, 1.0]
    assert before.labels.tolist() == [1, 1, 1]


def test_both_mirror_images_are_asked() -> None:
    found = OwnAnswers(1.0, 1.0)(replace(batch([False] * 3), weak=halves([0.5, 1.0], [-2.0, 3.0])), Brightness(), 1.0)
    answers = 1 / (1 + np.exp(-2 * np.array([[0.5, 1.0], [-2.0, 3.0]])))
    assert found.targets is not None
    np.testing.assert_allclose(found.targets[:2, 0], answers.mean(axis=1), atol=1e-6)


def test_batches_without_given_labels_stay() -> None:
    found = OwnAnswers(0.5)(before := batch([False] * 3), Brightness(), 1.0)
    assert torch.equal(found.labels, before.labels)
    for now, then in ((found.targets, before.targets), (found.weights, before.weights)):
        assert now is not None
        assert then is not None
        assert torch.equal(now, then)


def test_aligned_answers_get_the_class_shares_of_the_labelled_faces() -> None:
    shares = torch.tensor([0.2, 0.8])
    teacher = OwnAnswers(1.0, class_shares=shares)
    bright = 1 / (1 + np.exp(-2))
    mean = (0.5 + bright) / 2  # of the first class, over the two given faces
    for step in range(1, 400):
        found = teacher(batch([True, True, False]), Brightness(), 1.0)
        answered = 0.2 + (mean - 0.2) * (1 - (1 - FOLLOWING) ** step)
        np.testing.assert_allclose(teacher.answered, [answered, 1 - answered], rtol=1e-4)
        odds = bright / (1 - bright) * (0.2 / answered) / (0.8 / (1 - answered))
        assert found.labels.tolist() == [1, int(odds < 1), 1]
    assert found.labels.tolist() == [1, 1, 1]
    resumed = OwnAnswers(1.0, class_shares=shares)
    resumed.load_state_dict(teacher.state_dict())
    assert torch.equal(resumed.answered, teacher.answered)


def test_equally_sure_faces_count_alike() -> None:
    assert torch.equal(confidence_weights(torch.full((4,), 0.5)), torch.ones(4))
    assert confidence_weights(torch.tensor([0.7])).tolist() == [1]

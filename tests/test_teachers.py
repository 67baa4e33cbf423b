from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from mien.training import teachers
from mien.training.batches import Batch
from mien.training.teachers import Teachers


class Brightness(nn.Module):
    """Answers by the mean of a face alone, so that another view of it gets another answer."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward_features(self, images: Tensor) -> Tensor:
        return images.mean(dim=(1, 2, 3))[:, None] * self.factor

    def classify(self, features: Tensor) -> Tensor:
        return torch.cat((features, -features), dim=1)


def test_given_labels_follow_the_view_the_others_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    networks = {"a": Brightness(1.0), "b": Brightness(3.0)}
    monkeypatch.setattr(teachers, "load_checkpoint", lambda file: networks[file.name])
    monkeypatch.setattr(teachers, "deployable_network", lambda checkpoint: checkpoint)
    images = torch.tensor([0.0, 0.5, 0.5]).view(3, 1, 1, 1).expand(3, 1, 4, 4)
    targets = torch.tensor([[0.2, 0.8], [0.2, 0.8], [0.0, 1.0]])
    batch = Batch(images, torch.ones(3, dtype=torch.int64), targets=targets, given=torch.tensor([True, True, False]))
    found = Teachers([Path("a"), Path("b")], 0.25, 0.5, "cpu")(batch)
    mean = (1 / (1 + np.exp(-1)) + 1 / (1 + np.exp(-3))) / 2  # of the second face's first class
    sharp = mean**2 / (mean**2 + (1 - mean) ** 2)
    first = [0.25 * 0.5 + 0.75 * 0.2, 0.25 * sharp + 0.75 * 0.2]
    assert found.targets is not None
    np.testing.assert_allclose(found.targets[:2, 0], first, rtol=1e-5)
    np.testing.assert_allclose(found.targets.sum(dim=1), 1, rtol=1e-5)
    assert torch.equal(found.targets[2], targets[2])
    assert found.images is batch.images

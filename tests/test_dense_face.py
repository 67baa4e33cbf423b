import itertools
from collections.abc import Sequence

import pytest
import torch
from torch import nn

from mien.errors import ExperimentError
from mien.models import build_network, count_multiply_adds
from mien.models.dense_face import DenseBlock, DenseFace, DenseFaceOptions


@pytest.mark.parametrize(
    ("widths", "depths", "parameters", "millions"),
    [
        ((32, 48, 96, 176), (1, 3, 3, 3), 974_807, 87.9),
        ((32, 48, 96, 160), (1, 3, 3, 3), 864_055, 83.9),
        ((16, 32, 64, 112), (2, 2, 2, 2), 250_215, 28.0),
    ],
)
def test_parameters_and_multiply_adds(
    widths: Sequence[int], depths: Sequence[int], parameters: int, millions: float
) -> None:
    network = build_network("dense-face", 7, 1, {"widths": widths, "depths": depths}).folded()
    channels = (1, *(width for width, depth in zip(widths, depths, strict=True) for _ in range(depth)))
    by_hand = sum(9 * before * after + after for before, after in itertools.pairwise(channels))
    by_hand += channels[-1] * 7 + 7
    assert sum(parameter.numel() for parameter in network.parameters()) == by_hand
    assert by_hand == parameters
    assert count_multiply_adds(network, 1, 48) / 1e6 == pytest.approx(millions, abs=0.05)


@pytest.mark.parametrize("branches", ["repvgg", "identity", "none"])
def test_folding_is_exact(branches: str) -> None:
    torch.manual_seed(0)
    network = build_network("dense-face", 7, 1, {"widths": [8, 16, 16], "depths": [2, 2, 1], "branches": branches})
    network.train()
    for _ in range(4):  # statistics other than 0 and 1
        network(3 * torch.randn(16, 1, 48, 48) + 1)
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.uniform_(layer.weight, 0.5, 1.5)
            nn.init.uniform_(layer.bias, -0.5, 0.5)
    faces = torch.randn(4, 1, 48, 48)
    folded = network.eval().folded()
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in folded.modules())
    torch.testing.assert_close(folded(faces), network(faces), rtol=0, atol=1e-5)
    torch.testing.assert_close(folded.forward_features(faces), network.forward_features(faces), rtol=0, atol=1e-5)
    assert any(isinstance(layer, nn.BatchNorm2d) for layer in network.modules())  # it stays as it is
    torch.testing.assert_close(folded.folded()(faces), folded(faces))


def test_branches() -> None:
    first, same = DenseBlock(4, 8, 2, "repvgg"), DenseBlock(8, 8, 1, "repvgg")
    assert first.pointwise is not None
    assert first.identity is None
    assert isinstance(same.identity, nn.BatchNorm2d)
    plain = DenseBlock(8, 8, 1, "none")
    assert plain.pointwise is None
    assert plain.identity is None
    added = DenseBlock(8, 8, 1, "identity")
    added.load_state_dict(plain.state_dict())
    x = torch.rand(2, 8, 6, 6)
    assert (added.eval()(x) >= plain.eval()(x)).all()
    torch.testing.assert_close(added(x), torch.relu(plain.norm(plain.convolution(x)) + x))


def test_wrong_options() -> None:
    with pytest.raises(ExperimentError, match="dense-face: widths and depths must be as many"):
        build_network("dense-face", 7, 1, {"widths": [8, 16], "depths": [1]})
    with pytest.raises(ExperimentError, match=r"dense-face: branches: Input should be .* or 'none', found 'x'"):
        build_network("dense-face", 7, 1, {"branches": "x"})
    assert DenseFace(7, 1, DenseFaceOptions()).feature_count == 176

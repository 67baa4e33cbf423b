import math

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from mien.errors import ExperimentError
from mien.models import build_network, count_multiply_adds
from mien.models.ac_net import AffineMaps, AffinityConvolution, ChannelAffinity


@pytest.mark.parametrize(
    ("affinity", "parameters", "millions"),
    [("depthwise", 858_368, 22.8), ("affine", 851_888, 22.3), ("channel", 850_448, 25.0), ("none", 1_624_304, 44.0)],
)
def test_counts_of_each_affinity(affinity: str, parameters: int, millions: float) -> None:
    network = build_network("ac-net", 8, 1, {"affinity": affinity})
    assert sum(parameter.numel() for parameter in network.parameters()) == parameters
    assert count_multiply_adds(network, 1, 48) / 1e6 == pytest.approx(millions, abs=0.05)


def test_multiply_adds_of_a_module_worked_by_hand() -> None:
    """C_in m k² + m d² a place: 16 to 32 maps, 12 x 12 places."""
    module = AffinityConvolution(16, 32, 1, "depthwise", activation=True)
    with FlopCounterMode(display=False) as counter:
        assert module(torch.zeros(1, 16, 12, 12)).shape == (1, 32, 12, 12)
    assert counter.get_total_flops() / 2 == (16 * 16 * 9 + 16 * 9) * 144


def test_the_first_half_is_an_ordinary_convolution() -> None:
    torch.manual_seed(0)
    module = AffinityConvolution(4, 8, 2, "affine", activation=False).eval()
    cheap = module.cheap[0]  # type: ignore[index]
    assert isinstance(cheap, AffineMaps)
    with torch.no_grad():
        cheap.scale.fill_(-2.0)
        cheap.shift.fill_(0.5)
    y = module(torch.randn(2, 4, 6, 6))
    assert y.shape == (2, 8, 3, 3)
    torch.testing.assert_close(y[:, 4:], 0.5 - 2 * y[:, :4])


def test_channel_affinity_worked_by_hand() -> None:
    maps = torch.tensor([[[[2.0, 0.0]], [[0.0, 0.0]]]])  # Y Y^T / sqrt(2) = [[4 / sqrt(2), 0], [0, 0]]
    share = math.exp(4 / math.sqrt(2)) / (math.exp(4 / math.sqrt(2)) + 1)
    expected = torch.tensor([[[[2 * share, 0.0]], [[1.0, 0.0]]]])
    torch.testing.assert_close(ChannelAffinity()(maps), expected)


def test_features_and_logits() -> None:
    network = build_network("ac-net", 7, 3, {}).eval()
    faces = torch.randn(2, 3, 48, 48)
    features = network.forward_features(faces)
    assert features.shape == (2, 256) == (2, network.feature_count)
    assert torch.equal(network(faces), network.classify(features))
    with pytest.raises(ExperimentError, match=r"affinity: Input should be .* or 'none', found 'x'"):
        build_network("ac-net", 7, 1, {"affinity": "x"})

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from mien.errors import ExperimentError
from mien.models import NETWORKS, build_network
from mien.models.blocks import BetaMish, DepthwiseConvolution, interleave


def convolution_and_linear_parameters(network: nn.Module) -> int:
    layers = (layer for layer in network.modules() if isinstance(layer, nn.Conv2d | nn.Linear))
    return sum(parameter.numel() for layer in layers for parameter in layer.parameters())


def multiply_adds(network: nn.Module, channels: int, size_px: int) -> int:
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        network.eval()(torch.zeros(1, channels, size_px, size_px))
    return counter.get_total_flops() // 2


@pytest.mark.parametrize(
    ("name", "channels", "convolution_and_linear", "all_parameters"),
    [
        ("shufflenet-v2", 3, 1_244_599, 1_260_779),
        ("rlr-cnet", 3, 1_018_203, 1_031_019),
        ("rlr-cnet", 1, 1_017_771, 1_030_587),
    ],
)
def test_parameters_are_those_inferred_from_the_paper(
    name: str, channels: int, convolution_and_linear: int, all_parameters: int
) -> None:
    network = build_network(name, 7, channels, {})
    assert convolution_and_linear_parameters(network) == convolution_and_linear
    assert sum(parameter.numel() for parameter in network.parameters()) == all_parameters


@pytest.mark.parametrize(
    ("name", "stem", "channels", "size_px", "millions"),
    [
        ("shufflenet-v2", "stride4", 3, 224, 143.9),
        ("rlr-cnet", "stride4", 3, 224, 117.0),
        ("shufflenet-v2", "stride4", 3, 48, 8.2),
        ("rlr-cnet", "stride4", 3, 48, 6.7),
        ("rlr-cnet", "stride4", 3, 112, 32.2),
        ("rlr-cnet", "stride2", 1, 48, 20.1),
        ("rlr-cnet", "stride1", 1, 48, 80.5),
    ],
)
def test_multiply_adds(name: str, stem: str, channels: int, size_px: int, millions: float) -> None:
    network = build_network(name, 7, channels, {"stem": stem})
    assert multiply_adds(network, channels, size_px) / 1e6 == pytest.approx(millions, abs=0.05)


@pytest.mark.parametrize(("stem", "side"), [("stride4", 6), ("stride2", 12), ("stride1", 24)])
def test_stem_sets_the_resolution_of_stage_2(stem: str, side: int) -> None:
    network = build_network("rlr-cnet", 7, 1, {"stem": stem})
    stage_2 = network.stages[0](network.stem(torch.zeros(1, 1, 48, 48)))
    assert stage_2.shape == (1, 116, side, side)


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_forward_is_classify_after_features(name: str) -> None:
    network = build_network(name, 5, 1, {"dropout": 0.5}).eval()
    faces = torch.randn(3, 1, 48, 48)
    features = network.forward_features(faces)
    assert features.shape == (3, 1024)
    assert torch.equal(network(faces), network.classify(features))
    assert network(faces).shape == (3, 5)


def test_clipped_activation_is_an_option_without_parameters() -> None:
    plain = build_network("rlr-cnet", 7, 1, {})
    active = build_network("rlr-cnet", 7, 1, {"clipped_activation": "beta-mish"})
    assert sum(p.numel() for p in plain.parameters()) == sum(p.numel() for p in active.parameters())
    active.load_state_dict(plain.state_dict())
    faces = torch.randn(2, 1, 48, 48)
    assert not torch.allclose(plain.eval()(faces), active.eval()(faces))


def test_unknown_names_list_the_known_ones() -> None:
    with pytest.raises(ExperimentError, match=r"unknown network 'vgg'; known: rlr-cnet, shufflenet-v2"):
        build_network("vgg", 7, 1, {})
    with pytest.raises(ExperimentError, match=r"unknown option depth; known: .*stem"):
        build_network("rlr-cnet", 7, 1, {"depth": 3})
    with pytest.raises(ExperimentError, match=r"stem must be one of stride4, stride2, stride1, not 'stride3'"):
        build_network("rlr-cnet", 7, 1, {"stem": "stride3"})


def test_interleave_is_concatenation_and_channel_shuffle() -> None:
    first, second = torch.randn(2, 6, 5, 5), torch.randn(2, 6, 5, 5)
    joined = torch.cat([first, second], dim=1)
    shuffled = joined.view(2, 2, 6, 5, 5).transpose(1, 2).reshape(2, 12, 5, 5)
    assert torch.equal(interleave(first, second), shuffled)


@pytest.mark.parametrize("beta", [0.2, 0.5, 1.0, 1.5, 3.0])
def test_beta_mish_equals_its_definition_and_gradient(beta: float) -> None:
    x = torch.cat([torch.linspace(-30, 30, 601), torch.tensor([-1e4, -100.0, 100.0, 1e4])])
    fast, plain = x.clone().requires_grad_(), x.clone().requires_grad_()
    value = BetaMish(beta)(fast)
    expected = plain * torch.tanh(beta * functional.softplus(plain))
    torch.testing.assert_close(value, expected, atol=5e-6, rtol=1e-6)
    value.sum().backward()
    expected.sum().backward()
    torch.testing.assert_close(fast.grad, plain.grad, atol=1e-5, rtol=1e-5)
    with torch.no_grad():
        torch.testing.assert_close(BetaMish(beta)(x), expected.detach(), atol=5e-6, rtol=1e-6)
        half = x.clamp(-50, 50).to(torch.bfloat16)
        assert (BetaMish(beta)(half).float() - BetaMish(beta)(half.float())).abs().max() < 0.3


def test_beta_of_one_is_mish() -> None:
    x = torch.randn(100)
    torch.testing.assert_close(BetaMish(1.0)(x), functional.mish(x))


def test_beta_must_be_positive() -> None:
    with pytest.raises(ValueError, match=r"beta must be at least 0\.2, not 0"):
        BetaMish(0)


@pytest.mark.parametrize(("side", "stride"), [(3, 1), (6, 1), (3, 2), (7, 2)])
def test_depthwise_convolution_is_the_same_in_training(side: int, stride: int) -> None:
    layer = DepthwiseConvolution(8, 5, stride)
    x = torch.randn(2, 8, side, side)
    torch.testing.assert_close(layer.train()(x), layer.eval()(x))

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

from mien.errors import ExperimentError
from mien.models import NETWORKS, build_network, count_multiply_adds
from mien.models.attention import ShuffleAttention
from mien.models.blocks import BetaMish, DepthwiseConvolution, interleave
from mien.models.rlr_cnet import RlrCnetDual
from mien.training.checkpoint import load_checkpoint
from mien.training.weights_file import find_initial_weights


def convolution_and_linear_parameters(network: nn.Module) -> int:
    layers = (layer for layer in network.modules() if isinstance(layer, nn.Conv2d | nn.Linear))
    return sum(parameter.numel() for layer in layers for parameter in layer.parameters())


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
        ("shufflenet-v2", "stride4", 3, 112, 39.4),
        ("rlr-cnet", "stride4", 3, 112, 32.2),
        ("rlr-cnet", "stride2", 1, 48, 20.1),
        ("rlr-cnet", "stride1", 1, 48, 80.5),
    ],
)
def test_multiply_adds(name: str, stem: str, channels: int, size_px: int, millions: float) -> None:
    network = build_network(name, 7, channels, {"stem": stem})
    assert count_multiply_adds(network, channels, size_px) / 1e6 == pytest.approx(millions, abs=0.05)


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
    assert features.shape == (3, network.feature_count)
    assert torch.equal(network(faces), network.classify(features))
    assert network(faces).shape == (3, 5)


def test_unknown_names_list_the_known_ones() -> None:
    with pytest.raises(
        ExperimentError,
        match=r"unknown network 'vgg'; known: ac-net, dense-face, fer-mobilenet-v3, rlr-cnet, ",
    ):
        build_network("vgg", 7, 1, {})
    with pytest.raises(ExperimentError, match=r"unknown key 'depth'; known: .*stem"):
        build_network("rlr-cnet", 7, 1, {"depth": 3})
    with pytest.raises(ExperimentError, match=r"stem: Input should be .* or 'stride1', found 'stride3'"):
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


@pytest.mark.parametrize(
    ("options", "convolution_and_linear", "attention"),
    [
        ({}, 1_018_203, 174),
        ({"head": "concatenated"}, 1_018_203 + 7 * 1024, 174),
        ({"head": "two"}, 1_018_203 + 7 * 1024 - 7, 174),
    ],
)
def test_parameters_of_the_branches(options: dict[str, Any], convolution_and_linear: int, attention: int) -> None:
    """Shuffle attention adds 6 C / (2G); the heads what their form says."""
    network = build_network("rlr-cnet-dual", 7, 3, options)
    assert convolution_and_linear_parameters(network) == convolution_and_linear
    own = sum(
        p.numel() for layer in network.modules() if isinstance(layer, ShuffleAttention) for p in layer.parameters()
    )
    assert own == attention


@pytest.mark.parametrize(
    ("options", "millions"),
    [
        ({}, 6.732 + 1.90),
        ({"head": "concatenated"}, 6.732 + 1.90 + 0.007),
        ({"head": "two"}, 6.732 + 1.90 + 0.007),
    ],
)
def test_multiply_adds_of_both_branches(options: dict[str, Any], millions: float) -> None:
    """At 48 px with the published stem one path takes 6.7 M; what follows the first attention is paid twice.

    The last convolution on 2 x 2 places: 464 * 1024 * 4 = 1.90 M.
    """
    network = build_network("rlr-cnet-dual", 7, 3, {"stem": "stride4", **options})
    assert count_multiply_adds(network, 3, 48) / 1e6 == pytest.approx(millions, abs=0.005)
    assert isinstance(network, RlrCnetDual)
    path = network.feature_branch()
    assert count_multiply_adds(path, 3, 48) == count_multiply_adds(
        build_network("rlr-cnet", 7, 3, {"stem": "stride4"}), 3, 48
    )
    assert count_multiply_adds(path, 3, 224) / 1e6 == pytest.approx(117.0, abs=0.05)


DUAL_OPTIONS: list[dict[str, Any]] = [
    {},
    {"head": "two"},
    {"head": "concatenated"},
]


def disturbed(network: nn.Module) -> nn.Module:
    """Gives every parameter of attention, which starts as a constant, some effect."""
    torch.manual_seed(1)
    for layer in network.modules():
        if isinstance(layer, ShuffleAttention):
            for parameter in layer.parameters():
                parameter.data += 0.5 * torch.randn_like(parameter)
    return network


@pytest.mark.parametrize("options", DUAL_OPTIONS, ids=str)
def test_both_branches_on_one_face_and_the_feature_branch_alone(options: dict[str, Any]) -> None:
    torch.manual_seed(0)
    network = disturbed(build_network("rlr-cnet-dual", 7, 1, options)).eval()
    assert isinstance(network, RlrCnetDual)
    faces, others = torch.randn(2, 3, 1, 48, 48)
    regular, rebalanced = network.forward_branches(faces, faces)
    torch.testing.assert_close(network(faces), network.classify(network.mix(regular, rebalanced, 0.5)))
    torch.testing.assert_close(network.forward_branches(faces, others)[0], regular)
    torch.testing.assert_close(network.forward_branches(others, faces)[1], rebalanced)
    alone = network.feature_branch().eval()
    torch.testing.assert_close(alone(faces), network.classify(network.mix(regular, rebalanced, 1.0)))
    assert not torch.allclose(regular, rebalanced)


def test_shuffle_attention_follows_its_equations() -> None:
    torch.manual_seed(0)
    layer = disturbed(ShuffleAttention(24, 3)).eval()
    assert isinstance(layer, ShuffleAttention)
    x = torch.randn(2, 24, 5, 4)
    parts = []
    for group in x.chunk(3, dim=1):  # (2, 8, 5, 4)
        a, b = group.chunk(2, dim=1)  # (2, 4, 5, 4)
        s = a.mean(dim=(2, 3), keepdim=True)
        w1, b1 = layer.channel_weight.view(1, 4, 1, 1), layer.channel_bias.view(1, 4, 1, 1)
        t = (b - b.mean(dim=(2, 3), keepdim=True)) / (b.var(dim=(2, 3), unbiased=False, keepdim=True) + 1e-5).sqrt()
        t = t * layer.norm.weight.view(1, 4, 1, 1) + layer.norm.bias.view(1, 4, 1, 1)
        w2, b2 = layer.place_weight.view(1, 4, 1, 1), layer.place_bias.view(1, 4, 1, 1)
        parts += [a * torch.sigmoid(w1 * s + b1), b * torch.sigmoid(w2 * t + b2)]
    expected = functional.channel_shuffle(torch.cat(parts, dim=1), 2)
    torch.testing.assert_close(layer(x), expected)


def test_shuffle_attention_starts_as_a_constant() -> None:
    x = torch.randn(2, 464, 3, 3)
    shuffled = functional.channel_shuffle(x, 2)
    torch.testing.assert_close(ShuffleAttention(464, 8)(x), shuffled * torch.sigmoid(torch.tensor(1.0)))


@pytest.mark.parametrize(
    ("channels", "possible"),
    [(116, {1, 2, 29, 58}), (232, {1, 2, 4, 29, 58, 116}), (464, {1, 2, 4, 8, 29, 58, 116, 232})],
)
def test_groups_must_divide_the_channels(channels: int, possible: set[int]) -> None:
    for groups in range(-1, channels + 1):
        if groups in possible:
            assert ShuffleAttention(channels, groups)(torch.zeros(1, channels, 2, 2)).shape == (1, channels, 2, 2)
        else:
            with pytest.raises(ValueError, match=rf"{channels} channels need .*, not {groups}$"):
                ShuffleAttention(channels, groups)


def test_packaged_weights_of_rlr_cnet_still_fit() -> None:
    checkpoint = load_checkpoint(find_initial_weights("rlr-cnet"))
    network = build_network("rlr-cnet", 7, 1, checkpoint.header.experiment.network.options)
    network.load_state_dict(checkpoint.part("average"))

from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest
import torch
from torch import nn

from mien.datasets import open_dataset
from mien.errors import ExperimentError
from mien.models import build_network, count_multiply_adds
from mien.models.attention import (
    ComplementaryPoolingAttention,
    CoordinateAttention,
    SqueezeExcitation,
    make_divisible,
)
from mien.training.config import read_experiment
from mien.training.state import Training


def parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize(
    ("arm", "expected", "millions"),
    [
        ("large", 4_212_280, 215.3),
        ("se-original", 1_933_480, 181.7),
        ("none", 1_132_816, 180.9),
        ("se", 1_969_272, 181.7),
        ("ca", 1_286_701, 183.3),
        ("cpsca", 1_286_701, 184.5),
        ("published", 1_297_733, 183.1),
    ],
)
def test_every_arm_has_its_size(arm: str, expected: int, millions: float) -> None:
    network = build_network("fer-mobilenet-v3", 8, 3, {"arm": arm})
    assert parameters(network) == expected
    assert count_multiply_adds(network, 3, 224) / 1e6 == pytest.approx(millions, abs=0.05)


def test_seven_classes() -> None:
    assert parameters(build_network("fer-mobilenet-v3", 7, 3, {})) == 1_297_092


ROW_PARAMETERS = [464, 3_440, 4_440, 10_328, 20_992, 20_992, 32_080, 34_760, 36_800, 36_800]
ROW_PARAMETERS += [121_229, 203_231, 192_415, 113_485, 113_485]


def test_every_row_has_its_size() -> None:
    network = build_network("fer-mobilenet-v3", 8, 3, {})
    assert [parameters(row) for row in network.rows] == ROW_PARAMETERS
    assert [parameters(layer) for layer in (network.stem, network.last, network.embedding)] == [464, 39_360, 307_840]


@pytest.mark.parametrize(
    ("resolution", "size_px", "side"),
    [("published", 224, 7), ("published", 48, 2), ("no-stride-in-row-2", 48, 3), ("no-stride-in-stem", 48, 3)],
)
def test_resolution(resolution: str, size_px: int, side: int) -> None:
    network = build_network("fer-mobilenet-v3", 8, 1, {"resolution": resolution}).eval()
    faces = torch.randn(2, 1, size_px, size_px)
    assert network.rows(network.stem(faces)).shape == (2, 80, side, side)
    features = network.forward_features(faces)
    assert features.shape == (2, 640) == (2, network.feature_count)
    assert torch.equal(network(faces), network.classify(features))


def test_unknown_arms_are_named() -> None:
    with pytest.raises(ExperimentError, match=r"arm: Input should be 'published', 'large', .*, found 'big'"):
        build_network("fer-mobilenet-v3", 8, 3, {"arm": "big"})


@pytest.mark.parametrize("layer_class", [SqueezeExcitation, CoordinateAttention, ComplementaryPoolingAttention])
def test_attention_keeps_the_shape_and_weighs_between_0_and_1(layer_class: type[nn.Module]) -> None:
    x = torch.rand(2, 40, 5, 7) + 0.5
    weights = layer_class(40).eval()(x) / x
    assert weights.shape == (2, 40, 5, 7)
    assert 0 <= weights.min() < weights.max() <= 1
    if layer_class is SqueezeExcitation:
        torch.testing.assert_close(weights, weights.mean(dim=(2, 3), keepdim=True).expand_as(weights))


def pooled(layer: CoordinateAttention, rows: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
    """What follows the pooling, written out by the equations; rows (B, C, H), columns (B, C, W)."""
    joined = torch.cat((rows, columns), dim=2).unsqueeze(3)
    u = layer.norm(layer.squeeze(joined))
    f = u * torch.clamp(u + 3, 0, 6) / 6
    f_rows, f_columns = f[:, :, : rows.shape[2]], f[:, :, rows.shape[2] :]
    return torch.sigmoid(layer.rows(f_rows)) * torch.sigmoid(layer.columns(f_columns)).transpose(2, 3)


def test_coordinate_attention_follows_its_equations() -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 16, 5, 7)
    layer = CoordinateAttention(16).eval()
    torch.testing.assert_close(layer(x), x * pooled(layer, x.mean(dim=3), x.mean(dim=2)))


def test_the_crossing_of_complementary_pooling_has_no_effect() -> None:
    """W1 [a_h; m_w] + W1 [m_h; a_w] = W1 [a_h + m_h; a_w + m_w] + W1's bias once more, for a shared linear W1."""
    torch.manual_seed(0)
    x = torch.randn(2, 16, 5, 7)
    layer = ComplementaryPoolingAttention(16).eval()
    rows, columns = x.mean(dim=3) + x.amax(dim=3), x.mean(dim=2) + x.amax(dim=2)
    joined = torch.cat((rows, columns), dim=2).unsqueeze(3)
    assert layer.squeeze.bias is not None
    uncrossed = layer.squeeze(joined) + layer.squeeze.bias.view(1, -1, 1, 1)
    torch.testing.assert_close(layer.squeezed(x), uncrossed)
    assert parameters(layer) == parameters(CoordinateAttention(16))


def test_make_divisible_worked_by_hand() -> None:
    assert [make_divisible(channels) for channels in (4, 18, 30, 46, 120, 168)] == [8, 24, 32, 48, 120, 168]


def test_the_published_recipe_lowers_the_loss(class_folders: Path) -> None:
    """At 224 px, as in the experiment file, on small batches of drawn faces."""
    file = Path(__file__).parents[1] / "experiments" / "fer-mobilenet-ferplus-as-published.toml"
    wanted = read_experiment(file)
    wanted = replace(wanted, schedule=replace(wanted.schedule, batch_size=8))
    state = Training(wanted, open_dataset("folder", class_folders, "training"), None, torch.device("cpu"))
    assert sum(p.numel() for p in state.network.parameters()) == 1_297_733 - 5 * 641  # three classes
    state.network.train()
    batches = list(islice(state.method.batches(0), 2))
    losses = [state.take_step(batches[step % 2], step, 12)["loss"].item() for step in range(16)]
    assert sum(losses[-4:]) < 0.8 * sum(losses[:4])

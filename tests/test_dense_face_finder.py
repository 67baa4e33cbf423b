from typing import Any

import pytest
import torch

from mien.detection.decoding import VALUES
from mien.errors import ExperimentError
from mien.models import build_detector
from mien.models.dense_face_finder import DenseFaceFinder, DenseFaceFinderOptions


def test_the_maps_are_those_of_the_runtime() -> None:
    with torch.inference_mode():
        maps = DenseFaceFinder(DenseFaceFinderOptions()).eval()(torch.zeros(2, 3, 96, 64))
    assert [each.shape for each in maps] == [(2, VALUES, 12, 8), (2, VALUES, 6, 4), (2, VALUES, 3, 2)]
    assert all((each[:, 0].sigmoid() < 0.05).all() for each in maps)


def test_folded_it_answers_alike_with_fewer_parameters() -> None:
    torch.manual_seed(0)
    network = DenseFaceFinder(DenseFaceFinderOptions(8, (8, 16, 16), (2, 1, 2), 8, (1, 1, 2))).train()
    for _ in range(3):
        network(torch.randn(2, 3, 64, 64))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    folded, picture = network.folded(), torch.randn(1, 3, 64, 96)
    with torch.inference_mode():
        for found, wanted in zip(folded(picture), network.eval()(picture), strict=True):
            torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in folded.modules())
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_the_packaged_size() -> None:
    network = DenseFaceFinder(DenseFaceFinderOptions())
    assert sum(parameter.numel() for parameter in network.folded().parameters()) == 279_149


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"widths": [8, 8]}, "widths: Tuple should have at least 3 items"),
        ({"depths": [1, 0, 1]}, r"depths\.1: Input should be greater than or equal to 1, found 0"),
    ],
)
def test_three_strides_are_expected(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ExperimentError, match=f"network dense-face-finder: {message}"):
        build_detector("dense-face-finder", options)

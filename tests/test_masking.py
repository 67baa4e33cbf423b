from itertools import pairwise

import numpy as np
import pytest
import torch

from mien.training.batches import BatchSource
from mien.training.config import experiment_from_dict
from mien.training.masking import erase, mask
from mien.training.options import AugmentationOptions

FACES = 400


def bright_faces() -> torch.Tensor:
    """Faces of 0.9 with a dark corner, so that their mean is neither."""
    faces = torch.full((FACES, 1, 48, 48), 0.9)
    faces[:, :, :4, :4] = 0.1
    return faces


def hidden_share(before: torch.Tensor, after: torch.Tensor) -> torch.Tensor:
    return (before - after).abs().amax(dim=1).gt(1e-6).float().mean(dim=(1, 2))


def masked(**options: object) -> torch.Tensor:
    values = AugmentationOptions(masking=1.0, **options)  # type: ignore[arg-type]
    return mask(bright_faces(), values, torch.Generator().manual_seed(0))


def test_masks_keep_their_limits() -> None:
    shares = hidden_share(bright_faces(), masked(masks=(1, 1), mask_area=(0.04, 0.06)))
    assert 0.025 < shares.min() < 0.045  # whole pixels, and the fill may equal nothing of the face
    assert 0.05 < shares.max() < 0.08
    several = hidden_share(bright_faces(), masked(masks=(4, 4), mask_area=(0.04, 0.06)))
    assert several.mean() > 3 * shares.mean()
    limited = hidden_share(bright_faces(), masked(masks=(6, 6), mask_area=(0.06, 0.1), masking_total_area=0.2))
    assert limited.mean() > 0.1
    assert limited.max() < 0.24


def test_number_of_masks_is_drawn_between_its_limits() -> None:
    area = (0.03, 0.03)
    means = [float(hidden_share(bright_faces(), masked(masks=(n, n), mask_area=area)).mean()) for n in (1, 2, 3, 4)]
    assert all(second > first * (index + 0.6) / index for index, (first, second) in enumerate(pairwise(means), start=1))
    drawn = float(hidden_share(bright_faces(), masked(masks=(1, 4), mask_area=area)).mean())
    assert drawn == pytest.approx(sum(means) / 4, rel=0.1)


@pytest.mark.parametrize("fill", ["mean", "black", "noise"])
def test_fill_modes(fill: str) -> None:
    faces = bright_faces()
    after = masked(mask_fill=fill)
    values = after[(after - faces).abs() > 1e-6]
    if fill == "mean":
        assert values.unique().numel() == 1
        assert values[0].item() == pytest.approx(faces[0].mean().item())
    elif fill == "black":
        assert values.unique().tolist() == [0.0]
    else:
        assert values.mean().item() == pytest.approx(0.5, abs=0.01)
        assert values.std().item() == pytest.approx(12**-0.5, abs=0.01)


def test_probabilities() -> None:
    options = AugmentationOptions(masking=0.3, erasing=0.6)
    faces = bright_faces()
    for function, probability in ((mask, 0.3), (erase, 0.6)):
        after = function(faces, options, torch.Generator().manual_seed(0))
        share = float((hidden_share(faces, after) > 0).float().mean())
        assert share == pytest.approx(probability, abs=0.08)


def test_masked_copies_are_added_behind_the_faces_and_stay_the_same() -> None:
    faces = np.random.default_rng(0).integers(0, 256, (40, 24, 24, 1)).astype(np.uint8)
    values = {
        "name": "x",
        "data": {"dataset": "folder", "size_px": 24},
        "network": {"name": "rlr-cnet"},
        "schedule": {"epochs": 3, "batch_size": 20},
        "augmentation": {"masked_copies": 2, "flip": 0.0, "mask_fill": "black"},
    }
    source = BatchSource(faces, np.arange(40), experiment_from_dict(values, "x"), torch.device("cpu"))
    assert len(source) == 120
    assert source.labels.tolist() == list(range(40)) * 3
    originals = source.batch(torch.arange(40), 0, 0).images
    first = source.batch(torch.arange(40, 80), 0, 0).images
    second = source.batch(torch.arange(80, 120), 0, 0).images
    np.testing.assert_allclose(originals.numpy()[:, 0], (faces[..., 0] / 255 - 0.5) / 0.25, atol=2e-5)
    for copies in (first, second):
        changed = (copies - originals).abs() > 0.02
        assert changed.any(dim=3).any(dim=2).all()  # each has a mask
        assert copies[changed].max() == pytest.approx(-2.0, abs=1e-4)  # black, and nothing else has changed
    assert not torch.equal(first, second)
    assert torch.equal(first, source.batch(torch.arange(40, 80), 2, 1).images)

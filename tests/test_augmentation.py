import pytest
import torch

from mien.training.augmentation import augment
from mien.training.options import AugmentationOptions


def changed(options: AugmentationOptions, images: torch.Tensor, size_px: int = 48) -> torch.Tensor:
    return augment(images, options, size_px, torch.Generator().manual_seed(0))


def test_augmentation_moves_as_far_as_it_says() -> None:
    images = torch.zeros(200, 1, 48, 48)
    images[:, :, 22:26, 22:26] = 1
    place = torch.arange(48.0) + 0.5

    def centres(moved: torch.Tensor) -> torch.Tensor:
        mass = moved.sum(dim=(1, 2, 3))
        return torch.stack([(moved.sum(dim=(1, axis)) * place).sum(1) / mass for axis in (3, 2)], dim=1) - 24

    shifts = centres(changed(AugmentationOptions(flip=0, translation=0.1), images))
    assert 4.3 < shifts.abs().max() <= 4.81
    assert abs(shifts.mean()) < 0.5
    images = torch.zeros(200, 1, 48, 48)
    images[:, :, 22:26, 40:44] = 1  # 18 to the right
    turned = centres(changed(AugmentationOptions(flip=0, rotation_degrees=20), images))
    angles = torch.rad2deg(torch.atan2(turned[:, 0], turned[:, 1]))
    assert 18 < angles.abs().max() < 20.5
    scaled = centres(changed(AugmentationOptions(flip=0, scale=0.25), images))[:, 1] / 18
    assert 0.79 < scaled.min() < 0.83
    assert 1.2 < scaled.max() < 1.26
    flipped = centres(changed(AugmentationOptions(flip=0.5), images))[:, 1]
    assert set(flipped.round().tolist()) == {-18.0, 18.0}
    assert 60 < (flipped < 0).sum() < 140


def test_augmentation_lights_and_erases_as_it_says() -> None:
    images = torch.rand(300, 3, 48, 48, generator=torch.Generator().manual_seed(1)) * 0.4 + 0.3
    shifted = changed(AugmentationOptions(flip=0, brightness=0.2), images) - images
    assert shifted.amax(dim=(1, 2, 3)).max() == pytest.approx(0.2, abs=0.01)
    assert shifted.std(dim=(1, 2, 3)).max() < 1e-5
    ratio = changed(AugmentationOptions(flip=0, contrast=0.3), images).std(dim=(1, 2, 3)) / images.std(dim=(1, 2, 3))
    assert 0.69 < ratio.min() < 0.73
    assert 1.27 < ratio.max() < 1.31
    erased = changed(AugmentationOptions(flip=0, erasing=0.5, erasing_area=(0.1, 0.2)), images)
    share = (erased - images).abs().amax(dim=1).gt(1e-4).float().mean(dim=(1, 2))
    assert 110 < (share > 0).sum() < 190
    assert 0.06 < share[share > 0].min() < 0.13
    assert 0.17 < share.max() < 0.24


def test_augmentation_resizes() -> None:
    images = torch.linspace(0, 1, 48).expand(2, 1, 48, 48)
    small = changed(AugmentationOptions(flip=0), images, 36)
    assert small.shape == (2, 1, 36, 36)
    assert small.mean().item() == pytest.approx(0.5, abs=0.01)


def test_one_of_six_changes() -> None:
    images = torch.rand(600, 1, 48, 48, generator=torch.Generator().manual_seed(1)) * 0.4 + 0.3
    images[:, :, 20:28, 30:38] = 0.75
    found = changed(AugmentationOptions(flip=0, one_of_six=0.6), images)
    same = (found - images).abs().amax(dim=(1, 2, 3)) < 1e-5
    assert 200 < same.sum() < 280  # 0.4 of 600
    mirrored = (found - images.flip(-1)).abs().amax(dim=(1, 2, 3)) < 1e-4
    shifted = (found[:, :, 5:, 5:] - images[:, :, :-5, :-5]).abs().amax(dim=(1, 2, 3)) < 1e-4
    noise = (found - images)[:, 0, 2:-2, 2:-2].std(dim=(1, 2)) * 255
    noisy = (noise - 40**0.5).abs() < 1
    ratio = (found - 2 / 255) / images
    lit = (ratio.amax(dim=(1, 2, 3)) - ratio.amin(dim=(1, 2, 3)) < 1e-3) & ~same
    for each in (mirrored, shifted, noisy, lit):
        assert 35 < each.sum() < 90  # a tenth of 600
    assert ratio[lit].min() > 0.49
    assert ratio[lit].max() < 1.31
    rest = ~(same | mirrored | shifted | noisy | lit)  # turned or cropped
    assert 80 < rest.sum() < 160
    larger = found[rest][:, 0].gt(0.72).float().mean(dim=(1, 2)) / images[rest][:, 0].gt(0.72).float().mean(dim=(1, 2))
    assert larger.max() == pytest.approx(1.44, abs=0.25)  # (48 / 40)²

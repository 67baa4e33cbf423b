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


def test_crops_are_cut_out_and_not_made_smaller() -> None:
    ramp = torch.linspace(0.5, 47.5, 48).div(48).expand(200, 1, 48, 48)
    cut = augment(ramp, AugmentationOptions(flip=0), 40, torch.Generator().manual_seed(0), crop=True)
    assert cut.shape == (200, 1, 40, 40)
    steps = cut[:, 0, 0].diff(dim=1) * 48
    torch.testing.assert_close(steps, torch.ones_like(steps), rtol=0, atol=1e-3)  # one pixel is one pixel
    first = cut[:, 0, 0, 0] * 48 - 0.5  # the column at which a crop begins
    assert first.min() == pytest.approx(0, abs=0.2)
    assert first.max() == pytest.approx(8, abs=0.2)
    assert first.mean() == pytest.approx(4, abs=0.5)
    whole = augment(ramp, AugmentationOptions(flip=0), 48, torch.Generator().manual_seed(0), crop=True)
    torch.testing.assert_close(whole, ramp, rtol=0, atol=1e-5)


def test_gamma_exposure_and_side_light() -> None:
    flat = torch.full((400, 1, 48, 48), 0.5)
    powers = changed(AugmentationOptions(flip=0, gamma=1), flat)[:, 0, 0, 0].log2().neg()  # 0.5 ** p
    assert powers.min() == pytest.approx(0.5, abs=0.02)
    assert powers.max() == pytest.approx(2, abs=0.05)
    assert powers.log2().mean() == pytest.approx(0, abs=0.1)
    dark = changed(AugmentationOptions(flip=0, exposure=9), flat)[:, 0, 0, 0]
    assert dark.min() == pytest.approx(0.05, abs=0.005)
    assert dark.max() == pytest.approx(0.5, abs=0.01)
    torch.testing.assert_close((dark * 255).round() / 255, dark, rtol=0, atol=1e-6)  # 8 bits
    lit = changed(AugmentationOptions(flip=0, side_light=0.4), flat)
    spread = lit.amax(dim=(1, 2, 3)) - lit.amin(dim=(1, 2, 3))
    assert spread.max() == pytest.approx(0.4, abs=0.01)  # from 0.5 * 0.6 to 0.5 * 1.4
    assert spread.min() < 0.02
    brighter = lit[:, 0, 24, 47] > lit[:, 0, 24, 0]
    assert 150 < brighter.sum() < 250  # from either side


def test_blur_and_noise() -> None:
    images = torch.rand(300, 2, 48, 48, generator=torch.Generator().manual_seed(1)) * 0.4 + 0.3
    blurred = changed(AugmentationOptions(flip=0, blur=0.5), images)
    same = (blurred - images).abs().amax(dim=(1, 2, 3)) < 1e-4
    assert 110 < same.sum() < 190
    ratio = blurred[~same].std(dim=(1, 2, 3)) / images[~same].std(dim=(1, 2, 3))
    assert ratio.max() < 1.001
    assert 0.15 < ratio.min() < 0.3  # white noise under a Gaussian of 1.5 pixels: 1 / (2 sqrt(pi) 1.5) = 0.19
    flat = torch.full((2, 1, 48, 48), 0.7)
    torch.testing.assert_close(changed(AugmentationOptions(flip=0, blur=1), flat), flat)
    noise = (changed(AugmentationOptions(flip=0, noise=0.05), images) - images).std(dim=(1, 2, 3))
    assert 110 < (noise < 1e-4).sum() < 190
    assert noise.max() == pytest.approx(0.05, abs=0.003)


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

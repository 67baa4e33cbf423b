import numpy as np
import torch

from mien.training.batches import BatchSource, input_size_px
from mien.training.config import Experiment, experiment_from_dict

SCHEDULE = {"epochs": 5, "batch_size": 16, "progressive_size_px": [16], "progressive_epochs": 1}


def experiment(**changes: object) -> Experiment:
    values = {
        "name": "tiny",
        "data": {"dataset": "folder", "size_px": 24, "channels": 3},
        "network": {"name": "rlr-cnet"},
        "schedule": SCHEDULE,
        "augmentation": {"rotation_degrees": 5, "erasing": 0.2},
    }
    return experiment_from_dict({**values, **changes}, "tiny")


def source(faces: np.ndarray, **changes: object) -> BatchSource:
    return BatchSource(faces, np.arange(len(faces)), experiment(**changes), torch.device("cpu"))


def test_batches_depend_on_seed_epoch_and_step_alone() -> None:
    faces = np.random.default_rng(0).integers(0, 256, (64, 24, 24, 3)).astype(np.uint8)
    first, again, other = source(faces), source(faces), source(faces, seed=1)
    chosen = torch.arange(40, 56)
    batch = first.batch(chosen, 3, 1)
    assert torch.equal(batch.images, again.batch(chosen, 3, 1).images)
    assert torch.equal(batch.labels, chosen)
    assert not torch.equal(batch.images, other.batch(chosen, 3, 1).images)
    assert not torch.equal(batch.images, first.batch(chosen, 4, 1).images)
    assert not torch.equal(batch.images, first.batch(chosen, 3, 2).images)
    assert batch.images.shape == (16, 3, 24, 24)
    assert first.batch(chosen, 0, 0).images.shape == (16, 3, 16, 16)


def test_without_augmentation_batches_are_the_normalised_faces() -> None:
    faces = np.random.default_rng(0).integers(0, 256, (16, 24, 24, 3)).astype(np.uint8)
    batches = source(faces, augmentation={"flip": 0.0})
    batch = batches.batch(torch.arange(16), 3, 0)
    expected = (faces.transpose(0, 3, 1, 2) / 255 - 0.5) / 0.25
    np.testing.assert_allclose(batch.images.numpy(), expected, atol=2e-5)


def test_sizes_of_the_phases() -> None:
    schedule = {"epochs": 8, "progressive_size_px": [12, 16], "progressive_epochs": 5}
    sizes = [input_size_px(experiment(schedule=schedule), epoch) for epoch in range(8)]
    assert sizes == [12, 12, 12, 16, 16, 24, 24, 24]

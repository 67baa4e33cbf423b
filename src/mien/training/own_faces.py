"""One's own classes, from a folder of face crops: what is kept apart, and an experiment that suits their number."""

import logging
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mien.datasets import Dataset, pixel_key
from mien.datasets.folder import read_folder
from mien.datasets.splits import Subset, make_split, parse_split
from mien.errors import DatasetError, ImageError
from mien.training.config import Experiment, experiment_from_dict, set_value
from mien.training.weights_file import fitted_to_weights

LOGGER = logging.getLogger("mien")
VALIDATION = "random-80-20-by-class"
TRAINING = f"{VALIDATION}-training"
FEWEST = 5
"""Different faces that each class needs, so that one is kept apart and four are learned from."""
EPOCHS, ROUND_EPOCHS = 10, 5
"""Lines of progress and checkpoints of a training, and of a round with unlabelled faces."""
BATCH_SIZE = 32
SHOWN = 300
"""Times the root of the number of faces: how many faces a training shows in all (chosen): 100 faces come 30 times each,
10,000 come 3 times."""


def open_own_faces(root: Path) -> tuple[Dataset, Dataset]:
    """The training faces and the validation faces, a fifth of each class, of a folder with a folder for each class.

    Faces of identical pixels stay on one side. Pictures that cannot be read are left out and named on the log, as are
    identical pictures in two classes. Raises DatasetError for fewer than two classes or `FEWEST` faces of one.
    """
    whole = read_folder(root, "all")
    labels: dict[str, set[int]] = {}
    readable = []
    for index in range(len(whole)):
        try:
            sample = whole.sample(index)
        except ImageError as error:
            LOGGER.warning("left out: %s", error)
            continue
        readable.append(index)
        labels.setdefault(pixel_key(sample.image), set()).add(sample.label)
    if twice := sum(len(found) > 1 for found in labels.values()):
        LOGGER.warning("%s pictures stand in two classes: the network can only be right about one of them", twice)
    counts = np.bincount([min(found) for found in labels.values()], minlength=len(whole.expressions))
    for name, count in zip(whole.expressions, counts, strict=True):
        if count < FEWEST:
            raise DatasetError(
                f"{root / name}: expected at least {FEWEST} different faces of each class, found {count}"
            )
    kept = Subset(whole, readable, whole.split)
    training, validation = (parse_split(name) for name in (TRAINING, VALIDATION))
    assert training is not None
    assert validation is not None
    return make_split(kept, training), make_split(kept, validation)


def experiment_for(
    name: str, images: int, weights: str, with_unlabelled: bool, seed: int = 0, settings: Sequence[str] = ()
) -> Experiment:
    """An experiment that fine-tunes weights on so many training images; ExperimentError for wrong settings.

    with_unlabelled: also with two rounds on unlabelled faces. settings: see `read_experiment`. Its only measurement on
    the validation faces is that of the last epoch, so that nothing is chosen by them.
    """
    steps = math.ceil(SHOWN * math.sqrt(images) / BATCH_SIZE / EPOCHS)
    values: dict[str, Any] = {
        "name": name,
        "seed": seed,
        "averaging": 0.98,
        "data": {"dataset": "folder", "training_split": TRAINING, "selection_split": VALIDATION},
        "network": {"weights": weights},
        "schedule": {
            "epochs": EPOCHS,
            "steps_per_epoch": steps,
            "batch_size": BATCH_SIZE,
            "learning_rate": 0.001,
            "shape": "one-cycle",
        },
        "augmentation": {
            "rotation_degrees": 12,
            "scale": 0.12,
            "translation": 0.04,
            "contrast": 0.25,
            "gamma": 0.5,
            "side_light": 0.4,
            "blur": 0.15,
            "noise": 0.02,
            "erasing": 0.25,
        },
    }
    if with_unlabelled:
        values["joint"] = {"unlabelled": "faces", "epochs": ROUND_EPOCHS, "cap_share": 4, "check": True}
    for setting in settings:
        set_value(values, setting)
    values["schedule"].setdefault("selection_every", values["schedule"]["epochs"])
    return experiment_from_dict(fitted_to_weights(values), name)

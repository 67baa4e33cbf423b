"""A drawn set of faces, few of them labelled, and the example for own faces shortened to it."""

from pathlib import Path
from typing import Any

import numpy as np
from conftest import drawn_face
from numpy.typing import NDArray
from PIL import Image

from mien.training import config
from mien.training.config import Experiment, experiment_from_dict

NAMES = ("happiness", "sadness", "neutral")


def face(label: int, seed: int) -> NDArray[np.uint8]:
    """A drawn face whose mirror image shows the same."""
    return drawn_face(3 * label + 1, seed)


def write_school(root: Path) -> None:
    """Few labelled faces, many unlabelled ones, one of which is damaged."""
    for split, count in (("training", 12), ("public_test", 8)):
        for label, name in enumerate(NAMES):
            (root / "labelled" / split / name).mkdir(parents=True)
            for index in range(count):
                file = root / "labelled" / split / name / f"{index}.png"
                Image.fromarray(face(label, 100 * label + index + (split == "training") * 50)).save(file)
    (root / "unlabelled").mkdir()
    for index in range(90):
        Image.fromarray(face(index % 3, 1000 + index)).save(root / "unlabelled" / f"{index:02d}.png")
    (root / "unlabelled" / "zz.png").write_bytes(b"damaged")


OWN_FACES = Path(__file__).parents[1] / "experiments" / "own-faces.toml"
SHORTER = {
    "averaging = 0.98": "averaging = 0.5",
    "[data]": "[data]\nsize_px = 32",
    'training_split = "random-80-20-by-class-training"\n': "",
    'selection_split = "random-80-20-by-class"': 'selection_split = "none"',
    'weights = "mien-1m"': 'name = "ac-net"',
    "\nepochs = 10": "\nepochs = 3",
    "steps_per_epoch = 20": "steps_per_epoch = 8",
    "batch_size = 32": "batch_size = 12",
    "learning_rate = 0.001": "learning_rate = 0.003\nwarmup_epochs = 0.5",
    "selection_every = 10\n": "",
    "[augmentation]": '[method]\nname = "joint-loss"\n[augmentation]',
    "\nepochs = 5": "\nepochs = 1\nlearning_rate = 0.001\nneighbours = 8\nthreshold = 1.5",
    "cap_share = 4": "cap_share = 1",
    "check = true\n": "",
}
"""The example for own faces in a few steps on small pictures, from random weights."""


def own_faces() -> str:
    text = OWN_FACES.read_text()
    for line, shorter in SHORTER.items():
        assert text.count(line) == 1, line
        text = text.replace(line, shorter)
    return text


def values(**joint: Any) -> dict[str, Any]:
    found = config.tomllib.loads(own_faces())
    return {**found, "joint": {**found["joint"], **joint}}


def experiment(**joint: Any) -> Experiment:
    return experiment_from_dict(values(**joint), "school")

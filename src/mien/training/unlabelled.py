"""The unlabelled faces of a training: those that can be read and stand nowhere else."""

import hashlib
import logging
from collections.abc import Set
from dataclasses import dataclass

import numpy as np

from mien.datasets import Dataset, pixel_key
from mien.errors import DatasetError, ImageError
from mien.labelling.clustering import Indices
from mien.preprocessing import ImageArray, Preprocessing, whole_image_face

LOGGER = logging.getLogger("mien")


@dataclass(frozen=True)
class Unlabelled:
    """The faces that are used, and which of the data set they are."""

    faces: ImageArray
    """uint8 (M, S, S, C)."""
    indices: Indices
    """(M,) positions in the data set."""
    sources: list[str]
    """Where each of the M faces was found."""
    skipped: list[str]
    """Why others could not be read."""
    known: int
    """How many others are labelled or selected on elsewhere: their pixels are the same."""

    def digest(self) -> str:
        """The same for the same faces in the same places."""
        return hashlib.sha256(self.indices.tobytes() + self.faces.tobytes()).hexdigest()


def read_unlabelled(dataset: Dataset, preprocessing: Preprocessing, known: Set[str] = frozenset()) -> Unlabelled:
    """Read faces, but those with `known` pixel keys and those that cannot be read; DatasetError when none is left."""
    faces, indices, sources, skipped, same = [], [], [], [], 0
    for index in range(len(dataset)):
        try:
            sample = dataset.sample(index)
        except ImageError as error:
            skipped.append(str(error))
            continue
        if pixel_key(sample.image) in known:
            same += 1
            continue
        faces.append(whole_image_face(sample.image, preprocessing))
        indices.append(index)
        sources.append(sample.source)
    if not faces:
        raise DatasetError(
            f"{dataset.name}: expected unlabelled faces, found none among {len(dataset)}: {len(skipped)} cannot be "
            f"read, {same} are labelled or selected on"
        )
    return Unlabelled(np.stack(faces), np.array(indices, np.int64), sources, skipped, same)


def read_unlabelled_beside(
    labelled: Dataset, unlabelled: Dataset, selection: Dataset | None, preprocessing: Preprocessing
) -> Unlabelled:
    """`read_unlabelled` without faces that have the pixels of labelled ones or of the selection split."""
    known = {pixel_key(sample.image) for split in (labelled, selection or ()) for sample in split}
    found = read_unlabelled(unlabelled, preprocessing, known)
    for line in found.skipped:
        LOGGER.warning("skipped %s", line)
    if found.known:
        LOGGER.info("%s unlabelled faces are labelled or selected on elsewhere, left out", found.known)
    LOGGER.info("%s labelled faces, %s unlabelled", len(labelled), len(found.indices))
    return found

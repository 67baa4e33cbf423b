"""What every data set is: a sequence of labelled faces."""

import hashlib
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, overload

import numpy as np
from numpy.typing import NDArray

from mien.preprocessing import ImageArray, Preprocessing, whole_image_face


@dataclass(frozen=True)
class Sample:
    """One labelled face."""

    image: ImageArray
    """Grey uint8 (H, W, 1) or RGB (H, W, 3): the face fills the picture."""
    label: int
    """Index into the data set's expressions; -1 where there is none."""
    source: str
    """Where it comes from: a row of a table or a file."""


class Dataset(Sequence[Sample]):
    """A sequence of samples with one label set; images may be decoded as they are asked for."""

    name: str
    """The name under which it is opened, such as "fer2013"."""
    split: str
    """The part that was opened, such as "training"."""
    expressions: tuple[str, ...]
    """The class names; a sample's label is an index into them."""
    split_is: str = "Official split"
    """Where the split comes from, for reports."""
    group_is: Literal["pixels", "subject"] = "pixels"
    """What samples share that must stay on one side of a split: their pixels, or the person."""
    labelled_by_votes: bool = False
    """Whether labels come from `votes`, so that reports also compare scores with the votes."""

    @abstractmethod
    def sample(self, index: int) -> Sample:
        """The sample at a position from 0 to len - 1."""

    def group(self, index: int) -> str:
        """What the samples of a group share, as text; those of one group stay on one side of a split."""
        return pixel_key(self.sample(index).image)

    def arrays(self) -> tuple[ImageArray, NDArray[np.int64]] | None:
        """All images uint8 (N, H, W, C) and labels (N,), where the data set holds them as arrays; None elsewhere."""
        return None

    def votes(self) -> NDArray[np.int8] | None:
        """FERPlus votes (N, 10) in the order of `FERPLUS_VOTES`, all 0 where doubtful; None for sets without votes."""
        return None

    def targets(self) -> NDArray[np.float32] | None:
        """Each sample's distribution over the expressions (N, K); None for sets with one label a sample."""
        return None

    def weights(self) -> NDArray[np.float32] | None:
        """How much each sample counts in a training (N,); None where all count the same."""
        return None

    def given(self) -> NDArray[np.bool_] | None:
        """Whether each sample's label was given by networks (N,); None where none was."""
        return None

    @overload
    def __getitem__(self, index: int) -> Sample: ...
    @overload
    def __getitem__(self, index: slice) -> list[Sample]: ...
    def __getitem__(self, index: int | slice) -> Sample | list[Sample]:
        if isinstance(index, slice):
            return [self.sample(position) for position in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(f"{self.name} {self.split} has {len(self)} samples, no index {index}")
        return self.sample(index % len(self))


def pixel_key(image: ImageArray) -> str:
    """A digest that two images share exactly when all their pixels (as grey, where all channels agree) do."""
    if image.shape[2] == 3 and (image[:, :, 0:1] == image).all():
        image = image[:, :, 0:1]
    return hashlib.sha256(repr(image.shape).encode() + image.tobytes()).hexdigest()


def as_faces(samples: Sequence[Sample], preprocessing: Preprocessing) -> tuple[ImageArray, NDArray[np.int64]]:
    """Face crops uint8 (N, S, S, C) and labels int64 (N,) of samples."""
    size_px, channels = preprocessing.size_px, preprocessing.channels
    arrays = samples.arrays() if isinstance(samples, Dataset) else None
    if arrays is not None and arrays[0].shape[1:] == (size_px, size_px, channels):
        return arrays
    faces = np.empty((len(samples), size_px, size_px, channels), np.uint8)
    labels = np.empty(len(samples), np.int64)
    for index, sample in enumerate(samples):
        faces[index] = whole_image_face(sample.image, preprocessing)
        labels[index] = sample.label
    return faces, labels

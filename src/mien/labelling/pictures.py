"""The faces of many pictures, sorted into expressions. Memory grows by a few kilobytes a face, not by its pixels."""

import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from mien.errors import ImageError
from mien.images import read_image
from mien.labelling.faces import FaceLabels, label_scored
from mien.preprocessing import ImageArray
from mien.recognizer import Recognizer
from mien.results import Box
from mien.scorer import BATCH_SIZE, score_with_mirror


@dataclass(frozen=True)
class PictureLabels:
    """The faces that were found in pictures, N in all, and what they were labelled with."""

    places: tuple[tuple[str, Box], ...]
    """(N) the picture of each face, and its box in float pixels."""
    faces: ImageArray
    """uint8 (N, S, S, C), the network's crops; they lie in a temporary file."""
    labels: FaceLabels
    unread: int
    """How many pictures could not be read."""
    empty: int
    """How many show no face that was found."""


def label_pictures(
    recognizer: Recognizer,
    files: Iterable[Path],
    confidence: float = 0.8,
    tell: Callable[[ImageError | None], object] = lambda error: None,
) -> PictureLabels:
    """Find the faces in pictures and label them, see `label_faces`.

    tell: is called after each picture, with the reason where it could not be read. Raises ImageError where there is no
    face in any.
    """
    unread = empty = 0
    with tempfile.TemporaryFile() as stream:
        faces = _Faces(recognizer, stream)
        for file in files:
            problem = None
            try:
                detections, crops = recognizer.find_faces(read_image(file))
                faces.add([(str(file), found.box_xyxy) for found in detections], crops)
                empty += not detections
            except ImageError as error:
                unread, problem = unread + 1, error
            tell(problem)
        if not faces.places:
            more = f"; {unread} could not be read" if unread else ""
            raise ImageError(f"expected pictures of faces, found no face in {empty}{more}")
        labels = label_scored(*faces.scored(), confidence)
        return PictureLabels(tuple(faces.places), faces.crops(), labels, unread, empty)


class _Faces:
    """Faces as they are found: scored batch by batch, their crops in a temporary file."""

    def __init__(self, recognizer: Recognizer, file: IO[bytes]) -> None:
        self.places: list[tuple[str, Box]] = []
        self._scorer, self._file = recognizer.scorer, file
        self._waiting: list[ImageArray] = []
        self._scored: list[tuple[NDArray[np.float32], NDArray[np.float32]]] = []
        self._shape: tuple[int, ...] = ()

    def add(self, places: list[tuple[str, Box]], crops: ImageArray) -> None:
        """Take up the faces of a picture, uint8 (N, S, S, C)."""
        self.places += places
        self._shape = crops.shape[1:]
        self._waiting += list(crops)
        while len(self._waiting) >= BATCH_SIZE:
            self._score(self._waiting[:BATCH_SIZE])
            self._waiting = self._waiting[BATCH_SIZE:]

    def scored(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Probabilities (N, K) and features (N, D) of all."""
        if self._waiting:
            self._score(self._waiting)
            self._waiting = []
        probabilities, features = (np.concatenate(part) for part in zip(*self._scored, strict=True))
        return probabilities, features

    def crops(self) -> ImageArray:
        """All crops uint8 (N, S, S, C), read from the file where they are looked at."""
        self._file.flush()
        return np.memmap(self._file, np.uint8, "r", shape=(len(self.places), *self._shape))

    def _score(self, faces: list[ImageArray]) -> None:
        batch = np.stack(faces)
        self._file.write(batch.tobytes())
        self._scored.append(score_with_mirror(self._scorer.logits_and_features, batch))

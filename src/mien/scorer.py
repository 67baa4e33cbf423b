"""Scorers: functions from uint8 faces (N, S, S, C) to float32 probabilities (N, K)."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.preprocessing import ImageArray, to_network_input
from mien.session import CPU, Providers, open_session
from mien.weights import ModelCard, read_model

Scorer = Callable[[ImageArray], NDArray[np.float32]]
BATCH_SIZE = 64


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Probabilities float32 (N, K) of logits (N, K); rows sum to 1."""
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities: NDArray[np.float32] = exponentials / exponentials.sum(axis=1, keepdims=True)
    return probabilities


def score_with_mirror(
    score: Callable[[ImageArray], tuple[NDArray[np.float32], NDArray[np.float32]]], faces: ImageArray
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Probabilities (N, K) and features (N, D) of faces uint8 (N, S, S, C): means over a face and its mirror image.

    score: from faces to logits and features. A mirrored face has the same expression: the mean is right more often.
    """
    logits, features = score(faces)
    other_logits, other_features = score(np.ascontiguousarray(faces[:, :, ::-1]))
    probabilities: NDArray[np.float32] = np.mean((softmax(logits), softmax(other_logits)), axis=0)
    mean_features: NDArray[np.float32] = np.mean((features, other_features), axis=0)
    return probabilities, mean_features


def mirrored(score: Callable[[ImageArray], tuple[NDArray[np.float32], NDArray[np.float32]]]) -> Scorer:
    """A scorer that gives the mean probabilities of each face and its mirror image; score: see `score_with_mirror`."""
    return lambda faces: score_with_mirror(score, faces)[0]


class OnnxScorer:
    """A network in ONNX Runtime; it is pickled by what it was made with.

    model: the name of a packaged model or the path of an ONNX file exported by mien.
    threads, providers: see `open_session`.
    Raises ModelError when the model is unknown or damaged, InputError for other threads and providers.
    """

    def __init__(self, model: str | Path, threads: int = 1, providers: Providers = CPU) -> None:
        encoded = read_model(model)
        self.made_with = (model, threads, providers)
        self._session, entry = open_session(encoded, model, threads, providers)
        self.card = ModelCard.from_dict(entry, len(encoded), str(model))
        self._input = self._session.get_inputs()[0].name

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), self.made_with

    def __call__(self, faces: ImageArray) -> NDArray[np.float32]:
        """Probabilities float32 (N, K) of faces uint8 (N, S, S, C); N may be 0."""
        return softmax(self.logits_and_features(faces)[0])

    def logits_and_features(self, faces: ImageArray) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Logits float32 (N, K) and features (N, D) of faces uint8 (N, S, S, C); N may be 0."""
        if not len(faces):  # which the reshaping of some networks does not allow
            to_network_input(faces, self.card.preprocessing)  # refuses a wrong shape
            widths = (int(output.shape[1]) for output in self._session.get_outputs())
            logits, features = (np.empty((0, width), np.float32) for width in widths)
            return logits, features
        batches = (faces[start : start + BATCH_SIZE] for start in range(0, len(faces), BATCH_SIZE))
        parts = [
            self._session.run(["logits", "features"], {self._input: to_network_input(batch, self.card.preprocessing)})
            for batch in batches
        ]
        logits, features = (np.concatenate(part) for part in zip(*parts, strict=True))
        return logits, features

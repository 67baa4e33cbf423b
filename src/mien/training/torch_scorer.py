"""A torch network as a scorer: uint8 faces in, probabilities out."""

import numpy as np
import torch
from numpy.typing import NDArray

from mien.models import Classifier
from mien.preprocessing import ImageArray, Preprocessing, to_network_input
from mien.scorer import softmax

BATCH_SIZE = 256


class TorchScorer:
    """Scores faces uint8 (N, S, S, C) as float32 (N, K); the network is put into evaluation mode."""

    def __init__(self, network: Classifier, preprocessing: Preprocessing) -> None:
        self.network = network.eval()
        self.preprocessing = preprocessing

    def __call__(self, faces: ImageArray) -> NDArray[np.float32]:
        """Probabilities float32 (N, K) of faces uint8 (N, S, S, C)."""
        return softmax(self.logits(faces))

    def logits(self, faces: ImageArray) -> NDArray[np.float32]:
        """Logits float32 (N, K) of faces uint8 (N, S, S, C)."""
        return self.logits_and_features(faces)[0]

    def logits_and_features(self, faces: ImageArray) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Logits float32 (N, K) and features (N, D) of faces uint8 (N, S, S, C)."""
        device = next(self.network.parameters()).device
        parts = []
        with torch.inference_mode():
            for start in range(0, max(1, len(faces)), BATCH_SIZE):
                inputs = to_network_input(faces[start : start + BATCH_SIZE], self.preprocessing)
                images = torch.from_numpy(inputs).to(device, memory_format=torch.channels_last)
                features = self.network.forward_features(images)
                parts.append((self.network.classify(features).float().cpu().numpy(), features.float().cpu().numpy()))
        logits, all_features = (np.concatenate(part) for part in zip(*parts, strict=True))
        return logits, all_features

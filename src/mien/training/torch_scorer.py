"""A torch network as a scorer: uint8 faces in, probabilities out."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mien.errors import CheckpointError
from mien.models import Classifier, build_network
from mien.preprocessing import ImageArray, Preprocessing, to_network_input
from mien.scorer import softmax
from mien.training.checkpoint import Checkpoint
from mien.training.methods import method_class

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


def deployable_network(checkpoint: Checkpoint, method_options: Mapping[str, Any] = MappingProxyType({})) -> Classifier:
    """The averaged network of a checkpoint as it ships, in evaluation mode; CheckpointError where weights do not fit.

    method_options: take the place of those it was trained with, such as `deployed`.
    """
    facts = checkpoint.facts
    network = build_network(
        facts["network"],
        len(facts["expressions"]),
        facts["preprocessing"]["channels"],
        facts["network_options"],
    )
    try:
        found = network.load_state_dict(checkpoint.part("average"), strict=False)
    except RuntimeError as error:  # shapes differ
        raise CheckpointError(f"weights do not fit {facts['network']}: {str(error).splitlines()[-1]}") from error
    missing = [name for name in found.missing_keys if not name.endswith("num_batches_tracked")]
    if missing or found.unexpected_keys:
        raise CheckpointError(
            f"weights do not fit {facts['network']}: {len(missing)} missing, {len(found.unexpected_keys)} unknown"
        )
    method = facts["experiment"]["method"]
    return method_class(method["name"]).deployable(network, {**method["options"], **method_options}).eval()

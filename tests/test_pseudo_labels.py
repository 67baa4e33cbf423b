from typing import Any

import numpy as np
import pytest

from mien.labelling.guidance import Reason
from mien.training.joint.pseudo_labels import propose
from mien.training.options import JointOptions


@pytest.mark.parametrize("cap_share", [0, 0.5, 99])
@pytest.mark.parametrize("labelling", ["rank-order", "seeded-k-means", "confidence"])
def test_proposals_of_each_kind(labelling: Any, cap_share: float) -> None:
    generator = np.random.default_rng(0)
    owner = np.arange(120) % 3
    embeddings = np.eye(3, dtype=np.float32)[owner] + 0.05 * generator.normal(size=(120, 3)).astype(np.float32)
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    probabilities = np.where(np.eye(3)[owner] > 0, 0.96, 0.02).astype(np.float32)
    probabilities[60:90] = 1 / 3  # here the network is not sure
    labels = np.where(np.arange(120) < 30, owner, -1)
    more = {"kept_share": 0.5} if labelling == "seeded-k-means" else {}
    options = JointOptions("faces", labelling=labelling, cap_share=cap_share, **more)
    found = propose(options, embeddings, probabilities, labels, 3, 0)
    named = (found.labels >= 0) & (labels < 0)
    assert (found.labels[:30] == owner[:30]).all()
    assert (found.labels[named] == owner[named]).all()
    expected = {"rank-order": 90, "seeded-k-means": 45, "confidence": 60}[labelling]
    assert named.sum() == (15 if cap_share == 0.5 else expected)
    assert (found.reasons == Reason.GIVEN).sum() == 30

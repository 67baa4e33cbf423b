"""Whether the labels of a round can be trusted: hidden labels of people, and what the packaged network says.

That labels agree with the answers of the network that made them says nothing: they come from its own features. Faces of
none of the classes, such as shouting ones among happy ones, are given a class all the same.
"""

import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mien.atomic import replacing
from mien.datasets import Dataset, as_faces
from mien.labelling.clustering import Indices
from mien.preprocessing import ImageArray, Preprocessing
from mien.scorer import OnnxScorer
from mien.training.checkpoint import read_header
from mien.training.config import Experiment
from mien.training.joint.pseudo_labels import answers_and_embeddings, propose
from mien.training.unlabelled import Unlabelled
from mien.weights import default_model

LOGGER = logging.getLogger("mien")
CHECK = "check.json"
FEWEST_RIGHT, MOST_OTHERWISE = 0.8, 0.25
"""Shares of labels beyond which the sheets of new faces must be looked at (chosen)."""
FEWEST_FACES = 5
"""Faces from which on a share is told as a warning (chosen)."""


def check_labels(
    experiment: Experiment,
    labelled: Dataset,
    found: Unlabelled,
    labels: Indices,
    controls: Dataset,
    before: Sequence[Path],
    folder: Path,
    device: str | None,
) -> None:
    """Write `check.json` into the folder of a round, and warn of what it finds.

    found, labels: the unlabelled faces, M of them, and what they were labelled as (M,). controls: labelled faces that
    stay out of the training: they go through the same labelling with hidden labels, beside the others, whose labels
    that does not change.
    """
    preprocessing = read_header(before[0]).preprocessing
    hidden = _hidden_labels(experiment, labelled, found, controls, before, preprocessing, device)
    opinion = second_opinion(found.faces, labels, labelled.expressions, preprocessing)
    values = {"hidden_labels": hidden, "packaged_network": opinion}
    with replacing(folder / CHECK) as temporary:
        temporary.write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")
    LOGGER.info("  check: of %s labelled faces with hidden labels %s got one, %s the right one", *hidden.values())
    for line in warnings_of(values, folder):
        LOGGER.warning("%s", line)


def _hidden_labels(
    experiment: Experiment,
    labelled: Dataset,
    found: Unlabelled,
    controls: Dataset,
    before: Sequence[Path],
    preprocessing: Preprocessing,
    device: str | None,
) -> dict[str, int]:
    assert experiment.joint is not None
    own_faces, own_labels = as_faces(labelled, preprocessing)
    faces, truth = as_faces(controls, preprocessing)
    every = np.concatenate((own_faces, found.faces, faces))
    probabilities, embeddings = answers_and_embeddings(before, every, device)
    given = np.concatenate((own_labels, np.full(len(every) - len(own_labels), -1)))
    classes = len(labelled.expressions)
    proposed = propose(experiment.joint, embeddings, probabilities, given, classes, experiment.seed)
    answers = proposed.labels[-len(faces) :]
    return {"faces": len(faces), "named": int((answers >= 0).sum()), "right": int((answers == truth).sum())}


def second_opinion(
    faces: ImageArray, labels: Indices, expressions: Sequence[str], preprocessing: Preprocessing
) -> dict[str, Any] | None:
    """What the packaged network answers to faces uint8 (M, S, S, C) with labels (M,), for the classes that it knows.

    None where it takes other crops or knows none of the classes.
    """
    scorer = OnnxScorer(default_model())
    known, wanted = scorer.card.expressions, scorer.card.preprocessing
    same_crops = (wanted.size_px, wanted.channels) == (preprocessing.size_px, preprocessing.channels)
    if not same_crops or not set(known) & set(expressions):
        return None
    by_class: dict[str, dict[str, Any]] = {}
    for label, name in enumerate(expressions):
        chosen = faces[labels == label]
        if name not in known or not len(chosen):
            continue
        counts = np.bincount(scorer(chosen).argmax(axis=1), minlength=len(known))
        counts[known.index(name)] = 0
        mostly = known[int(counts.argmax())] if counts.any() else ""
        by_class[name] = {"faces": len(chosen), "otherwise": int(counts.sum()), "mostly": mostly}
    return {"model": scorer.card.name, "by_class": by_class}


def warnings_of(check: dict[str, Any], folder: Path) -> list[str]:
    """What a check says against the labels of the round in a folder, in lines for people."""
    lines, hidden, other = [], check["hidden_labels"], check["packaged_network"]
    if hidden["named"] >= FEWEST_FACES and hidden["right"] < FEWEST_RIGHT * hidden["named"]:
        lines.append(
            f"of {hidden['named']} faces whose hidden label is known, {hidden['right']} got the right one: expect as "
            f"many mistakes among the new faces, and look at {folder / 'new-*.png'}"
        )
    for name, found in (other["by_class"] if other else {}).items():
        if found["faces"] >= FEWEST_FACES and found["otherwise"] > MOST_OTHERWISE * found["faces"]:
            lines.append(
                f"{found['otherwise']} of {found['faces']} new faces labelled {name} show something else to "
                f"{other['model']}, most often {found['mostly']}: look at {folder / f'new-{name}.png'}"
            )
    return lines

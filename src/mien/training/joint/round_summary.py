"""What a round of joint learning did: as it is written to round.json, and in lines for people."""

from pathlib import Path
from typing import Any

import numpy as np

from mien.datasets import Dataset
from mien.labelling.clustering import Indices
from mien.labelling.guidance import Labelling, Reason
from mien.training.unlabelled import Unlabelled

REASONS = {
    Reason.LABELLED_MEMBERS: "named after labelled members",
    Reason.NEAREST_CENTRE: "named after the nearest class centre",
    Reason.SURE: "named, the network is sure",
    Reason.FAR: "discarded, far from every class",
    Reason.BETWEEN: "discarded, between two classes",
    Reason.NOT_AMONG_NEAREST: "discarded, not among the nearest",
    Reason.UNSURE: "discarded, the network is not sure",
    Reason.FULL: "discarded, class is full",
}


def summarise(
    labelled: Dataset,
    own: Indices,
    labels: Indices,
    answers: Indices,
    labelling: Labelling,
    labels_before: Path,
    found: Unlabelled,
) -> dict[str, Any]:
    """What a round did, as it is written to round.json."""
    expressions = labelled.expressions
    counts = np.bincount(labels[labels >= 0], minlength=len(expressions))
    own_counts = np.bincount(own, minlength=len(expressions))
    agreement = None
    if labels_before.exists():
        with np.load(labels_before) as kept:
            both = (kept["labels"] >= 0) & (labels >= 0)
            agreement = float((kept["labels"] == labels)[both].mean()) if both.any() else None
    why = labelling.reasons[len(own) :]
    return {
        "unlabelled": len(labels),
        "skipped": len(found.skipped),
        "left_out_as_known": found.known,
        "clusters": 0 if labelling.clusters is None else int(labelling.clusters.max()) + 1,
        "named": int((labels >= 0).sum()),
        "by_class": dict(zip(expressions, counts.tolist(), strict=True)),
        "labelled_by_class": dict(zip(expressions, own_counts.tolist(), strict=True)),
        "reasons": {text: count for reason, text in REASONS.items() if (count := int((why == reason).sum()))},
        "agreement_with_the_network": float((labels == answers)[labels >= 0].mean()) if (labels >= 0).any() else None,
        "agreement_with_the_round_before": agreement,
    }


def tell(name: str, summary: dict[str, Any]) -> list[str]:
    """A round's summary in lines for people."""
    lines = [f"{name}: {summary['named']} of {summary['unlabelled']} unlabelled faces got a label"]
    if summary["clusters"]:
        lines[0] += f"; {summary['clusters']} clusters in all"
    if summary["skipped"]:
        lines.append(f"  skipped, cannot be read: {summary['skipped']}")
    lines += [f"  {reason}: {count}" for reason, count in summary["reasons"].items()]
    lines.append("  new faces: " + ", ".join(f"{count} {name}" for name, count in summary["by_class"].items()))
    if without := [name for name, count in summary["labelled_by_class"].items() if not count]:
        lines.append(f"  without labelled faces, so without new ones: {', '.join(without)}")
    if summary["agreement_with_the_network"] is not None:
        share = f"{summary['agreement_with_the_network']:.3f}"
        lines.append(f"  same label as the network's own answer: {share} (its features made them: this is no check)")
    if summary["agreement_with_the_round_before"] is not None:
        lines.append(f"  same label as in the round before: {summary['agreement_with_the_round_before']:.3f}")
    if not summary["named"]:
        lines.append("  no face got a label; training goes on with the labelled faces alone")
    return lines

"""From a folder of one's own faces to a network that tells its classes, and an honest report on it."""

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mien.atomic import replacing
from mien.datasets import Dataset, as_faces, pixel_key
from mien.datasets.unlabelled import read_faces
from mien.evaluation.doubts import doubts, nearly_alike
from mien.evaluation.report import Report, evaluate
from mien.export.pipeline import export_checkpoint
from mien.labelling.contact_sheet import write_sheets
from mien.scorer import OnnxScorer
from mien.training.joint.label_check import CHECK, warnings_of
from mien.training.joint.rounds import train_rounds
from mien.training.loop import check_experiment, train
from mien.training.own_faces import experiment_for, open_own_faces
from mien.weights import default_model

LOGGER = logging.getLogger("mien")
REPORT, PAGE, CONFUSION, ANSWERS = "report.json", "report.md", "confusion.png", "answered"
LICENCE = "not stated"


@dataclass(frozen=True)
class Finetuned:
    """A network for one's own classes."""

    model: Path
    """Its ONNX file, for `Recognizer(model)` and `mien predict --model`."""
    report: Report
    """How it does on the validation faces, which it neither learned from nor was chosen by."""
    warnings: tuple[str, ...]
    """What speaks against the figures, or against labels that unlabelled faces were given, in lines for people."""


def finetune(
    faces: Path,
    out: Path,
    unlabelled: Path | None = None,
    weights: str | None = None,
    run: Path | None = None,
    resume: bool = False,
    seed: int = 0,
    device: str | None = None,
    settings: Sequence[str] = (),
) -> Finetuned:
    """Train the packaged weights on to one's own classes, export the network to `out`, and report on it.

    faces: a folder with a folder of face crops for each class; a fifth of each class is kept for validation.
    unlabelled: a folder of face crops of which the network labels what it can, and learns from that too.
    weights: a packaged network's name or a checkpoint; by default the network that is used when none is named.
    run: the folder of checkpoints, log, report (report.json, report.md), confusion.png, and pictures of the faces by
    answer (answered-CLASS.png); that of `out` without its suffix by default. resume: go on from its last checkpoint.
    settings: values of the experiment, such as "schedule.epochs=20".

    Raises DatasetError for folders that do not serve, CheckpointError for weights that do not exist, and where `run`
    holds a training and `resume` is not asked for, ExperimentError for wrong settings and devices.
    """
    training, validation = open_own_faces(faces)
    more = None if unlabelled is None else read_faces(unlabelled, "all")
    experiment = experiment_for(out.stem, len(training), weights or default_model(), more is not None, seed, settings)
    check_experiment(experiment)
    folder = run or out.with_suffix("")
    folder.mkdir(parents=True, exist_ok=True)
    LOGGER.info(
        "%s training faces, %s kept for validation: %s", len(training), len(validation), ", ".join(training.expressions)
    )
    if more is None:
        result = train(experiment, training, validation, folder, resume, device)
    else:
        result = train_rounds(experiment, training, more, validation, folder, resume, device)
    export_checkpoint(result.best, out, out.stem, LICENCE)
    report, found = _report(out, training, validation, folder)
    check = result.best.parent / CHECK
    if more is not None and check.exists():
        found += warnings_of(json.loads(check.read_text(encoding="utf-8")), check.parent)
    with replacing(folder / PAGE) as temporary:
        lines = "".join(f"- {line}\n" for line in found)
        temporary.write_text(report.to_markdown() + (f"\nDoubts:\n\n{lines}" if found else ""), encoding="utf-8")
    return Finetuned(out, report, tuple(found))


def _report(model: Path, training: Dataset, validation: Dataset, folder: Path) -> tuple[Report, list[str]]:
    """The report on the validation faces, written and drawn, and what speaks against its figures."""
    scorer = OnnxScorer(str(model))
    report = evaluate(scorer, validation, scorer.card, {pixel_key(sample.image) for sample in training})
    report.write(folder / REPORT)
    report.draw(folder / CONFUSION)
    faces, _ = as_faces(validation, scorer.card.preprocessing)
    scores = scorer(faces)
    write_sheets(folder / ANSWERS, faces, scores.argmax(axis=1), scores.max(axis=1), scorer.card.expressions)
    learned, _ = as_faces(training, scorer.card.preprocessing)
    return report, doubts(report.values, int(nearly_alike(faces, learned).sum()))

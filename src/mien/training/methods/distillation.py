"""Distillation: the mean answers of several teachers are learned beside labels and votes.

Hinton et al., "Distilling the Knowledge in a Neural Network", 2015, https://arxiv.org/abs/1503.02531, with the same
views for teachers and student (views.py). Mixup: Zhang et al., ICLR 2018, https://arxiv.org/abs/1710.09412; what the
teachers answer to two faces is mixed as the faces are. Faces without labels learn from the teachers alone.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import torch
from pydantic import Field
from pydantic.dataclasses import dataclass as checked
from torch import Tensor
from torch.nn import functional

from mien.datasets.unlabelled import NO_LABEL
from mien.errors import ExperimentError
from mien.models import Classifier
from mien.models.checked import STRICT, Count, NotNegative, Positive, Share
from mien.training.batches import Batch, BatchSource, input_size_px
from mien.training.config import Experiment
from mien.training.methods.standard import Standard, StandardOptions
from mien.training.randomness import generator
from mien.training.views import Answers, Teachers, draw_view
from mien.training.weights_file import find_initial_weights


@checked(frozen=True, config=STRICT)
class DistillationOptions(StandardOptions):
    """Options of distillation."""

    teachers: Annotated[tuple[str, ...], Field(min_length=1)] = Field(kw_only=True)
    """Checkpoints, or names of packaged networks: each has the data set's classes, FERPlus' classes, or a head for
    both."""
    teachers_weight: Share = 0.8
    """Weight of what the teachers answer; the rest is that of labels and votes."""
    temperature: Positive = 1.0
    """Logits of teachers and student are divided by it, and the loss is multiplied by its square (Hinton et al.)."""
    views: Count = 16
    """Drawn views of each face; an epoch shows all faces in one of them, and the views take turns."""
    mixup: NotNegative = 0.0
    """α of the beta distribution from which the share of the first of two mixed faces is drawn; 0 mixes none."""
    folder: str = "runs/views"
    """Where the teachers' answers are stored, for this training and others that learn from the same views."""


@dataclass(frozen=True)
class DistillationBatch(Batch):
    """One step's faces; `targets` and `votes` are zeros for faces without, and mixed where faces are."""

    taught: Tensor | None = None
    """What the teachers answer with the classes of the data set: probabilities float32 (B, K)."""
    taught_votes: Tensor | None = None
    """The same with FERPlus' classes (B, 8)."""


class Distillation(Standard):
    """The standard method, in views that are the same for all who learn from these teachers, with their answers."""

    name = "distillation"
    options_class = DistillationOptions
    options: DistillationOptions

    def __init__(self, source: BatchSource, network: Classifier, options: dict[str, Any]) -> None:
        super().__init__(source, network, options)
        self.teachers = Teachers(self.options.teachers, source, Path(self.options.folder))

    @classmethod
    def taught_by(cls, options: dict[str, Any]) -> tuple[str, ...]:
        teachers: tuple[str, ...] = cls.read_options(options).teachers
        return teachers

    @classmethod
    def check(cls, network: Classifier, experiment: Experiment) -> None:
        options = cls.read_options(experiment.method.options)
        for teacher in options.teachers:
            find_initial_weights(teacher)
        if experiment.augmentation.masked_copies or experiment.joint or experiment.data.folds:
            raise ExperimentError("method distillation: expected an experiment without masked_copies, joint and folds")
        if options.targets != "label":
            raise ExperimentError("method distillation: expected targets = 'label'; votes are learned by vote_weight")

    def batches(self, epoch: int) -> Iterator[Batch]:
        source, size = self.source, self.source.batch_size
        number, size_px = epoch % self.options.views, input_size_px(source.experiment, epoch)
        view = draw_view(source, number, size_px)
        answers = self.teachers.answers(number, size_px, view)
        order = source.order(self.steps_per_epoch() * size, epoch).to(view.device)
        for step in range(self.steps_per_epoch()):
            chosen = order[step * size : (step + 1) * size]
            batch = self._batch(view[chosen], chosen, answers)
            yield self._mixed(batch, epoch, step) if self.options.mixup else batch

    def _batch(self, view: Tensor, chosen: Tensor, answers: Answers) -> DistillationBatch:
        source, smoothing = self.source, self.options.label_smoothing
        labels = source.labels[chosen]
        known = (labels != NO_LABEL).unsqueeze(1)
        one_hot = functional.one_hot(labels.clamp(min=0), source.classes).float()
        return DistillationBatch(
            source.normalised(view.float().mul_(1 / 255)),
            labels,
            None if source.votes is None else source.votes[chosen],
            (one_hot * (1 - smoothing) + smoothing / source.classes) * known,
            taught=self._softened(answers.labels, chosen),
            taught_votes=self._softened(answers.votes, chosen),
        )

    def _softened(self, probabilities: Tensor | None, chosen: Tensor) -> Tensor | None:
        """Probabilities (B, K) of the chosen faces at the temperature."""
        if probabilities is None:
            return None
        powers = probabilities[chosen].float().pow(1 / self.options.temperature)
        return powers / powers.sum(dim=1, keepdim=True)

    def _mixed(self, batch: DistillationBatch, epoch: int, step: int) -> DistillationBatch:
        draw = generator(self.source.experiment.seed, "mixup", epoch, step)
        count, device = len(batch.images), batch.images.device
        other = torch.randperm(count, generator=draw).to(device)
        gammas = torch._standard_gamma(torch.full((2, count), self.options.mixup), generator=draw)
        share = (gammas[0] / gammas.sum(dim=0).clamp(min=1e-12)).to(device)  # follows a beta distribution
        changed = {}
        for name in ("images", "votes", "targets", "taught", "taught_votes"):
            if (values := getattr(batch, name)) is not None:
                first = share.view(-1, *[1] * (values.ndim - 1))
                changed[name] = first * values + (1 - first) * values[other]
        return replace(batch, **changed)

    def loss(self, network: Classifier, batch: Batch, epoch: int) -> dict[str, Tensor]:
        assert isinstance(batch, DistillationBatch)
        assert batch.targets is not None
        temperature, weight = self.options.temperature, self.options.teachers_weight
        features = network.forward_features(batch.images)
        logits = network.classify(features)
        told, taught = functional.cross_entropy(logits, batch.targets), logits.new_zeros(())
        if batch.taught is not None:
            taught = taught + temperature**2 * functional.cross_entropy(logits / temperature, batch.taught)
        if network.vote_head is not None and batch.votes is not None:
            votes, vote_weight = network.vote_head(features), self.options.vote_weight
            told = told + vote_weight * functional.cross_entropy(votes, batch.votes)
            if batch.taught_votes is not None:
                loss = temperature**2 * functional.cross_entropy(votes / temperature, batch.taught_votes)
                taught = taught + vote_weight * loss
        right = (logits.argmax(dim=1) == batch.labels).sum() / (batch.labels != NO_LABEL).sum().clamp(min=1)
        return {"loss": weight * taught + (1 - weight) * told, "taught": taught, "accuracy": right}

"""Drawn views of the training faces, and what teachers answer to them: computed once, stored and reused.

Beyer et al., "Knowledge distillation: A good teacher is patient and consistent", CVPR 2022,
https://arxiv.org/abs/2106.05237: teachers and student see the same augmented view, for very many epochs. Here a face
has a limited number of views, each drawn from its number alone, so that what the teachers answer need not be computed
anew in every epoch and for every student.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor
from torch.nn import functional

from mien.atomic import replacing
from mien.errors import CheckpointError
from mien.expressions import FERPLUS_8
from mien.preprocessing import Preprocessing
from mien.progress_bar import ProgressBar
from mien.training.augmentation import augment
from mien.training.averaged import averaged_network
from mien.training.batches import BatchSource, normalised
from mien.training.checkpoint import load_checkpoint
from mien.training.machine import mixed_precision
from mien.training.randomness import generator
from mien.training.weights_file import find_initial_weights

DRAWN_AT_ONCE, ASKED_AT_ONCE = 1024, 256


@dataclass(frozen=True)
class Answers:
    """What the teachers answer to all faces of one view, N of them."""

    labels: Tensor | None
    """Probabilities float16 (N, K) of the data set's classes, if a teacher has them."""
    votes: Tensor | None
    """Probabilities float16 (N, 8) of FERPlus' classes, if a teacher has them."""


def draw_view(source: BatchSource, number: int, size_px: int) -> Tensor:
    """The view of a number of all faces: uint8 (N, C, size_px, size_px), the same for the same seed."""
    experiment = source.experiment
    parts = []
    for position, faces in enumerate(torch.split(source.faces, DRAWN_AT_ONCE)):
        draw = generator(experiment.seed, f"view {size_px}", number, position, faces.device)
        images = faces.float().mul_(1 / 255)
        changed = augment(images, experiment.augmentation, size_px, draw, experiment.schedule.progressive_crops)
        parts.append(changed.mul_(255).round_().to(torch.uint8))
    return torch.cat(parts)


@dataclass(frozen=True)
class _Teacher:
    network: Any
    preprocessing: Preprocessing
    has_labels: bool
    """Whether its classes are those of the data set."""
    has_votes: bool
    """Whether its classes are FERPlus'; it may have a second head for these besides."""


def _read_teacher(file: Path, source: BatchSource) -> _Teacher:
    checkpoint, classes = load_checkpoint(file), source.expressions
    known, preprocessing = checkpoint.header.expressions, checkpoint.header.preprocessing
    network: Any = averaged_network(checkpoint).folded().eval().to(source.labels.device)
    if known not in (classes, FERPLUS_8) and network.vote_head is None:
        raise CheckpointError(f"{file}: expected a teacher of {', '.join(classes)}, found one of {', '.join(known)}")
    if preprocessing.channels != (channels := source.preprocessing.channels):
        raise CheckpointError(f"{file}: expected a teacher of {channels} channels, found {preprocessing.channels}")
    network.to(memory_format=torch.channels_last)  # twice as fast on CPU
    return _Teacher(network, preprocessing, known == classes, known == FERPLUS_8)


class Teachers:
    """Networks whose mean answers are learned.

    checkpoints: paths of checkpoints, or names of packaged networks. folder: where answers are stored. Raises
    CheckpointError for a missing checkpoint, or a network whose classes are neither the data set's nor FERPlus'.
    """

    def __init__(self, checkpoints: Sequence[str], source: BatchSource, folder: Path) -> None:
        self._source = source
        files = [find_initial_weights(name) for name in checkpoints]
        self._teachers = [_read_teacher(file, source) for file in files]
        self.folder = folder / self._digest(files)

    def _digest(self, files: Sequence[Path]) -> str:
        """The same for the same faces, views and teachers."""
        experiment = self._source.experiment
        digest = hashlib.sha256(self._source.faces.cpu().numpy().tobytes())
        for file in files:
            digest.update(hashlib.sha256(file.read_bytes()).digest())
        drawn = [experiment.seed, experiment.schedule.progressive_crops, asdict(experiment.augmentation)]
        digest.update(json.dumps(drawn, sort_keys=True).encode())
        return digest.hexdigest()[:16]

    def answers(self, number: int, size_px: int, view: Tensor) -> Answers:
        """The mean probabilities over teachers and mirror images, from the folder or computed and stored.

        view: what `draw_view` gives for the number and size.
        """
        file = self.folder / f"{size_px}px-view-{number:03d}.safetensors"
        if not file.exists():
            self._compute(file, view)
        with safe_open(file, framework="pt", device=str(view.device)) as stored:
            known = set(stored.keys())
            labels, votes = (stored.get_tensor(name) if name in known else None for name in ("labels", "votes"))
        return Answers(labels, votes)

    def _compute(self, file: Path, view: Tensor) -> None:
        found: dict[str, list[Tensor]] = {}
        done = 0
        with ProgressBar(len(view), f"teachers answer {file.stem}") as bar:
            for part in torch.split(view, ASKED_AT_ONCE):
                for name, probabilities in self._ask(part).items():
                    found.setdefault(name, []).append(probabilities.to(torch.float16))
                done += len(part)
                bar.advance(done)
        self.folder.mkdir(parents=True, exist_ok=True)
        with replacing(file) as temporary:
            temporary.write_bytes(save({name: torch.cat(each).cpu() for name, each in found.items()}))

    @torch.inference_mode()
    def _ask(self, view: Tensor) -> dict[str, Tensor]:
        """Mean probabilities by head of images uint8 (B, C, S, S)."""
        found: dict[str, list[Tensor]] = {"labels": [], "votes": []}
        for teacher in self._teachers:
            size_px = round(view.shape[-1] * teacher.preprocessing.size_px / self._source.preprocessing.size_px)
            images = view.float().mul_(1 / 255)
            if size_px != view.shape[-1]:
                images = functional.interpolate(images, (size_px, size_px), mode="bilinear", antialias=True)
            both = normalised(torch.cat((images, images.flip(3))), teacher.preprocessing)
            with mixed_precision(teacher.network, both.device):
                features = teacher.network.forward_features(both)
            features = features.float()
            logits = {"labels": teacher.network.classify(features) if teacher.has_labels else None}
            logits["votes"] = teacher.network.vote_head(features) if teacher.network.vote_head is not None else None
            if teacher.has_votes:
                logits["votes"] = teacher.network.classify(features)
            for name, values in logits.items():
                if values is not None:
                    found[name].append(values.float().softmax(dim=1).view(2, len(view), -1).mean(dim=0))
        return {name: torch.stack(each).mean(dim=0) for name, each in found.items() if each}

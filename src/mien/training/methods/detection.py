"""Face detection on composed scenes (scenes.py), with the losses of mien.training.detector.losses."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pydantic.dataclasses
import torch
from torch import Tensor

from mien.datasets.photographs import PEOPLE, Photographs, read_photographs
from mien.detection.boxes import (
    FloatArray,
)
from mien.detection.decoding import (
    Maps,
    find_faces,
)
from mien.detection.options import LOOKS
from mien.errors import ExperimentError
from mien.evaluation.detectors import SMALLEST_SCORE, average_precisions
from mien.models import DETECTORS, Detector, build_detector
from mien.models.checked import STRICT, NotNegative, Share
from mien.preprocessing import ImageArray, Preprocessing
from mien.training.batches import normalised
from mien.training.config import Experiment
from mien.training.detector.crowds import Crowd
from mien.training.detector.losses import Assignment, detection_losses
from mien.training.detector.scene_pictures import Pictures
from mien.training.detector.scenes import compose
from mien.training.detector.tiles import SceneFaces
from mien.training.methods.method import Method
from mien.training.options import AugmentationOptions
from mien.training.randomness import generator
from mien.training.task import Task

PLAIN_SHARE = 0.6
"""Of the scenes of the last epochs (chosen)."""


@pydantic.dataclasses.dataclass(frozen=True, config=STRICT)
class DetectionOptions:
    """Options of the detection method."""

    empty_share: Share = 0.4
    """Share of the tiles of scenes of portraits that show pictures without faces."""
    crowd_share: Share = 0.0
    """Share of the scenes that show photographs of people (crowds.py), for which the training split needs some."""
    assignment: Assignment = "centres"
    """Which cells learn which faces: `centres`, those near the middle, or `cost`, by what they answer
    (assignment.py)."""
    plain_epochs: NotNegative = 0
    """In the last epochs, this many, PLAIN_SHARE of the scenes are not covered, lit anew or degraded; last epochs on
    plainer pictures are from YOLOX (Ge et al., 2021, https://arxiv.org/abs/2107.08430)."""
    box_weight: NotNegative = 2.0
    """Weight of the loss of boxes against that of scores."""
    landmark_weight: NotNegative = 1.5
    """Weight of the loss of landmarks."""


@dataclass(frozen=True)
class SceneBatch:
    """One step's scenes."""

    images: Tensor
    """Normalised float32 (B, 3, S, S)."""
    faces: SceneFaces
    """What is in them."""


class SceneSource:
    """Composes the scenes of a step from (seed, epoch, step) alone."""

    def __init__(self, pictures: Pictures, crowd: Crowd | None, experiment: Experiment) -> None:
        self.pictures, self.crowd, self.experiment = pictures, crowd, experiment

    def batch(self, options: DetectionOptions, epoch: int, step: int) -> SceneBatch:
        """The scenes of one step."""
        experiment, data = self.experiment, self.experiment.data
        draw = generator(experiment.seed, "scenes", epoch, step, self.pictures.boxes.device)
        plain_share = PLAIN_SHARE if epoch >= experiment.schedule.epochs - options.plain_epochs else 0.0
        count, empty_share = experiment.schedule.batch_size, options.empty_share
        images, faces = compose(
            self.pictures, count, data.size_px, empty_share, draw, plain_share, self.crowd, options.crowd_share
        )
        return SceneBatch(normalised(images, data.preprocessing()), faces)


class FaceDetection(Task[Detector, Photographs]):
    """Photographs with boxes; selection by average precision on whole ones."""

    selected_by = "average_precision"

    @staticmethod
    def open(name: str, root: Path, split: str) -> Photographs:
        if name != Photographs.name:
            raise ExperimentError(f"method detection: expected the data set {Photographs.name!r}, found {name!r}")
        return read_photographs(root, split)

    def make_network(self, classes: int) -> Detector:
        options = self.experiment.network
        if options.name not in DETECTORS:
            known = " or ".join(map(repr, DETECTORS))
            raise ExperimentError(f"method detection: expected the network {known}, found {options.name!r}")
        return build_detector(options.name, options.options)

    def make_source(self, training: Photographs, device: torch.device, weak: bool = False) -> SceneSource:
        if weak:
            raise ExperimentError("method detection: expected no relabelling; its scenes have no hardly changed form")
        people = [each for each in training if each.collection == PEOPLE]
        if bool(people) != bool(self.options.crowd_share):
            found = f"{len(people)} in the split {training.split}"
            raise ExperimentError(
                f"method detection: expected photographs of people where crowd_share > 0, found {found}"
            )
        crowd = Crowd(people, device) if people else None
        others = [each for each in training if each.collection != PEOPLE]
        return SceneSource(Pictures(others, device), crowd, self.experiment)

    def prepare(self, selection: Photographs) -> Photographs:
        return selection

    def measure(self, network: Detector, prepared: Photographs) -> dict[str, float]:
        """Average precision as at run time: of all faces, of bare ones, of masked ones."""
        maps = maps_of(network, self.preprocessing)

        def find(image: ImageArray) -> tuple[FloatArray, FloatArray]:
            found = find_faces(image, maps, LOOKS.longest_px, SMALLEST_SCORE)
            return found.boxes_xyxy, found.scores

        found = average_precisions(find, prepared)
        return {
            "average_precision": found["all"],
            **{f"average_precision_{kind}": found[kind] for kind in ("bare", "masked")},
        }


class Detection(Method[Detector, SceneBatch]):
    """Scenes composed anew for every step."""

    name = "detection"
    task = FaceDetection
    options_class = DetectionOptions
    options: DetectionOptions

    def __init__(self, source: SceneSource, network: Detector, options: dict[str, Any]) -> None:
        self.source = source
        self.options = self.read_options(options)

    def steps_per_epoch(self) -> int:
        experiment = self.source.experiment
        return experiment.schedule.steps_per_epoch or self.source.pictures.with_faces // experiment.schedule.batch_size

    def batches(self, epoch: int) -> Iterator[SceneBatch]:
        """The scenes of the next step are composed while the network learns from those of this one."""
        steps = range(self.steps_per_epoch())
        with ThreadPoolExecutor(1) as pool:
            following = pool.submit(self.source.batch, self.options, epoch, 0)
            for step in steps:
                batch = following.result()
                if step + 1 in steps:
                    following = pool.submit(self.source.batch, self.options, epoch, step + 1)
                yield batch

    def loss(self, network: Detector, batch: SceneBatch, epoch: int) -> dict[str, Tensor]:
        losses = detection_losses(network(batch.images), batch.faces, self.options.assignment)
        weighted = self.options.box_weight * losses["box"] + self.options.landmark_weight * losses["landmark"]
        return {"loss": losses["score"] + weighted, **losses}

    @classmethod
    def check(cls, network: Detector, experiment: Experiment) -> None:
        data, schedule = experiment.data, experiment.schedule
        if data.channels != 3 or data.size_px % 288:
            raise ExperimentError(
                "method detection: expected channels = 3 and a size_px divisible by 288 (tiles, strides and blocks of "
                f"JPEG), found {data.channels} and {data.size_px}"
            )
        if experiment.joint or data.folds or schedule.progressive_size_px:
            raise ExperimentError(
                "method detection: expected an experiment without joint rounds, folds and progressive sizes"
            )
        if experiment.augmentation != AugmentationOptions():
            raise ExperimentError("method detection: expected no [augmentation]; its scenes have their own")
        if experiment.statistics != "averaged":
            raise ExperimentError("method detection: expected statistics 'averaged'; it has no faces without a scene")


def maps_of(network: Detector, preprocessing: Preprocessing) -> Callable[[ImageArray], Maps]:
    """A network in torch as `find_faces` takes it."""
    device = next(network.parameters()).device

    def maps(image: ImageArray) -> Maps:
        x = torch.tensor(image, device=device).permute(2, 0, 1)[None].float().mul_(1 / 255)
        x = normalised(x, preprocessing)
        with torch.inference_mode():
            return [found[0].float().cpu().numpy() for found in network(x)]

    return maps

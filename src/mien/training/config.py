"""An experiment file as a whole: one TOML file describes one training; unknown keys fail."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

from mien.datasets import same_faces
from mien.errors import ExperimentError
from mien.models.checked import STRICT, to_plain, validated
from mien.training.options import (
    AugmentationOptions,
    DataOptions,
    JointOptions,
    MethodOptions,
    NetworkOptions,
    OptimizerOptions,
    ScheduleOptions,
)
from mien.training.weights_file import fitted_to_weights

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


@dataclass(frozen=True, config=STRICT)
class Experiment:
    """One training, whole."""

    name: str
    """Name of the experiment and of what it exports."""
    data: DataOptions
    network: NetworkOptions
    schedule: ScheduleOptions
    augmentation: AugmentationOptions = AugmentationOptions()
    optimizer: OptimizerOptions = OptimizerOptions()
    method: MethodOptions = MethodOptions()
    joint: JointOptions | None = None
    seed: Annotated[int, Field(ge=0)] = 0
    """Everything random derives from it."""
    averaging: Annotated[float, Field(ge=0, lt=1)] = 0.999
    """Decay of the exponential average of the weights, which is what is evaluated and exported; 0 for none."""
    statistics: Literal["averaged", "precise"] = "averaged"
    """Batch norm statistics of the averaged network: averaged like its weights, or precise: computed on the training
    faces as they are, without augmentation (precise_bn.py). With joint.own_share, the average then answers by those of
    the batch."""
    mixed_precision: bool = True
    """bfloat16 autocast where it is faster: on GPUs, and for networks of dense convolutions on processors with
    AVX512_BF16 or AMX."""

    @model_validator(mode="after")
    def _check(self) -> "Experiment":
        if any(size >= self.data.size_px for size in self.schedule.progressive_size_px):
            raise ValueError(
                f"progressive_size_px {self.schedule.progressive_size_px} must be smaller than "
                f"size_px ({self.data.size_px})"
            )
        if self.joint and self.data.folds:
            raise ValueError("joint rounds and folds do not go together")
        if self.joint and same_faces(self.joint.unlabelled, self.data.dataset):
            rest = f"{self.data.training_split}-rest"
            if (self.joint.unlabelled, self.joint.unlabelled_split) != (self.data.dataset, rest):
                raise ValueError(
                    f"joint.unlabelled_split: expected {rest!r} of {self.data.dataset}, or another data set: "
                    "other parts hold faces that are learned from or measured"
                )
        if self.joint and self.joint.soft and self.method.options.get("targets", "distribution") != "distribution":
            raise ValueError(
                f"method.options.targets: expected 'distribution' or none, since joint.soft labels are distributions, "
                f"found {self.method.options['targets']!r}"
            )
        if self.joint and self.joint.check and self.data.selection_split == "none":
            raise ValueError("joint.check needs a selection_split")
        if self.data.unlabelled and self.method.name != "distillation":
            raise ValueError("data.unlabelled does nothing without method 'distillation'")
        if self.schedule.shape == "plateau" and (self.data.folds or self.data.selection_split == "none"):
            raise ValueError("schedule.shape 'plateau' needs a selection_split")
        return self


def read_experiment(file: Path, settings: Sequence[str] = ()) -> Experiment:
    """Read an experiment file; ExperimentError names the file, the key, and what was expected.

    settings: values in the place of the file's, such as "schedule.epochs=2". What the file leaves out of a network that
    it starts from comes with `network.weights` (`fitted_to_weights`).
    """
    try:
        values = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ExperimentError(f"{file}: expected an experiment file, found nothing") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise ExperimentError(f"{file}: expected TOML: {error}") from error
    for setting in settings:
        set_value(values, setting)
    return experiment_from_dict(fitted_to_weights(values), str(file))


def set_value(values: dict[str, Any], setting: str) -> None:
    """Set one value, KEY=VALUE: KEY with the names of its tables before it, VALUE as in TOML, or text as it is."""
    key, equals, text = setting.partition("=")
    if not (equals and key.strip()):
        raise ExperimentError(f"expected KEY=VALUE, such as schedule.epochs=2, found {setting!r}")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text.strip()
    *tables, last = (part.strip() for part in key.split("."))
    for name in tables:
        values = values.setdefault(name, {})
        if not isinstance(values, dict):
            raise ExperimentError(f"{setting}: expected a table {name!r}, found the value {values!r}")
    values[last] = value


def experiment_from_dict(values: dict[str, Any], source: str) -> Experiment:
    """The inverse of `experiment_to_dict`; source is named in errors."""
    return validated(Experiment, values, source)


def experiment_to_dict(experiment: Experiment) -> dict[str, Any]:
    """The whole configuration as plain values, for checkpoints."""
    return to_plain(experiment)

"""An experiment file as a whole: one TOML file describes one training; unknown keys fail."""

import sys
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import Field, TypeAdapter, ValidationError, model_validator
from pydantic.dataclasses import dataclass

from mien.datasets import same_faces
from mien.errors import ExperimentError
from mien.training.options import (
    STRICT,
    AugmentationOptions,
    DataOptions,
    JointOptions,
    MethodOptions,
    NetworkOptions,
    OptimizerOptions,
    ScheduleOptions,
)

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

T = TypeVar("T")


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
        if self.data.unlabelled and self.method.name != "distillation":
            raise ValueError("data.unlabelled does nothing without method 'distillation'")
        if self.schedule.shape == "plateau" and (self.data.folds or self.data.selection_split == "none"):
            raise ValueError("schedule.shape 'plateau' needs a selection_split")
        return self


_ADAPTER = TypeAdapter(Experiment)


def read_experiment(file: Path) -> Experiment:
    """Read an experiment file; ExperimentError names the file, the key, and what was expected."""
    try:
        values = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ExperimentError(f"{file}: expected an experiment file, found nothing") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise ExperimentError(f"{file}: expected TOML: {error}") from error
    return experiment_from_dict(values, str(file))


def experiment_from_dict(values: dict[str, Any], source: str) -> Experiment:
    """The inverse of `experiment_to_dict`; source is named in errors."""
    return validated(_ADAPTER, values, source)


def validated(adapter: TypeAdapter[T], values: dict[str, Any], source: str) -> T:
    """Values checked against a configuration class; ExperimentError names source, key, expectation and finding."""
    try:
        return adapter.validate_python(values)
    except ValidationError as error:
        first = min(error.errors(), key=lambda each: each["type"] != "unexpected_keyword_argument")
        key = ".".join(str(part) for part in first["loc"])
        if first["type"] == "unexpected_keyword_argument":
            raise ExperimentError(f"{source}: unknown key {key!r}") from error
        whole = first["type"].startswith("missing") or first["type"] == "value_error"  # what was found is all values
        found = "" if whole else f", found {first['input']!r}"
        raise ExperimentError(f"{source}: {key}: {first['msg']}{found}".replace(": : ", ": ")) from error


def experiment_to_dict(experiment: Experiment) -> dict[str, Any]:
    """The whole configuration as plain values, for checkpoints."""
    values: dict[str, Any] = _ADAPTER.dump_python(experiment, mode="json")
    return values

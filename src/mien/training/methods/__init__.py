"""The training methods, by name."""

from typing import Any

from mien.errors import ExperimentError
from mien.training.methods.cumulative import Cumulative
from mien.training.methods.detection import Detection
from mien.training.methods.distillation import Distillation
from mien.training.methods.joint_loss import JointLoss
from mien.training.methods.method import Method
from mien.training.methods.standard import Standard

METHODS: dict[str, type[Method[Any, Any]]] = {
    "cumulative": Cumulative,
    "detection": Detection,
    "distillation": Distillation,
    "joint-loss": JointLoss,
    "standard": Standard,
}


def method_class(name: str) -> type[Method[Any, Any]]:
    """The class of a method; an unknown name raises ExperimentError."""
    if name not in METHODS:
        raise ExperimentError(f"unknown method {name!r}; known: {', '.join(sorted(METHODS))}")
    return METHODS[name]

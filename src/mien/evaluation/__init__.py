"""How good networks and detectors are, measured."""

from mien.evaluation.report import Report, evaluate

__all__ = ["Report", "evaluate"]

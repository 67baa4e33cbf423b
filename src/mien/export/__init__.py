"""From a checkpoint to an ONNX file."""

from mien.export.pipeline import export_checkpoint

__all__ = ["export_checkpoint"]

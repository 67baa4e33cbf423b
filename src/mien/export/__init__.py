"""From a checkpoint to an ONNX file, and from there to phones and boards."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mien.export.pipeline import export_checkpoint

__all__ = ["export_checkpoint"]


def __getattr__(name: str) -> Any:
    """`export_checkpoint`, read when it is asked for: conversions for phones do without torch."""
    if name != "export_checkpoint":
        raise AttributeError(f"module 'mien.export' has no attribute {name!r}")
    from mien.export.pipeline import export_checkpoint

    return export_checkpoint

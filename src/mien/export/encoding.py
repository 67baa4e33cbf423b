"""A torch module as an ONNX file that is complete alone: its manifest entry stands in it."""

import json
import logging
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mien.errors import ModelError
from mien.export.manifest import Kind
from mien.weights import METADATA_KEY

OPSET = 20


@dataclass(frozen=True)
class Encoded:
    """A network as an ONNX file that is not yet written."""

    kind: Kind
    content: bytes
    entry: dict[str, Any]
    """What the manifest says of it."""
    check: Callable[[Path], float]
    """The largest difference of a file with this content to torch; ModelError where that is too large."""


def encode(
    module: nn.Module, example: Tensor, given: str, outputs: list[str], shapes: Any, name: str, entry: dict[str, Any]
) -> bytes:
    """A module as an ONNX file with its manifest entry.

    example: one input, called `given`. shapes: which of its sides may have other sizes, as torch.export takes them.
    """
    # The exporter warns of its own deprecations, and of torchvision, which is not needed.
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            module.eval(),
            (example,),
            input_names=[given],
            output_names=outputs,
            opset_version=OPSET,
            dynamo=True,
            dynamic_shapes=shapes,
            verbose=False,
        )
    if program is None:
        raise ModelError(f"{name}: the exporter gave no program")
    model = program.model_proto
    for described in (*model.graph.node, *model.graph.input, *model.graph.output, *model.graph.value_info):
        described.ClearField("metadata_props")  # torch's stack traces: a tenth of the file
        described.ClearField("doc_string")
    metadata = model.metadata_props.add()
    metadata.key, metadata.value = METADATA_KEY, json.dumps(entry)
    encoded: bytes = model.SerializeToString()
    return encoded

"""A network of mien's as phones take it: float input of one fixed size, constants folded. Needs `onnx`."""

import json
import tempfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray

from mien.detection.decoding import MULTIPLE_PX
from mien.errors import ModelError
from mien.export.phones.four_dimensions import in_four_dimensions
from mien.preprocessing import Preprocessing
from mien.weights import METADATA_KEY, default_model, list_detectors, read_model

FloatArray = NDArray[np.float32]


@dataclass(frozen=True)
class FixedNetwork:
    """An ONNX file with one float input (1, C, H, W) of a fixed size, and where it comes from."""

    entry: dict[str, Any]
    """The manifest entry of the network."""
    shape: tuple[int, int, int, int]
    """(1, C, H, W) of the input."""
    content: bytes
    """The ONNX file; weights as they were stored."""
    source: bytes
    """The ONNX file that it was made of."""

    @property
    def is_detector(self) -> bool:
        """Whether it finds faces; otherwise it tells expressions."""
        return "expressions" not in self.entry

    @property
    def name(self) -> str:
        """What its files are called: detectors have a file a size."""
        name: str = self.entry["name"]
        return f"{name}-{self.shape[3]}" if self.is_detector else name

    @cached_property
    def outputs(self) -> list[str]:
        """Names of the outputs, in order."""
        return [each.name for each in onnx.load_from_string(self.content).graph.output]

    @cached_property
    def has_integer_weights(self) -> bool:
        """Whether weights are stored as 8-bit integers."""
        stored = onnx.load_from_string(self.content).graph.initializer
        return any(each.data_type == onnx.TensorProto.INT8 for each in stored)

    def folded(self) -> bytes:
        """The ONNX file with shapes and weights as plain constants, in fp32, by ONNX Runtime."""
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "folded.onnx"
            options.optimized_model_filepath = str(file)
            onnxruntime.InferenceSession(
                self.content, options, providers=["CPUExecutionProvider"], disabled_optimizers=["TransposeOptimizer"]
            )
            return in_four_dimensions(file.read_bytes())

    def expected(self, inputs: FloatArray) -> list[FloatArray]:
        """What the source answers in ONNX Runtime to an input (1, C, H, W): its outputs, in order.

        Detectors take pixels here, whole numbers from 0 to 255.
        """
        session = onnxruntime.InferenceSession(self.source, providers=["CPUExecutionProvider"])
        given = inputs.transpose(0, 2, 3, 1).astype(np.uint8) if self.is_detector else inputs
        answers: list[FloatArray] = session.run(None, {session.get_inputs()[0].name: given})
        return answers


def fixed_network(model: str | None, size_px: int | None) -> FixedNetwork:
    """A packaged network or face detector, by name, or a file of one's own, by path, with an input of a fixed size.

    model: the default network if None. size_px: side of a detector's square input; None for other networks, whose
    size is that of their faces. Raises ModelError where there is no such network, or the size does not suit it.
    """
    name = model or default_model()
    detectors = {card.name for card in list_detectors()}
    source = read_model(name, "detectors" if name in detectors else "models")
    try:
        network = onnx.load_from_string(source)
    except Exception as error:  # protobuf's own, which are not public
        raise ModelError(f"{name}: expected an ONNX file from mien export, found another file") from error
    entry = next((json.loads(each.value) for each in network.metadata_props if each.key == METADATA_KEY), None)
    if entry is None:
        raise ModelError(f"{name}: expected a network exported by mien, found one without its manifest entry")
    shape = _shape(name, entry, size_px)
    if "expressions" not in entry:
        _take_pixels_as_floats(network.graph)
    dimensions = network.graph.input[0].type.tensor_type.shape
    dimensions.Clear()
    for length in shape:
        dimensions.dim.add().dim_value = length
    for described in network.graph.output:
        described.type.tensor_type.ClearField("shape")
    del network.graph.value_info[:]
    return FixedNetwork(entry, shape, onnx.shape_inference.infer_shapes(network).SerializeToString(), source)


def _shape(name: str, entry: dict[str, Any], size_px: int | None) -> tuple[int, int, int, int]:
    if "expressions" in entry:
        values = Preprocessing.from_dict(entry["preprocessing"])
        if size_px is not None:
            raise ModelError(f"{name}: expected no size, since faces have {values.size_px} pixels, found {size_px}")
        return (1, values.channels, values.size_px, values.size_px)
    if size_px is None or size_px < MULTIPLE_PX or size_px % MULTIPLE_PX:
        raise ModelError(f"{name}: expected a size for a face detector, a multiple of {MULTIPLE_PX}, found {size_px}")
    return (1, 3, size_px, size_px)


def _take_pixels_as_floats(graph: onnx.GraphProto) -> None:
    """Cut off what makes float planes of an image uint8 (1, H, W, 3): the input is then float (1, 3, H, W)."""
    given = graph.input[0]
    inner = given.name
    while (node := graph.node[0]).op_type in ("Transpose", "Cast") and node.input[0] == inner:
        inner = node.output[0]
        graph.node.remove(node)
    if inner == given.name:
        raise ModelError(f"{given.name}: expected a detector that begins with pixels, found {graph.node[0].op_type}")
    for later in graph.node:
        for place, used in enumerate(later.input):
            if used == inner:
                later.input[place] = "pixels"
    given.name, given.type.tensor_type.elem_type = "pixels", onnx.TensorProto.FLOAT

"""Smaller ONNX files of the same network: weights in half precision, or 8-bit integers throughout."""

import logging
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

Precision = Literal["fp32", "fp16", "int8"]
SMALLEST = 64
"""Tensors with fewer values (chosen) stay as they are in half precision; they weigh nothing."""


FEW_WEIGHTS = 2048
"""Convolutions with fewer weights (chosen), the stem and the first depth-wise ones, stay in fp32 beside int8, as does
the classifier: with 3 % of the file they are two thirds of the error (rlr-cnet, 1,200 images of PublicTest: 0.953 of
the answers of fp32 instead of 0.903)."""


def to_half_weights(encoded: bytes) -> bytes:
    """The network with its weights stored in half precision; ONNX Runtime computes in fp32, as fast as before."""
    model = onnx.load_from_string(encoded)
    graph = model.graph
    casts = []
    for weight in graph.initializer:
        if weight.data_type != onnx.TensorProto.FLOAT or np.prod(weight.dims) < SMALLEST:
            continue
        name = weight.name
        half = numpy_helper.to_array(weight).astype(np.float16)
        weight.CopyFrom(numpy_helper.from_array(half, f"{name}_half"))
        casts.append(helper.make_node("Cast", [weight.name], [name], to=onnx.TensorProto.FLOAT))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    result: bytes = model.SerializeToString()
    return result


def to_int8(encoded: bytes, inputs: NDArray[np.float32]) -> bytes:
    """The network with its larger layers in 8-bit integers (static quantization of ONNX Runtime).

    inputs: (N, C, S, S), from which the ranges of activations are taken. Weights have a scale a channel and 7 bits:
    with 8, processors without VNNI instructions saturate (measured: 0.49 instead of 0.65 accuracy). The smallest
    convolutions (`FEW_WEIGHTS`) and the layer that gives the logits stay as they are.
    """
    from onnxruntime import quantization
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Ranges(quantization.CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.batches: Iterator[NDArray[np.float32]] = iter(np.array_split(inputs, max(1, len(inputs) // 64)))

        def get_next(self) -> dict[str, NDArray[np.float32]] | None:
            batch = next(self.batches, None)
            return None if batch is None else {"faces": batch}

    logger = logging.getLogger()
    level = logger.level
    logger.setLevel(logging.ERROR)  # it advises what is done here
    try:
        with tempfile.TemporaryDirectory() as folder:
            whole, prepared, small = (Path(folder) / name for name in ("whole", "prepared", "small"))
            whole.write_bytes(encoded)
            quant_pre_process(whole, prepared, skip_symbolic_shape=True)
            quantization.quantize_static(
                prepared,
                small,
                Ranges(),
                op_types_to_quantize=["Conv", "Gemm", "MatMul"],
                nodes_to_exclude=_sensitive(onnx.load(prepared).graph),
                per_channel=True,
                reduce_range=True,
                activation_type=quantization.QuantType.QUInt8,
                weight_type=quantization.QuantType.QInt8,
            )
            model = onnx.load(small)
    finally:
        logger.setLevel(level)
    model.metadata_props.extend(onnx.load_from_string(encoded).metadata_props)
    unique = {entry.key: entry.value for entry in model.metadata_props}
    helper.set_model_props(model, unique)
    result: bytes = model.SerializeToString()
    return result


def _sensitive(graph: onnx.GraphProto) -> list[str]:
    """The names of the layers that stay in fp32."""
    weights = {each.name: int(np.prod(each.dims)) for each in graph.initializer}
    outputs = {each.name for each in graph.output}
    return [
        node.name
        for node in graph.node
        if (node.op_type == "Conv" and weights[node.input[1]] < FEW_WEIGHTS) or outputs.intersection(node.output)
    ]

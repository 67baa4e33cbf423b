"""Smaller ONNX files of the same network: weights in half precision or 8-bit integers, or integers throughout."""

import logging
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

import mien.evaluation.metrics as metrics
from mien.errors import ModelError

Precision = Literal["fp32", "fp16", "int8", "int8-weights"]
SMALLEST = 64
"""Tensors with fewer values (chosen) stay as they are in half precision; they weigh nothing."""
FEW_WEIGHTS = 2048
"""Convolutions with fewer weights (chosen), the stem and the first depth-wise ones, stay in fp32 beside int8, as does
the classifier: with 3 % of the file they are two thirds of the error (rlr-cnet, 1,200 images of PublicTest: 0.953 of
the answers of fp32 instead of 0.903). Tensors of fewer weights are also kept where weights alone are integers."""
RANGE_BATCH = 10
"""Faces whose ranges of activations are averaged over batches of so many (chosen on PublicTest, by KL divergence from
fp32: fer-mobilenet 0.0007, against 0.005 with single faces and 0.009 with 64). Without averages outliers decide, and
drawn pictures give other ranges than faces: 0.024 and 0.081."""
MOST_LOST_ACCURACY = 0.005
MOST_KL_DIVERGENCE = 0.02
MOST_ADDED_ECE = 0.02
"""What int8 may cost on real faces at most (all chosen): accuracy below that of fp32, mean Kullback-Leibler divergence
from its answers in nats, and calibration error above its own. With ranges from drawn pictures instead of faces,
fer-mobilenet lost 0.007 of accuracy at a divergence of 0.08."""


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
    return _with_first_nodes(model, casts)


def to_int8_weights(encoded: bytes) -> bytes:
    """The network with its larger weights stored as 8-bit integers; ONNX Runtime computes in fp32, as fast as before.

    Each output channel has a scale, so that its largest weight is 127. `Cast` and `Mul` make them fp32 once, when the
    file is loaded (`DequantizeLinear` would do so for each face). Weights of fewer than `FEW_WEIGHTS` values stay.
    """
    model = onnx.load_from_string(encoded)
    graph = model.graph
    channel_axes = _channel_axes(graph)
    makers, scales = [], []
    for weight in graph.initializer:
        if weight.name not in channel_axes or np.prod(weight.dims) < FEW_WEIGHTS:
            continue
        name, values = weight.name, numpy_helper.to_array(weight)
        others = tuple(axis for axis in range(values.ndim) if axis != channel_axes[name])
        scale = np.abs(values).max(axis=others, keepdims=True) / np.float32(127)
        scale[scale == 0] = 1  # a channel of zeros
        weight.CopyFrom(numpy_helper.from_array(np.rint(values / scale).astype(np.int8), f"{name}_int8"))
        scales.append(numpy_helper.from_array(scale, f"{name}_scale"))
        makers.append(helper.make_node("Cast", [weight.name], [f"{name}_steps"], to=onnx.TensorProto.FLOAT))
        makers.append(helper.make_node("Mul", [f"{name}_steps", f"{name}_scale"], [name]))
    graph.initializer.extend(scales)
    return _with_first_nodes(model, makers)


def _channel_axes(graph: onnx.GraphProto) -> dict[str, int]:
    """The axis of output channels in the weights of each convolution and linear layer, by their name."""
    axes = {}
    for node in graph.node:
        if node.op_type == "Conv":
            axes[node.input[1]] = 0
        elif node.op_type == "Gemm":
            transposed = any(each.name == "transB" and each.i for each in node.attribute)
            axes[node.input[1]] = 0 if transposed else 1
        elif node.op_type == "MatMul":
            axes[node.input[1]] = 1
    return axes


def _with_first_nodes(model: onnx.ModelProto, first: list[onnx.NodeProto]) -> bytes:
    """A model as a file, with nodes before all others."""
    nodes = [*first, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    result: bytes = model.SerializeToString()
    return result


def to_int8(encoded: bytes, inputs: NDArray[np.float32]) -> bytes:
    """The network with its larger layers in 8-bit integers (static quantization of ONNX Runtime).

    inputs: real faces (N, C, S, S), from which the ranges of activations are taken: the means of the smallest and of
    the largest value over batches. Weights have a scale a channel and 7 bits: with 8, processors without VNNI
    instructions saturate (measured: 0.49 instead of 0.65 accuracy). The smallest convolutions (`FEW_WEIGHTS`) and the
    layer that gives the logits stay as they are.
    """
    from onnxruntime import quantization
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Ranges(quantization.CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.batches: Iterator[NDArray[np.float32]] = iter(np.array_split(inputs, -(-len(inputs) // RANGE_BATCH)))

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
                extra_options={"CalibMovingAverage": True},
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


def check_int8(expected: NDArray[np.float32], found: NDArray[np.float32], labels: NDArray[np.int64], name: str) -> None:
    """Compare probabilities (N, K) of int8 with those of fp32 on real faces with labels (N,).

    name: of these faces. ModelError tells all figures where one is beyond its limit: `MOST_LOST_ACCURACY`,
    `MOST_KL_DIVERGENCE`, `MOST_ADDED_ECE`.
    """
    before, after = (float((each.argmax(axis=1) == labels).mean()) for each in (expected, found))
    divergence = float(metrics.kl_divergences(expected, found).mean())
    ece, ece_after = (metrics.expected_calibration_error(each, labels) for each in (expected, found))
    lost, added = round(before - after, 9), round(ece_after - ece, 9)
    if not (lost <= MOST_LOST_ACCURACY and divergence <= MOST_KL_DIVERGENCE and added <= MOST_ADDED_ECE):
        raise ModelError(
            f"int8 on {len(labels)} faces of {name}: expected accuracy at most {MOST_LOST_ACCURACY} below fp32's, "
            f"KL divergence from it at most {MOST_KL_DIVERGENCE}, calibration error at most {MOST_ADDED_ECE} above "
            f"its own; found accuracy {after:.4f} (fp32 {before:.4f}), KL divergence {divergence:.4f}, "
            f"calibration error {ece_after:.4f} (fp32 {ece:.4f})"
        )

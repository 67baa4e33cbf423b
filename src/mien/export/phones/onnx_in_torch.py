"""An ONNX file of mien's as a torch module, for converters that take nothing else. Needs `onnx` and torch.

Only the operators that mien's networks have are known, with their constants as folding leaves them (fixed.py).
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import torch
from onnx import helper, numpy_helper
from torch import Tensor, nn
from torch.nn import functional

from mien.errors import ModelError

Attributes = dict[str, Any]
Operator = Callable[..., Tensor | tuple[Tensor, ...]]


def _pads(attributes: Attributes) -> list[int]:
    top, left, bottom, right = attributes.get("pads", (0, 0, 0, 0))
    if (top, left) != (bottom, right):
        raise ModelError(f"expected the same padding on opposite sides, found {attributes['pads']}")
    return [top, left]


def _conv(attributes: Attributes, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    strides, groups = attributes.get("strides", (1, 1)), attributes.get("group", 1)
    return functional.conv2d(x, weight, bias, list(strides), _pads(attributes), groups=groups)


def _gemm(attributes: Attributes, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    return functional.linear(x, weight if attributes.get("transB") else weight.T, bias)


def _mean(attributes: Attributes, x: Tensor, axes: list[int]) -> Tensor:
    return x.mean(dim=axes, keepdim=bool(attributes.get("keepdims", 1)))


def _batch_norm(attributes: Attributes, x: Tensor, scale: Tensor, bias: Tensor, mean: Tensor, var: Tensor) -> Tensor:
    return functional.batch_norm(x, mean, var, scale, bias, eps=attributes.get("epsilon", 1e-5))


def _instance_norm(attributes: Attributes, x: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
    return functional.instance_norm(x, weight=scale, bias=bias, eps=attributes.get("epsilon", 1e-5))


def _split(attributes: Attributes, x: Tensor, sizes: list[int] | None = None) -> tuple[Tensor, ...]:
    axis = attributes.get("axis", 0)
    parts: list[int] | int = x.shape[axis] // attributes["num_outputs"] if sizes is None else sizes
    return torch.split(x, parts, axis)


def _clip(_: Attributes, x: Tensor, low: float | None = None, high: float | None = None) -> Tensor:
    return x.clamp(low, high)


def _of_one_side(attributes: Attributes, x: Tensor) -> int:
    """The dimension that is pooled, as four_dimensions.py writes it."""
    kernel = list(attributes["kernel_shape"])
    if kernel not in ([x.shape[2], 1], [1, x.shape[3]]) or len(attributes) > 1:
        raise ModelError(f"expected pooling of a whole side, found {attributes}")
    return 2 if kernel[1] == 1 else 3


def _resize(attributes: Attributes, x: Tensor, _: Tensor | None, scales: list[float]) -> Tensor:
    if attributes.get("mode") not in (None, b"nearest"):
        raise ModelError(f"expected nearest neighbours, found {attributes['mode']}")
    return functional.interpolate(x, scale_factor=scales[2:], mode="nearest")


def _unsqueeze(_: Attributes, x: Tensor, axes: list[int]) -> Tensor:
    (axis,) = axes
    return x.unsqueeze(axis)


OPERATORS: dict[str, Operator] = {
    "Add": lambda _, a, b: a + b,
    "AveragePool": lambda attributes, x: x.mean(dim=_of_one_side(attributes, x), keepdim=True),
    "BatchNormalization": _batch_norm,
    "Clip": _clip,
    "Concat": lambda attributes, *parts: torch.cat(parts, dim=attributes["axis"]),
    "Conv": _conv,
    "Exp": lambda _, x: x.exp(),
    "Gemm": _gemm,
    "HardSigmoid": lambda attributes, x: (x * attributes.get("alpha", 0.2) + attributes.get("beta", 0.5)).clamp(0, 1),
    "HardSwish": lambda _, x: functional.hardswish(x),
    "InstanceNormalization": _instance_norm,
    "MaxPool": lambda attributes, x: x.amax(dim=_of_one_side(attributes, x), keepdim=True),
    "Mul": lambda _, a, b: a * b,
    "Pow": lambda _, a, b: a**b,
    "Reciprocal": lambda _, x: x.reciprocal(),
    "ReduceMean": _mean,
    "Relu": lambda _, x: functional.relu(x),
    "Reshape": lambda _, x, shape: x.reshape(shape),
    "Resize": _resize,
    "Sigmoid": lambda _, x: x.sigmoid(),
    "Split": _split,
    "Sub": lambda _, a, b: a - b,
    "Transpose": lambda attributes, x: x.permute(attributes["perm"]),
    "Unsqueeze": _unsqueeze,
}


class OnnxModule(nn.Module):
    """An ONNX file with one input as a module; it gives a tuple of the file's outputs.

    Raises ModelError for an operator that is not in `OPERATORS`.
    """

    def __init__(self, encoded: bytes) -> None:
        super().__init__()
        graph = onnx.load_from_string(encoded).graph
        unknown = {node.op_type for node in graph.node} - OPERATORS.keys()
        if unknown:
            raise ModelError(f"expected operators of mien's networks, found {', '.join(sorted(unknown))}")
        self._nodes = [
            (
                node.op_type,
                {each.name: helper.get_attribute_value(each) for each in node.attribute},
                list(node.input),
                list(node.output),
            )
            for node in graph.node
        ]
        self._given, self._outputs = graph.input[0].name, [each.name for each in graph.output]
        self._small: dict[str, Any] = {}
        self._weights: dict[str, str] = {}
        scales = {name for node in graph.node if node.op_type == "Resize" for name in node.input}
        for number, stored in enumerate(graph.initializer):
            values = numpy_helper.to_array(stored)
            if values.dtype != np.float32 or stored.name in scales:  # sides and axes, of the program itself
                self._small[stored.name] = values.tolist()
            elif values.ndim == 0:
                self._small[stored.name] = values.item()
            else:
                self._weights[stored.name] = f"weight_{number}"
                self.register_buffer(f"weight_{number}", torch.from_numpy(values.copy()))

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """The outputs of the file, in order."""
        known: dict[str, Any] = {"": None, self._given: x, **self._small}
        known |= {name: getattr(self, buffer) for name, buffer in self._weights.items()}
        for kind, attributes, inputs, outputs in self._nodes:
            found = OPERATORS[kind](attributes, *(known[name] for name in inputs))
            known |= zip(outputs, found if isinstance(found, tuple) else (found,), strict=True)
        return tuple(known[name] for name in self._outputs)

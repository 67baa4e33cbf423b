"""Parts of networks said in the operators that engines of phones have, on tensors of at most four dimensions.

The same numbers come out: maxima and means along one side are pooling (pnnx has no ReduceMax and loses the axis of such
a mean), and shuffle attention, whose groups make six dimensions of four, is the same on channels that are split and
joined. Needs `onnx`.
"""

import itertools
from collections.abc import Iterable

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from mien.errors import ModelError

POOLS = {"ReduceMax": "MaxPool", "ReduceMean": "AveragePool"}


def in_four_dimensions(encoded: bytes) -> bytes:
    """A network with inputs of fixed sizes, whose constants are folded, without the operators named above."""
    model = onnx.shape_inference.infer_shapes(onnx.load_from_string(encoded))
    graph = _Graph(model.graph)
    nodes: list[onnx.NodeProto] = []
    attention: list[onnx.NodeProto] = []
    for node in model.graph.node:
        ranks = [len(graph.shapes.get(name, ())) for name in (*node.input[:1], *node.output)]
        if attention or max(ranks) > 5:
            attention.append(node)
            if node.op_type == "Reshape" and ranks[1] == 4 and ranks[0] == 6:
                nodes += graph.shuffle_attention(attention)
                attention = []
        elif node.op_type in POOLS and graph.is_of_one_side(node):
            nodes.append(graph.pool(node))
        else:
            nodes.append(node)
    if attention:
        raise ModelError(f"{attention[0].name}: expected shuffle attention, found other tensors of six dimensions")
    del model.graph.node[:], model.graph.value_info[:]
    model.graph.node.extend(nodes)
    used = {name for node in nodes for name in node.input}
    kept = [each for each in model.graph.initializer if each.name in used]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)
    result: bytes = onnx.shape_inference.infer_shapes(model).SerializeToString()
    return result


class _Graph:
    """The constants and shapes of a graph, to which constants can be added."""

    def __init__(self, graph: onnx.GraphProto) -> None:
        self.graph = graph
        self.constants = {each.name: numpy_helper.to_array(each) for each in graph.initializer}
        described = (*graph.input, *graph.value_info, *graph.output)
        self.shapes = {
            each.name: [length.dim_value for length in each.type.tensor_type.shape.dim] for each in described
        }

    def constant(self, name: str, values: NDArray[np.generic]) -> str:
        """Add a constant; its name."""
        self.graph.initializer.append(numpy_helper.from_array(values, name))
        return name

    def is_of_one_side(self, node: onnx.NodeProto) -> bool:
        """Whether a reduction of (1, C, H, W) is over its rows or its columns, and keeps the side with length 1."""
        shape, reduced = self.shapes[node.input[0]], self.shapes[node.output[0]]
        return len(shape) == 4 and reduced in ([*shape[:2], 1, shape[3]], [*shape[:3], 1])

    def pool(self, node: onnx.NodeProto) -> onnx.NodeProto:
        """Such a reduction as pooling."""
        (_, _, height, width), reduced = self.shapes[node.input[0]], self.shapes[node.output[0]]
        kernel = [height // reduced[2], width // reduced[3]]
        return helper.make_node(POOLS[node.op_type], node.input[:1], node.output, node.name, kernel_shape=kernel)

    def shuffle_attention(self, nodes: list[onnx.NodeProto]) -> list[onnx.NodeProto]:
        """mien.models.attention.ShuffleAttention, from its first reshaping to its last, on (1, C, H, W)."""
        norm = next((number for number, node in enumerate(nodes) if node.op_type == "InstanceNormalization"), None)
        mean = next((number for number, node in enumerate(nodes) if node.op_type == "ReduceMean"), None)
        groups, halves = self.shapes[nodes[0].output[0]][1:3]
        if norm is None or mean is None or halves != 2:
            raise ModelError(f"{nodes[0].name}: expected shuffle attention, found other tensors of six dimensions")
        gates = [
            (node.op_type, name)
            for node in nodes
            if node.op_type in ("Mul", "Add")
            for name in node.input
            if name in self.constants
        ]
        of_channel, of_place = (gates[-2:], gates[:-2]) if norm < mean else (gates[:2], gates[2:])
        made = _Nodes(self, groups, nodes[0].name)
        parts = made.split(nodes[0].input[0], 2 * groups)
        by_channel, by_place = (made.add("Concat", half, axis=1) for half in (parts[::2], parts[1::2]))
        axes = self.constant(f"{nodes[0].name}_axes", np.array([2, 3]))
        gate = made.gate(made.add("ReduceMean", (by_channel, axes), keepdims=1), of_channel)
        channels = made.split(made.add("Mul", (by_channel, gate)), groups)
        epsilon = next(each.f for each in nodes[norm].attribute if each.name == "epsilon")
        scale_and_bias = (made.tiled(name).ravel() for name in nodes[norm].input[1:])
        constants = [self.constant(made.name(), values) for values in scale_and_bias]
        gate = made.gate(made.add("InstanceNormalization", (by_place, *constants), epsilon=epsilon), of_place)
        places = made.split(made.add("Mul", (by_place, gate)), groups)
        alternating = [part for pair in zip(channels, places, strict=True) for part in pair]
        return [*made.nodes, helper.make_node("Concat", alternating, nodes[-1].output, axis=1)]


class _Nodes:
    """New nodes, in order, for a part of a graph whose constants are shared by groups of channels."""

    def __init__(self, graph: _Graph, groups: int, name: str) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self._graph, self._groups = graph, groups
        self._names = (f"{name}_{number}" for number in itertools.count())

    def name(self) -> str:
        """A new name."""
        return next(self._names)

    def add(self, kind: str, inputs: Iterable[str], **attributes: object) -> str:
        """Add a node with one output; its name."""
        output = self.name()
        self.nodes.append(helper.make_node(kind, list(inputs), [output], **attributes))
        return output

    def split(self, x: str, count: int) -> list[str]:
        """Split the channels into equal parts."""
        outputs = [self.name() for _ in range(count)]
        self.nodes.append(helper.make_node("Split", [x], outputs, axis=1, num_outputs=count))
        return outputs

    def tiled(self, constant: str) -> NDArray[np.generic]:
        """The values of a constant for one group, for all groups, as (1, C, 1, 1)."""
        return np.tile(self._graph.constants[constant].ravel(), self._groups).reshape(1, -1, 1, 1)

    def gate(self, x: str, steps: list[tuple[str, str]]) -> str:
        """The sigmoid of x after products and sums with constants for one group."""
        for kind, constant in steps:
            x = self.add(kind, (x, self._graph.constant(self.name(), self.tiled(constant))))
        return self.add("Sigmoid", (x,))

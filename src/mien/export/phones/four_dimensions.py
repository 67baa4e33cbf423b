"""Parts of networks said in the operators that engines of phones have, on tensors of at most four dimensions.

The same numbers come out: maxima and means along one side are pooling (pnnx has no ReduceMax and loses the axis of such
a mean), and shuffle attention, whose groups make six dimensions of four, is the same on channels that are split and
joined. Needs `onnx`.
"""

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
        first, last = nodes[0], nodes[-1]
        groups, halves, width = self.shapes[first.output[0]][1:4]
        norm = next((node for node in nodes if node.op_type == "InstanceNormalization"), None)
        if norm is None or halves != 2:
            raise ModelError(f"{first.name}: expected shuffle attention, found other tensors of six dimensions")
        names = iter(f"{first.name}_{number}" for number in range(1000))
        made: list[onnx.NodeProto] = []

        def add(kind: str, inputs: Iterable[str], count: int = 1, **attributes: object) -> list[str]:
            made.append(helper.make_node(kind, list(inputs), [next(names) for _ in range(count)], **attributes))
            return list(made[-1].output)

        def tiled(name: str) -> str:
            values = np.tile(self.constants[name].ravel(), groups)
            return self.constant(next(names), values.reshape(1, -1, 1, 1))

        def scaled(x: str, kinds_and_constants: list[tuple[str, str]]) -> str:
            for kind, constant in kinds_and_constants:
                (x,) = add(kind, (x, tiled(constant)))
            return x

        steps = [
            (node.op_type, name)
            for node in nodes
            if node.op_type in ("Mul", "Add")
            for name in node.input
            if name in self.constants
        ]
        place = next(index for index, node in enumerate(nodes) if node is norm)
        mean = next(index for index, node in enumerate(nodes) if node.op_type == "ReduceMean")
        of_channel, of_place = (steps[-2:], steps[:-2]) if place < mean else (steps[:2], steps[2:])
        parts = add("Split", [first.input[0]], 2 * groups, axis=1, num_outputs=2 * groups)
        by_channel, by_place = (add("Concat", half, axis=1)[0] for half in (parts[::2], parts[1::2]))
        axes = self.constant(next(names), np.array([2, 3]))
        (x,) = add("Sigmoid", [scaled(add("ReduceMean", (by_channel, axes), keepdims=1)[0], of_channel)])
        (weighed,) = add("Mul", (by_channel, x))
        scale, bias = (self.constant(next(names), np.tile(self.constants[name], groups)) for name in norm.input[1:])
        epsilon = next(each.f for each in norm.attribute if each.name == "epsilon")
        (x,) = add("InstanceNormalization", (by_place, scale, bias), epsilon=epsilon)
        (x,) = add("Sigmoid", [scaled(x, of_place)])
        (placed,) = add("Mul", (by_place, x))
        halves_of = [add("Split", [each], groups, axis=1, num_outputs=groups) for each in (weighed, placed)]
        made.append(
            helper.make_node(
                "Concat", [one for pair in zip(*halves_of, strict=True) for one in pair], last.output, axis=1
            )
        )
        return made

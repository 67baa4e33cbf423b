"""Networks for phones: what stands before the converters, and parity where converters and engines are installed."""

import hashlib
import importlib.util
import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from click.testing import CliRunner
from onnx import TensorProto, helper

from mien.cli import app
from mien.errors import MissingExtraError, ModelError
from mien.export.phones import formats, writing
from mien.export.phones.engines import ENGINES
from mien.export.phones.fixed import fixed_network
from mien.export.phones.four_dimensions import in_four_dimensions
from mien.export.phones.specification import PIXELS, specification
from mien.export.phones.writing import export_for_phones
from mien.weights import list_detectors, list_models

RECOGNISERS = [card.name for card in list_models() if not card.name.endswith("-int8")]
DETECTOR = list_detectors()[0].name
ALL = [*((name, None) for name in RECOGNISERS), (DETECTOR, 96)]


def installed(form: str) -> bool:
    return all(importlib.util.find_spec(name.replace("-", "_")) for name in formats.NEEDS[form].split())


@pytest.mark.parametrize(("name", "size_px"), ALL)
def test_networks_of_fixed_size_say_the_same(name: str, size_px: int | None) -> None:
    network = fixed_network(name, size_px)
    folded = network.folded()
    session = onnxruntime.InferenceSession(folded, providers=["CPUExecutionProvider"])
    assert [each.shape for each in session.get_inputs()] == [list(network.shape)]
    for inputs in writing.compared_inputs(network)[:2]:
        found = session.run(None, {session.get_inputs()[0].name: inputs})
        for a, b in zip(network.expected(inputs), found, strict=True):
            np.testing.assert_allclose(b, a, atol=1e-4)
    graph = onnx.shape_inference.infer_shapes(onnx.load_from_string(folded)).graph
    shapes = [each.type.tensor_type.shape.dim for each in graph.value_info]
    assert max(len(shape) for shape in shapes) <= 5
    assert "ReduceMax" not in {node.op_type for node in graph.node}


@pytest.mark.parametrize(("name", "size_px"), ALL)
def test_the_torch_module_says_the_same(name: str, size_px: int | None) -> None:
    torch = pytest.importorskip("torch")
    from mien.export.phones.onnx_in_torch import OnnxModule

    network = fixed_network(name, size_px)
    inputs = writing.compared_inputs(network)[0]
    with torch.no_grad():
        found = OnnxModule(network.folded()).eval()(torch.from_numpy(inputs))
    for a, b in zip(network.expected(inputs), found, strict=True):
        np.testing.assert_allclose(b.numpy(), a, atol=1e-4)


@pytest.mark.parametrize("axes", [[2], [3], [-1]])
@pytest.mark.parametrize("kind", ["ReduceMax", "ReduceMean"])
def test_one_side_is_pooled(kind: str, axes: list[int]) -> None:
    graph = helper.make_graph(
        [helper.make_node(kind, ["x", "axes"], ["y"], keepdims=1)],
        "one side",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 2, 3, 5])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [helper.make_tensor("axes", TensorProto.INT64, [1], axes)],
    )
    model = onnx.shape_inference.infer_shapes(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    )
    pooled = in_four_dimensions(model.SerializeToString())
    assert [node.op_type for node in onnx.load_from_string(pooled).graph.node] == [
        {"ReduceMax": "MaxPool", "ReduceMean": "AveragePool"}[kind]
    ]
    x = np.random.default_rng(0).normal(size=(1, 2, 3, 5)).astype(np.float32)
    (found,) = onnxruntime.InferenceSession(pooled, providers=["CPUExecutionProvider"]).run(None, {"x": x})
    expected = {"ReduceMax": x.max, "ReduceMean": x.mean}[kind](axis=axes[0], keepdims=True)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_the_vectors_of_faces_follow_from_the_steps() -> None:
    """By plain arithmetic from what the specification says, as somebody does who ports it."""
    told = specification(fixed_network("mien-1m", None))
    size, values = told["preprocessing"]["size_px"], told["preprocessing"]
    pixels = [[(7 * x + 5 * y) % 256 / 255 for x in range(size)] for y in range(size)]
    count = size * size
    mean = sum(map(sum, pixels)) / count
    std = math.sqrt(sum((value - mean) ** 2 for row in pixels for value in row) / count)
    if not values["standardize"]:
        mean, std, values["flat_std"] = values["mean"], values["std"], 0.0
    vector = told["vectors"]["faces"][0]
    first = [(value - mean) / (std + values["flat_std"]) for value in pixels[0][:8]]
    assert vector["input_first_row"] == pytest.approx(first, abs=1e-5)
    exponentials = [math.exp(logit) for logit in vector["logits"]]
    assert vector["scores"] == pytest.approx([each / sum(exponentials) for each in exponentials], abs=1e-5)
    assert len(vector["scores"]) == len(told["expressions"])
    assert [each["pixels"] for each in told["vectors"]["faces"]] == list(PIXELS)


def test_the_vector_of_a_crop_follows_from_the_steps() -> None:
    told = specification(fixed_network("mien-1m", None))
    crop = told["vectors"]["crops"][0]
    x0, y0, x1, y1 = crop["box_xyxy"]
    side = max(x1 - x0, y1 - y0) * (1 + 2 * told["preprocessing"]["margin"])
    step = side / told["preprocessing"]["size_px"]
    left, y = (x0 + x1 - side) / 2, (y0 + y1 - side) / 2 + step * (told["preprocessing"]["size_px"] // 2 + 0.5)
    assert min(crop["middle_row"]) < max(crop["middle_row"])

    def grey(column: int, row: int) -> float:
        red, green, blue = ((7 * column + 5 * row + 40 * channel) % 256 for channel in range(3))
        return (19595 * red + 38470 * green + 7471 * blue + 32768) >> 16

    def weights(place: float) -> dict[int, float]:
        found = {
            pixel: max(0.0, 1 - abs(pixel + 0.5 - place) / step) for pixel in range(int(place - 3), int(place + 4))
        }
        return {pixel: weight / sum(found.values()) for pixel, weight in found.items()}

    middle = weights(y)
    for number in (5, 20, 40):
        across = weights(left + step * (number + 0.5))
        expected = sum(a * b * grey(column, row) for column, a in across.items() for row, b in middle.items())
        assert crop["middle_row"][number] == pytest.approx(expected, abs=1.5)  # Pillow rounds twice


def test_the_vector_of_decoding_follows_from_the_steps() -> None:
    told = specification(fixed_network(DETECTOR, 96))
    vector = told["vectors"]["decoding"]
    values, stride = vector["values"], vector["stride"]
    x, y = (vector["column"] + 0.5 + values[1]) * stride, (vector["row"] + 0.5 + values[2]) * stride
    half = [math.exp(value) * stride * told["size_in_strides"] / 2 for value in values[3:5]]
    assert vector["score"] == pytest.approx(1 / (1 + math.exp(-values[0])), abs=1e-5)
    assert vector["box_xyxy"] == pytest.approx([x - half[0], y - half[1], x + half[0], y + half[1]], abs=1e-3)
    nose = vector["landmarks_xy"][2]
    assert nose == pytest.approx([x + values[9] * half[0], y + values[10] * half[1]], abs=1e-3)


@pytest.mark.parametrize(
    ("model", "size_px", "message"),
    [
        ("no-such", None, "unknown model"),
        (DETECTOR, None, "expected a size for a face detector"),
        (DETECTOR, 100, "a multiple of 32, found 100"),
        ("mien-1m", 64, "expected no size"),
        (__file__, None, "expected an ONNX file"),
    ],
)
def test_networks_and_sizes_that_do_not_suit(model: str, size_px: int | None, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        fixed_network(model, size_px)


def test_a_missing_converter_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def missing(*_: Any) -> None:
        raise ModuleNotFoundError("No module named 'openvino'", name="openvino")

    monkeypatch.setitem(formats.CONVERTERS, "openvino", missing)
    with pytest.raises(MissingExtraError, match=r"--to openvino needs openvino; .*: pip install mien openvino onnx"):
        export_for_phones("mien-1m", "openvino", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_converter_that_fails_leaves_what_was_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def failing(*_: Any) -> None:
        raise RuntimeError("first\nno such operator")

    monkeypatch.setitem(formats.CONVERTERS, "ncnn", failing)
    with pytest.raises(ModelError, match="the converter to ncnn failed: no such operator"):
        export_for_phones("mien-1m", "ncnn", tmp_path)
    (tmp_path / "mien-1m.json").write_text('{"own": 1}')
    with pytest.raises(ModelError, match="expected a specification that mien wrote"):
        export_for_phones("mien-1m", "ncnn", tmp_path)
    assert (tmp_path / "mien-1m.json").read_text() == '{"own": 1}'


def test_a_difference_that_is_too_large_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    network = fixed_network("mien-1m", None)
    monkeypatch.setitem(formats.CONVERTERS, "ncnn", lambda *_: None)
    wrong = lambda *_: lambda inputs: [each + 0.01 for each in network.expected(inputs)]  # noqa: E731
    monkeypatch.setitem(ENGINES, "ncnn", wrong)
    with pytest.raises(ModelError, match=r"mien-1m in ncnn, fp32: expected outputs within 0\.001 .* found 1\.0e-02"):
        export_for_phones("mien-1m", "ncnn", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_options_that_do_not_go_with_phones(tmp_path: Path) -> None:
    for options in (["--to", "ncnn", "--margin", "0.1"], ["--size", "416"], ["--to", "ncnn", "--licence", "mine"]):
        found = CliRunner().invoke(app, ["export", "mien-1m", "--out", str(tmp_path), *options])
        assert found.exit_code == 2
        assert "expected --" in found.output


@pytest.mark.parametrize("form", ["openvino", "ncnn", "litert"])
@pytest.mark.parametrize(("name", "size_px"), ALL)
def test_every_packaged_network_converts(form: str, name: str, size_px: int | None, tmp_path: Path) -> None:
    if not installed(form):
        pytest.skip(f"needs {formats.NEEDS[form]}")
    for precision in formats.PRECISIONS[form]:
        artefact = export_for_phones(name, form, tmp_path, size_px, precision)
        assert artefact["largest_difference"] <= {"fp32": 1e-3, "fp16": 0.1, "int8-weights": 0.5}[precision]
        for file in artefact["files"]:
            assert artefact["sha256"][file] == hashlib.sha256((tmp_path / file).read_bytes()).hexdigest()
    file = tmp_path / (f"{name}-{size_px}.json" if size_px else f"{name}.json")
    told = json.loads(file.read_text())
    assert [each["precision"] for each in told["artefacts"]] == list(formats.PRECISIONS[form])


def test_ncnn_alone_finds_the_faces_of_the_examples(examples: Path, tmp_path: Path, monkeypatch: Any) -> None:
    if not installed("ncnn"):
        pytest.skip(f"needs {formats.NEEDS['ncnn']}")
    from mien.images import read_image

    export_for_phones(None, "ncnn", tmp_path)
    export_for_phones(DETECTOR, "ncnn", tmp_path, 416)
    monkeypatch.syspath_prepend(examples / "phones")
    recognizer = importlib.import_module("ncnn_faces").NcnnFaces(tmp_path)
    for expected in json.loads((examples / "expected.json").read_text()):
        faces = recognizer.faces(read_image(examples.parent / expected["source"]))
        assert len(faces) == len(expected["faces"])
        for found, face in zip(faces, expected["faces"], strict=True):
            assert found["box_xyxy"] == pytest.approx(face["box_xyxy"], abs=1)
            assert found["scores"] == pytest.approx(face["scores"], abs=1e-3)


def test_a_raspberry_pi_needs_no_mien(examples: Path, tmp_path: Path) -> None:
    if not installed("litert"):
        pytest.skip(f"needs {formats.NEEDS['litert']}")
    export_for_phones(None, "litert", tmp_path, precision="int8-weights")
    export_for_phones(DETECTOR, "litert", tmp_path, 416)
    expected = json.loads((examples / "expected.json").read_text())
    command = [sys.executable, examples / "phones" / "raspberry_pi.py", tmp_path]
    command += [examples.parent / each["source"] for each in expected]
    told = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout
    for line, picture in zip(told.splitlines(), expected, strict=True):
        faces = json.loads(line)["faces"]
        assert len(faces) == len(picture["faces"])
        for found, face in zip(faces, picture["faces"], strict=True):  # one look, and leaning faces as they lean
            assert found["box_xyxy"] == pytest.approx(face["box_xyxy"], abs=8)
            assert max(found["scores"], key=found["scores"].get) == face["expression"]

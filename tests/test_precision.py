import re
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from mien.datasets import as_faces, open_dataset
from mien.errors import ModelError
from mien.evaluation import metrics
from mien.export import precision
from mien.export.precision import check_int8, to_int8, to_int8_weights
from mien.preprocessing import to_network_input
from mien.scorer import OnnxScorer
from mien.session import open_session
from mien.weights import METADATA_KEY, read_model


def drawn_network(transposed: bool) -> tuple[bytes, dict[str, np.ndarray]]:
    """A convolution, a linear layer and a product, all with 2,048 weights or more but one, as an ONNX file."""
    generator = np.random.default_rng(0)
    weights = {
        "conv": generator.normal(size=(32, 8, 3, 3)),
        "few": generator.normal(size=(32, 1, 3, 3)),
        "gemm": generator.normal(size=(40, 64) if transposed else (64, 40)),
        "matmul": generator.normal(size=(64, 64)),
    }
    weights["conv"][3] *= 100  # a channel of its own scale
    weights["conv"][4] = 0
    nodes = [
        helper.make_node("Conv", ["x", "conv"], ["a"]),
        helper.make_node("Conv", ["a", "few"], ["b"], group=32),
        helper.make_node("ReduceMean", ["b", "axes"], ["c"], keepdims=0),
        helper.make_node("Concat", ["c", "c"], ["d"], axis=1),
        helper.make_node("MatMul", ["d", "matmul"], ["features"]),
        helper.make_node("Gemm", ["features", "gemm"], ["logits"], transB=int(transposed)),
    ]
    shapes = {"x": ["n", 8, 9, 9], "logits": ["n", 40], "features": ["n", 64]}
    values = {name: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()}
    constants = [numpy_helper.from_array(each.astype(np.float32), name) for name, each in weights.items()]
    constants.append(numpy_helper.from_array(np.array([2, 3]), "axes"))
    graph = helper.make_graph(nodes, "g", [values["x"]], [values["logits"], values["features"]], constants)
    model = helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", 20)])
    helper.set_model_props(model, {METADATA_KEY: "{}"})
    return model.SerializeToString(), weights


@pytest.mark.parametrize("transposed", [True, False])
def test_weights_in_int8_worked_by_hand(transposed: bool) -> None:
    encoded, weights = drawn_network(transposed)
    smaller = onnx.load_from_string(to_int8_weights(encoded))
    stored = {each.name: numpy_helper.to_array(each) for each in smaller.graph.initializer}
    assert {name for name, each in stored.items() if each.dtype == np.int8} == {"conv_int8", "gemm_int8", "matmul_int8"}
    assert (stored["few"] == weights["few"].astype(np.float32)).all()
    for name, channels in (("conv", 0), ("gemm", 0 if transposed else 1), ("matmul", 1)):
        others = tuple(axis for axis in range(weights[name].ndim) if axis != channels)
        largest = np.abs(weights[name]).max(axis=others, keepdims=True)
        expected_scale = np.where(largest > 0, largest / 127, 1)
        np.testing.assert_allclose(stored[f"{name}_scale"], expected_scale, rtol=1e-6)
        assert np.abs(stored[f"{name}_int8"]).max(axis=others).tolist() == [127 if each else 0 for each in largest.flat]
        restored = stored[f"{name}_int8"] * stored[f"{name}_scale"]
        assert (np.abs(restored - weights[name]) <= largest / 254 * 1.001).all()
    faces = np.random.default_rng(1).normal(size=(3, 8, 9, 9)).astype(np.float32)
    found, expected = (
        open_session(each, "drawn", 1)[0].run(["logits"], {"x": faces})[0]
        for each in (smaller.SerializeToString(), encoded)
    )
    assert 0 < np.abs(found - expected).max() < 0.02 * np.abs(expected).max()


def answers(*firsts: float) -> np.ndarray:
    """Probabilities of two classes."""
    return np.stack((firsts, 1 - np.array(firsts)), axis=1).astype(np.float32)


def test_what_int8_may_cost_worked_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 200 faces of the first class fp32 is right on 160, int8 on one fewer; on two fewer; on one more."""
    labels = np.zeros(200, np.int64)
    expected = answers(*[0.8] * 160, *[0.45] * 40)
    check_int8(expected, expected, labels, "drawn test")
    one_fewer, two_fewer = (answers(*[0.8] * (160 - less), *[0.45] * (40 + less)) for less in (1, 2))
    check_int8(expected, one_fewer, labels, "drawn test")  # half a point, which is allowed
    with pytest.raises(ModelError, match=r"int8 on 200 faces of drawn test: .*found accuracy 0\.7900 \(fp32 0\.8000\)"):
        check_int8(expected, two_fewer, labels, "drawn test")
    # The same answers, less sure: D(0.8 | 0.7) = 0.8 log(8/7) + 0.2 log(2/3) = 0.0257; more is 0.8 of the faces.
    shy = answers(*[0.7] * 160, *[0.45] * 40)
    divergence = 0.8 * (0.8 * np.log(8 / 7) + 0.2 * np.log(2 / 3))
    with pytest.raises(ModelError, match=rf"KL divergence {divergence:.4f}, calibration error 0\.35\d+ \(fp32 0\.27"):
        check_int8(expected, shy, labels, "drawn test")
    monkeypatch.setattr(precision, "MOST_KL_DIVERGENCE", 1.0)
    with pytest.raises(ModelError, match=r"found accuracy 0\.8000") as raised:  # its calibration is 0.08 worse
        check_int8(expected, shy, labels, "drawn test")
    assert len(re.findall(r"\d\.\d{4}", str(raised.value))) == 5  # all figures


def test_a_packaged_network_in_int8_on_real_faces(fer2013_parquet: Path, tmp_path: Path) -> None:
    encoded, expected = read_model("rlr-cnet"), OnnxScorer("rlr-cnet")  # which is packaged in fp32
    preprocessing = expected.card.preprocessing
    training = open_dataset("fer2013", fer2013_parquet, "training")
    drawn = np.random.default_rng(0).permutation(len(training))[:300]
    ranges, _ = as_faces([training[int(index)] for index in drawn], preprocessing)
    faces, labels = as_faces(open_dataset("fer2013", fer2013_parquet, "public_test")[:1200], preprocessing)
    fp32 = expected(faces)
    for name, smaller in (
        ("int8", to_int8(encoded, to_network_input(ranges, preprocessing))),
        ("int8-weights", to_int8_weights(encoded)),
    ):
        assert len(smaller) < 0.35 * len(encoded)
        (tmp_path / name).write_bytes(smaller)
        found = OnnxScorer(str(tmp_path / name))(faces)
        check_int8(fp32, found, labels, name)
        divergence = metrics.kl_divergences(fp32, found).mean()
        assert divergence < (0.005 if name == "int8" else 0.0002)  # measured: 0.002 and 0.00007

"""Converters by format: each takes a network of a fixed size and writes its files. Their packages are named in `NEEDS`.

None of them is a dependency of mien: some bring gigabytes, and each belongs into an environment of its own.
"""

import importlib.util
import subprocess
import tempfile
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

from mien.errors import MienError, MissingExtraError, ModelError
from mien.export.phones.fixed import FixedNetwork
from mien.export.precision import to_int8_weights

SUFFIXES = {
    "openvino": (".xml", ".bin"),
    "ncnn": (".ncnn.param", ".ncnn.bin"),
    "litert": (".tflite",),
    "coreml": (".mlpackage",),
}
"""Files of a format, after the network's name; the first is the one to open."""
PRECISIONS = {
    "openvino": ("fp32", "fp16", "int8-weights"),
    "ncnn": ("fp32", "fp16"),
    "litert": ("fp32", "int8-weights"),
    "coreml": ("fp32", "fp16"),
}
NEEDS = {
    "openvino": "openvino onnx",
    "ncnn": "ncnn pnnx onnx",
    "litert": "torch litert-torch ai-edge-litert ai-edge-quantizer onnx",
    "coreml": "torch coremltools onnx",
}
"""What pip installs, beside mien, into the environment of a converter."""


def to_openvino(network: FixedNetwork, out: Path, precision: str) -> None:
    """Write OpenVINO IR: out.xml and out.bin."""
    import openvino

    content = network.content if precision == "int8-weights" else network.folded()
    if precision == "int8-weights" and not network.has_integer_weights:
        content = to_int8_weights(content)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "network.onnx"
        file.write_bytes(content)
        model = openvino.Core().read_model(str(file))  # convert_model would send telemetry
        openvino.save_model(model, f"{out}.xml", compress_to_fp16=precision == "fp16")


def to_ncnn(network: FixedNetwork, out: Path, precision: str) -> None:
    """Write out.ncnn.param and out.ncnn.bin, by pnnx, which needs no torch for this."""
    found = importlib.util.find_spec("pnnx")
    if found is None or not found.submodule_search_locations:
        raise ModuleNotFoundError("No module named 'pnnx'", name="pnnx")
    program = next(Path(found.submodule_search_locations[0]).glob("pnnx*"))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "network.onnx"
        file.write_bytes(network.folded())
        shape = f"inputshape=[{','.join(map(str, network.shape))}]"
        command = [str(program), file.name, shape, f"fp16={int(precision == 'fp16')}"]
        told = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        parts = [file.with_suffix(suffix) for suffix in SUFFIXES["ncnn"]]
        if told.returncode or not all(each.is_file() for each in parts):
            raise ModelError(f"{network.name}: pnnx wrote no network: {(told.stderr or told.stdout)[-300:].strip()}")
        for part, suffix in zip(parts, SUFFIXES["ncnn"], strict=True):
            Path(f"{out}{suffix}").write_bytes(part.read_bytes())


def to_litert(network: FixedNetwork, out: Path, precision: str) -> None:
    """Write out.tflite, by litert-torch, and ai-edge-quantizer where weights are to be 8-bit integers."""
    file = Path(f"{out}.tflite")
    file.write_bytes(_litert(network.folded(), network.shape))
    if precision == "int8-weights":
        from ai_edge_quantizer import quantizer, recipe

        by_weights = quantizer.Quantizer(str(file))
        by_weights.load_quantization_recipe(recipe.weight_only_wi8_afp32())
        by_weights.quantize().export_model(str(file), overwrite=True)


@lru_cache(maxsize=1)
def _litert(content: bytes, shape: tuple[int, ...]) -> bytes:
    """An ONNX file with constants folded as a LiteRT file; kept, since the other precision begins with it."""
    import litert_torch
    import torch

    from mien.export.phones.onnx_in_torch import OnnxModule

    converted = litert_torch.convert(OnnxModule(content).eval(), (torch.zeros(shape),))
    with tempfile.TemporaryDirectory() as folder:
        converted.export(f"{folder}/network.tflite")
        return Path(folder, "network.tflite").read_bytes()


def to_coreml(network: FixedNetwork, out: Path, precision: str) -> None:
    """Write out.mlpackage, a folder; only Apple's systems can run it."""
    import coremltools
    import torch

    from mien.export.phones.onnx_in_torch import OnnxModule

    program = torch.export.export(OnnxModule(network.folded()).eval(), (torch.zeros(network.shape),))
    computed = coremltools.precision.FLOAT16 if precision == "fp16" else coremltools.precision.FLOAT32
    converted = coremltools.convert(
        program.run_decompositions({}),
        compute_precision=computed,
        minimum_deployment_target=coremltools.target.iOS16,
        outputs=[coremltools.TensorType(name=name) for name in network.outputs],
    )
    converted.save(f"{out}.mlpackage")


CONVERTERS: dict[str, Callable[[FixedNetwork, Path, str], None]] = {
    "openvino": to_openvino,
    "ncnn": to_ncnn,
    "litert": to_litert,
    "coreml": to_coreml,
}


def convert(network: FixedNetwork, form: str, out: Path, precision: str) -> Path:
    """Write a network in a format, to files called `out` with suffixes; the file to open.

    Raises ModelError for a precision that the format has not, MissingExtraError where its converter is not installed.
    """
    if precision not in PRECISIONS[form]:
        raise ModelError(f"{form}: expected one of {', '.join(PRECISIONS[form])}, found {precision}")
    try:
        CONVERTERS[form](network, out, precision)
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"--to {form} needs {error.name}; in an environment of its own: pip install mien {NEEDS[form]}"
        ) from error
    except (MienError, OSError):
        raise
    except Exception as error:  # converters fail in many ways, of which none is documented
        reason = (str(error).strip() or type(error).__name__).splitlines()[-1]
        raise ModelError(f"{network.name}: the converter to {form} failed: {reason}") from error
    return Path(f"{out}{SUFFIXES[form][0]}")

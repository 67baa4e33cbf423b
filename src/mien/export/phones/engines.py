"""Networks for phones in their own engines, on this machine: a file in, a function from float planes to outputs."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]
Engine = Callable[[FloatArray], list[FloatArray]]
"""From an input (1, C, H, W) to the outputs, in order."""


def openvino_engine(file: Path, threads: int = 1) -> Engine:
    """A network in OpenVINO IR, by its .xml file, computed in fp32: by itself, OpenVINO takes bfloat16 where it can.

    Its thread is not bound to one core, which other work may hold.
    """
    import openvino

    options = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": threads, "ENABLE_CPU_PINNING": False}
    request = openvino.Core().compile_model(str(file), "CPU", options).create_infer_request()
    return lambda inputs: [np.array(each) for each in request.infer([inputs]).values()]


def ncnn_engine(file: Path, threads: int = 1) -> Engine:
    """A network for ncnn, by its .param file, beside which .bin stands; computed in fp32. H and W may be others."""
    import ncnn

    network = ncnn.Net()
    network.opt.num_threads = threads
    for option in ("fp16_packed", "fp16_storage", "fp16_arithmetic", "bf16_storage"):
        setattr(network.opt, f"use_{option}", False)
    network.load_param(str(file))
    network.load_model(str(file.with_suffix(".bin")))
    (given,) = network.input_names()
    outputs = sorted(network.output_names())  # pnnx calls them out0, out1 ...

    def run(inputs: FloatArray) -> list[FloatArray]:
        planes = np.ascontiguousarray(inputs[0])
        extractor = network.create_extractor()
        extractor.input(given, ncnn.Mat(planes).clone())  # a Mat of an array is a view that does not keep it
        return [np.array(extractor.extract(name)[1])[None] for name in outputs]

    return run


def litert_engine(file: Path, threads: int = 1) -> Engine:
    """A network for LiteRT, by its .tflite file, with XNNPACK."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(file), num_threads=threads)
    runner = interpreter.get_signature_runner()
    (given,) = runner.get_input_details()
    names = sorted(runner.get_output_details())

    def run(inputs: FloatArray) -> list[FloatArray]:
        answers = runner(**{given: inputs})
        return [np.array(answers[name]) for name in names]

    return run


ENGINES: dict[str, Callable[[Path, int], Engine]] = {
    "openvino": openvino_engine,
    "ncnn": ncnn_engine,
    "litert": litert_engine,
}
"""By format; Core ML runs on Apple's systems alone."""

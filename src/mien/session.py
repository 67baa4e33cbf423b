"""An ONNX file in ONNX Runtime on the CPU."""

import json
from typing import TYPE_CHECKING, Any

from mien.errors import ModelError
from mien.weights import METADATA_KEY

if TYPE_CHECKING:
    import onnxruntime


def open_session(encoded: bytes, model: str, threads: int) -> "tuple[onnxruntime.InferenceSession, dict[str, Any]]":
    """A session of a network that mien exported, and its manifest entry.

    model: what errors call it. threads: how many threads one call may use; 0 leaves it to ONNX Runtime.
    Raises ModelError when the file is damaged or not one of mien's.
    """
    import onnxruntime  # here, since it takes as long to import as everything else together

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(encoded, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its exception classes are not public
        reason = str(error).splitlines()[0]
        raise ModelError(f"{model}: expected an ONNX network, found a damaged file: {reason}") from error
    metadata = session.get_modelmeta().custom_metadata_map
    if METADATA_KEY not in metadata:
        raise ModelError(f"{model}: expected a network exported by `mien export`, found one without its manifest entry")
    return session, json.loads(metadata[METADATA_KEY])

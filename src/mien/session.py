"""An ONNX file in ONNX Runtime."""

import json
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mien.errors import InputError, ModelError
from mien.weights import METADATA_KEY

if TYPE_CHECKING:
    import onnxruntime

Providers = Sequence[str | tuple[str, Mapping[str, Any]]]
"""Names of ONNX Runtime's back ends, the preferred one first, each alone or with its options."""
CPU: Providers = ("CPUExecutionProvider",)


def open_session(
    encoded: bytes, model: object, threads: int = 1, providers: Providers = CPU
) -> "tuple[onnxruntime.InferenceSession, dict[str, Any]]":
    """A session of a network that mien exported, and its manifest entry.

    model: what errors call it. threads: how many threads one call may use; 0: as many as this process may use.
    providers: ONNX Runtime's back ends, those of `onnxruntime.get_available_providers()`.
    Raises ModelError when the file is damaged or not one of mien's, InputError for other threads and providers.
    """
    import onnxruntime  # here, since it takes as long to import as everything else together

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = _thread_count(threads)
    options.log_severity_level = 3
    chosen = _checked_providers(providers, onnxruntime.get_available_providers())
    try:
        session = onnxruntime.InferenceSession(encoded, options, providers=chosen)
    except Exception as error:  # its exception classes are not public
        if encoded[8:9] == b"{":  # of safetensors
            raise ModelError(
                f"{model}: expected an ONNX network, found a checkpoint; `mien export` makes a network of it"
            ) from error
        reason = str(error).splitlines()[0]
        raise ModelError(f"{model}: expected an ONNX network, found a damaged file: {reason}") from error
    metadata = session.get_modelmeta().custom_metadata_map
    if METADATA_KEY not in metadata:
        raise ModelError(f"{model}: expected a network exported by `mien export`, found one without its manifest entry")
    return session, json.loads(metadata[METADATA_KEY])


def _thread_count(threads: int) -> int:
    """What ONNX Runtime is told: left to itself, it pins threads to cores that containers may have taken away."""
    if threads < 0:
        raise InputError(f"threads: expected 0 (as many as this process may use) or more, received {threads}")
    if threads:
        return threads
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _checked_providers(providers: Providers, available: Sequence[str]) -> list[Any]:
    chosen = [providers] if isinstance(providers, str) else list(providers)
    names = [each if isinstance(each, str) else each[0] for each in chosen]
    if not names or not set(names) <= set(available):
        raise InputError(
            f"providers: expected some of {', '.join(available)}, which the installed ONNX Runtime has, "
            f"received {', '.join(names) or 'none'}"
        )
    return chosen

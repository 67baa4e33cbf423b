"""What a training asks of the machine it runs on: a device, and memory that is kept."""

import ctypes
import platform

import torch

from mien.errors import ExperimentError


def find_device(name: str | None) -> torch.device:
    """A device by name, or the GPU where there is one; ExperimentError where it cannot be used."""
    device_name = name or ("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(device_name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise ExperimentError(f"device {device_name!r}: expected one that torch can use: {reason}") from error
    return device


def computes_in_bfloat16(device: torch.device) -> bool:
    """Whether a device multiplies in bfloat16 faster than in float32: GPUs, and processors with instructions for it."""
    if device.type == "cpu":
        return any(torch.cpu.get_capabilities().get(name, False) for name in ("avx512_bf16", "amx_bf16"))
    return device.type == "cuda"


def keep_freed_memory() -> None:
    """Ask glibc to keep freed memory instead of giving it back to the system after every step.

    Getting it again costs page faults: a tenth of the time on CPU. Elsewhere than on glibc, nothing happens.
    """
    if platform.libc_ver()[0] != "glibc":
        return
    trim_threshold, top_padding, mmap_threshold = -1, -2, -3  # malloc.h
    libc = ctypes.CDLL(None)
    libc.mallopt(trim_threshold, 2**31 - 1)
    libc.mallopt(top_padding, 2**28)
    libc.mallopt(mmap_threshold, 2**30)

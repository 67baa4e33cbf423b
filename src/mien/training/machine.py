"""What a training asks of the machine it runs on: a device, and memory that is kept."""

import contextlib
import ctypes
import platform
from collections.abc import Iterator

import torch
from torch import nn

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


def gains_from_bfloat16(network: nn.Module, device: torch.device) -> bool:
    """Whether a network trains faster in mixed precision there: on GPUs, and some on processors made for it."""
    if device.type == "cpu":
        found: dict[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()  # torch 2.8 may not have it
        made_for_it = found.get("avx512_bf16", False) or found.get("amx_bf16", False)
        return made_for_it and getattr(network, "bfloat16_on_cpu", False)
    return device.type == "cuda"


def mixed_precision(network: nn.Module, device: torch.device) -> torch.autocast:
    """bfloat16 autocast where a network gains from it, and none elsewhere."""
    return torch.autocast(device.type, torch.bfloat16, enabled=gains_from_bfloat16(network, device))


@contextlib.contextmanager
def reproducible(device: torch.device) -> Iterator[None]:
    """Deterministic convolutions on a GPU; afterwards that setting and torch's generators are as they were."""
    before = torch.backends.cudnn.deterministic
    torch.backends.cudnn.deterministic = True
    try:
        with torch.random.fork_rng([device] if device.type == "cuda" else []):
            yield
    finally:
        torch.backends.cudnn.deterministic = before


def use_threads(count: int) -> None:
    """Let torch compute with so many threads of the processor; 0 leaves it as it is. It holds for the whole process."""
    if count:
        torch.set_num_threads(count)


def keep_freed_memory() -> None:
    """Ask glibc to keep freed memory instead of giving it back to the system after every step.

    Getting it again costs page faults: a tenth of the time on CPU. Elsewhere than on glibc, nothing happens. It is for
    programs that train and end, since it holds for the whole process and cannot be taken back.
    """
    if platform.libc_ver()[0] != "glibc":
        return
    trim_threshold, top_padding, mmap_threshold = -1, -2, -3  # malloc.h
    libc = ctypes.CDLL(None)
    libc.mallopt(trim_threshold, 2**31 - 1)
    libc.mallopt(top_padding, 2**28)
    libc.mallopt(mmap_threshold, 2**30)

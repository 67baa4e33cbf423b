"""All randomness of a training derives from (seed, purpose, epoch, step).

So a resumed training needs no saved generator states: it draws what the undisturbed one would have drawn.
"""

import hashlib

import torch


def derive_seed(seed: int, purpose: str, epoch: int = 0, step: int = 0) -> int:
    """A 63-bit seed for one purpose at one moment; neighbouring moments give unrelated seeds."""
    text = f"{seed}/{purpose}/{epoch}/{step}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little") >> 1


def generator(
    seed: int,
    purpose: str,
    epoch: int = 0,
    step: int = 0,
    device: torch.device | str = "cpu",
) -> torch.Generator:
    """A generator on a device for one purpose at one moment."""
    return torch.Generator(device).manual_seed(derive_seed(seed, purpose, epoch, step))

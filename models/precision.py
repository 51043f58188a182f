"""In what a device computes, and whether it is faster in bfloat16: many processors are not.

Without instructions for it (AVX-512 bf16, AMX, Arm's BF16) a processor works bfloat16 out number by
number. On one with AVX2 alone a matrix product took 28 to 160 times as long as in float32 (AMD EPYC
of the third generation, two cores, torch 2.14), so nothing may take it unasked.
"""

import time
from functools import cache

import torch

SIZE = 256
"""Rows and columns of the products that are timed."""

TURNS = 3
"""Of which the fastest counts."""

LEAST_GAIN = 1.3
"""How many times faster bfloat16 has to be: far from the .01 to .04 that were seen with AVX2 alone,
so that other work on the machine does not change the answer there."""


def is_bfloat16_faster(device: torch.device) -> bool:
    """Return whether matrix products are better computed in bfloat16 on a device."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return bfloat16_gain(device.type) >= LEAST_GAIN


@cache
def bfloat16_gain(kind: str) -> float:
    """Return how many times faster a matrix product is in bfloat16 than in float32, as timed.

    Args:
        kind: A type of device whose operations end before they return, such as ``"cpu"``.
    """
    return _seconds(kind, torch.float32) / _seconds(kind, torch.bfloat16)


def _seconds(kind: str, dtype: torch.dtype) -> float:
    left, right = (torch.ones(SIZE, SIZE, dtype=dtype, device=kind) for _ in range(2))
    left @ right  # the first builds the kernel
    taken = []
    for _ in range(TURNS):
        start = time.perf_counter()
        left @ right
        taken.append(time.perf_counter() - start)
    return min(taken)


def product_dtype(x: torch.Tensor) -> torch.dtype:
    """Return the type in which matrix products of ``x`` are computed, under autocast too."""
    kind = x.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else x.dtype

"""How fast training goes, as a share of what the machine's matrix products reach."""

import time

import torch

from kagaku.models.backbone import BackboneConfig

SECONDS = 0.4
"""How long matrix products are timed."""


def flops_per_token(config: BackboneConfig, row_length: int) -> float:
    """Return floating-point operations of a training step per token: 6 per weight, and attention.

    The backbone's matrices only: embedding tables are looked up, and heads see few tokens. As
    counted by Kaplan et al. 2020, https://arxiv.org/abs/2001.08361, with the attention over the
    whole row, which fixed rows compute.

    Example:
        >>> flops_per_token(BackboneConfig(dim=64, depth=2, heads=4, hidden=128), 256) / 6
        147456.0
    """
    weights = config.depth * (4 * config.dim**2 + 3 * config.dim * config.hidden)
    attention = config.depth * 2 * config.dim * row_length
    return 6.0 * (weights + attention)


def measured_peak(device: torch.device, dtype: torch.dtype) -> float:
    """Return floating-point operations per second of large matrix products on a device."""
    size = 4096 if device.type == "cuda" else 1024
    left, right = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
    for _ in range(3):
        left @ right
    _finish(device)
    done, start = 0, time.perf_counter()
    best = 0.0
    while time.perf_counter() - start < SECONDS or done == 0:
        before = time.perf_counter()
        left @ right
        _finish(device)
        done += 1
        best = max(best, 2.0 * size**3 / (time.perf_counter() - before))
    return best


def _finish(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)

"""Feature blocks inside the state of a fitted model: small, and exactly what went in."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kagaku.science_tasks.features import FeatureBlock


def blocks_to_state(blocks: Sequence[FeatureBlock]) -> list[dict[str, Any]]:
    """Return the blocks as plain values; whole counts below 256 take one byte each."""
    return [
        {
            "name": block.name,
            "kernel": block.kernel,
            "values": _compact(block.values),
            "present": block.present,
            "for_kernels": block.for_kernels,
        }
        for block in blocks
    ]


def blocks_from_state(state: Sequence[Mapping[str, Any]]) -> list[FeatureBlock]:
    """Return the blocks that `blocks_to_state` described, bit for bit."""
    return [
        FeatureBlock(
            one["name"],
            one["values"].astype(np.float32),
            one["kernel"],
            one["present"],
            for_kernels=one.get("for_kernels", False),
        )
        for one in state
    ]


def _compact(values: np.ndarray) -> np.ndarray:
    small = (
        values.astype(np.uint8) if values.size and 0 <= values.min() <= values.max() < 256 else None
    )
    if small is not None and np.array_equal(small, values):
        return small
    return values.astype(np.float32)

"""Evenly spaced places, where all of them would cost too much."""

import numpy as np
from jaxtyping import Int


def spaced(n: int, most: int) -> Int[np.ndarray, " place"]:
    """Return all places below ``n``, or ``most`` of them evenly spaced; none if it is negative.

    Example:
        >>> spaced(10, 4).tolist(), spaced(3, 4).tolist(), spaced(3, -2).tolist()
        ([0, 3, 6, 9], [0, 1, 2], [])
    """
    if n <= most:
        return np.arange(n)
    return np.linspace(0, n - 1, max(most, 0)).round().astype(np.int64)

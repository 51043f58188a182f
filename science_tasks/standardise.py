"""Bringing features to one scale, with what training records alone have shown."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float

LIMIT = 8.0
"""Standardised values are clipped to plus or minus this many spreads: one absurd descriptor of one
record must not decide a distance."""

# For a normal distribution the interquartile range is 1.349 standard deviations.
_IQR_OF_NORMAL = 1.349


class RobustScale:
    """Centres each column on its median and divides it by its spread.

    The spread is the interquartile range in units of a normal's standard deviation, so outliers do
    not stretch it. A column whose middle half is one value (a rare group that few molecules have)
    takes its standard deviation; a column that never varied becomes 0. NaN becomes the median.
    """

    def __init__(self) -> None:
        self._median = np.zeros(0)
        self._spread = np.zeros(0)

    def fit(self, values: Float[np.ndarray, "record feature"]) -> None:
        """Learn the median and spread of each column from training records; at least one."""
        known = _finite(values)
        # A column without any number has nothing to teach: all its values become 0.
        known = np.where(np.isnan(known).all(axis=0), 0.0, known)
        low, median, high = np.nanquantile(known, [0.25, 0.5, 0.75], axis=0)
        spread = (high - low) / _IQR_OF_NORMAL
        deviation = np.nanstd(known, axis=0)
        # Rounding leaves a constant column with a deviation of about 1e-16 of its size.
        noise = 1e-9 * np.maximum(np.abs(median), 1e-30)
        self._median = median
        self._spread = np.where(spread > noise, spread, np.where(deviation > noise, deviation, 0.0))

    def __call__(
        self, values: Float[np.ndarray, "record feature"]
    ) -> Float[np.ndarray, "record feature"]:
        """Return the standardised columns, float32, clipped to `LIMIT`."""
        known = _finite(values)
        centred = np.where(np.isnan(known), 0.0, known - self._median)
        scaled = np.divide(
            centred, self._spread, out=np.zeros_like(centred), where=self._spread > 0
        )
        return np.clip(scaled, -LIMIT, LIMIT).astype(np.float32)

    def state(self) -> dict[str, np.ndarray]:
        """Return the medians and spreads."""
        return {"median": self._median, "spread": self._spread}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Restore what `state` gave."""
        self._median = np.asarray(state["median"], dtype=np.float64)
        self._spread = np.asarray(state["spread"], dtype=np.float64)


def _finite(values: np.ndarray) -> np.ndarray:
    """Return float64 values with NaN for whatever is not a number of sensible size."""
    known = np.asarray(values, dtype=np.float64)
    return np.where(np.abs(known) < 1e30, known, np.nan)

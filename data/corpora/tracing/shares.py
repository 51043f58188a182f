"""Compositions as columns of shares: what any composition has in common with all stored ones.

A composition has a few of the elements. Stored element by element, only the columns of its own are
read, and the sum of the smaller shares is exact for every value.
"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int, UInt

WHOLE = 65_535
"""What a share of 1 is stored as; shares are rounded to 1.5e-5."""


class ShareColumns:
    """The shares of many values; make one with `ShareColumns.open`.

    Args:
        columns: One row per component.
    """

    def __init__(self, columns: UInt[np.ndarray, "component value"]) -> None:
        self._columns = columns

    @classmethod
    def open(cls, stem: Path) -> "ShareColumns":
        """Return what `write` wrote, mapped into memory."""
        return cls(np.load(_path(stem), mmap_mode="r", allow_pickle=False))

    @classmethod
    def write(
        cls, stem: Path, pieces: Iterable[np.ndarray], n_values: int, n_components: int
    ) -> None:
        """Write values, float (value, component) in pieces, as columns."""
        shape = (n_components, n_values)
        columns = np.lib.format.open_memmap(_path(stem), mode="w+", dtype=np.uint16, shape=shape)
        start = 0
        for piece in pieces:
            columns[:, start : start + len(piece)] = np.rint(piece.T * WHOLE).astype(np.uint16)
            start += len(piece)
        assert start == n_values
        columns.flush()

    def common(self, shares: Float[np.ndarray, " component"]) -> Float[np.ndarray, " value"]:
        """Return what a value has in common with every stored one: the sum of smaller shares."""
        found = np.zeros(self._columns.shape[1], dtype=np.float32)
        for component in np.flatnonzero(shares):
            own = np.uint16(np.rint(shares[component] * WHOLE))
            found += np.minimum(self._columns[component], own)
        common: np.ndarray = found / np.float32(WHOLE)
        return common

    def nearest(self, shares: Float[np.ndarray, " component"], most: int) -> Int[np.ndarray, " _"]:
        """Return the values that have most in common, the nearest first; none with nothing."""
        return largest(self.common(shares), most)


def largest(values: Float[np.ndarray, " value"], most: int) -> Int[np.ndarray, " found"]:
    """Return where the largest positive values stand, the largest first."""
    if not len(values):
        return np.zeros(0, dtype=np.int64)
    most = min(most, len(values))
    least = np.partition(values, len(values) - most)[len(values) - most]
    found = np.flatnonzero((values >= least) & (values > 0))
    order = np.argsort(-values[found], kind="stable")[:most]
    places: np.ndarray = found[order].astype(np.int64)
    return places


def _path(stem: Path) -> Path:
    return stem.with_name(f"{stem.name}.shares.npy")

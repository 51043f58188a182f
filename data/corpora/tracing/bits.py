"""Sets of common features as columns of bits: the overlap with every stored set in one pass.

A query has some fifty of a thousand bits. Stored bit by bit instead of value by value, only its own
columns are read: for a million molecules 6 of 128 MB.
"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Int, UInt

from kagaku.data.corpora.tracing.shares import largest

ROWS_AT_ONCE = 8_192
"""Values that are turned into columns together; a multiple of eight, so that bytes are filled."""


class BitColumns:
    """The bits of many values; make one with `BitColumns.open`.

    Args:
        columns: One row per bit, eight values in each byte.
        sizes: How many bits each value has.
    """

    def __init__(
        self, columns: UInt[np.ndarray, "bit byte"], sizes: UInt[np.ndarray, " value"]
    ) -> None:
        self._columns, self._sizes = columns, sizes

    @classmethod
    def open(cls, stem: Path) -> "BitColumns":
        """Return what `write` wrote, mapped into memory."""
        paths = _paths(stem)
        columns, sizes = (np.load(path, mmap_mode="r", allow_pickle=False) for path in paths)
        return cls(columns, sizes)

    @classmethod
    def write(cls, stem: Path, pieces: Iterable[np.ndarray], n_values: int, n_bits: int) -> None:
        """Write values, bool (value, bit) in pieces, as columns."""
        columns_path, sizes_path = _paths(stem)
        columns = np.lib.format.open_memmap(
            columns_path, mode="w+", dtype=np.uint8, shape=(n_bits, -(-n_values // 8))
        )
        sizes = np.zeros(n_values, dtype=np.uint16)
        start, waiting = 0, np.zeros((0, n_bits), dtype=bool)
        for piece in pieces:
            waiting = np.concatenate([waiting, piece])
            while len(waiting) >= ROWS_AT_ONCE:
                start = _put(columns, sizes, start, waiting[:ROWS_AT_ONCE])
                waiting = waiting[ROWS_AT_ONCE:]
        if len(waiting):
            start = _put(columns, sizes, start, waiting)
        assert start == n_values
        columns.flush()
        np.save(sizes_path, sizes, allow_pickle=False)

    def likeness(self, bits: Bool[np.ndarray, " bit"]) -> Float[np.ndarray, " value"]:
        """Return the Tanimoto coefficient of a value with every stored one, float32."""
        asked = np.flatnonzero(bits)
        n_values = len(self._sizes)
        shared = np.zeros(n_values, dtype=np.uint8 if len(asked) < 256 else np.uint16)
        for bit in asked:
            np.add(shared, np.unpackbits(self._columns[bit], count=n_values), out=shared)
        overlap = shared.astype(np.float32)
        union = np.float32(len(asked)) + self._sizes.astype(np.float32) - overlap
        likeness: np.ndarray = overlap / np.maximum(union, np.float32(1))
        return likeness

    def nearest(self, bits: Bool[np.ndarray, " bit"], most: int) -> Int[np.ndarray, " found"]:
        """Return the values that are most alike, the nearest first; none that share nothing."""
        return largest(self.likeness(bits), most)


def _put(columns: np.ndarray, sizes: np.ndarray, start: int, rows: np.ndarray) -> int:
    """Write the bits of some values behind the first ``start`` and return how many there are."""
    first = start // 8
    packed = np.packbits(rows.T, axis=1)
    columns[:, first : first + packed.shape[1]] = packed
    sizes[start : start + len(rows)] = rows.sum(axis=1)
    return start + len(rows)


def _paths(stem: Path) -> tuple[Path, Path]:
    return stem.with_name(f"{stem.name}.bits.npy"), stem.with_name(f"{stem.name}.sizes.npy")

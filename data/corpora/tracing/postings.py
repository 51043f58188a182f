"""Who has which gram: sequences and texts are found by the rare words that they share.

One sorted array of 64-bit numbers, the gram in the upper half and its owner in the lower, so that a
lookup is a search in a file mapped into memory, and building sorts one slice of grams at a time.
"""

from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

import numpy as np
from jaxtyping import Int, UInt

BUCKETS = 64
"""Slices of the grams, by the highest six of their thirty bits: each is sorted in memory alone."""

_SLICE_BITS = np.uint64(32 + 24)
"""Bits of a pair below those that name its slice."""

MOST_READ = 50_000
"""Owners that one search looks at, those of the rarest grams first: what everyone has tells
nothing. Where even the rarest gram has more, only so many of its owners."""

_OWNER_BITS = np.uint64(32)
_OWNER = np.uint64(2**32 - 1)
_WEIGHT_BITS, _WEIGHT = np.uint64(16), np.uint64(2**16 - 1)
_STEPS_PER_NAT = 1_000
"""Weights are whole numbers of thousandths, so that they are sorted along with their owner."""


class Postings:
    """Grams and their owners; make one with `Postings.open`.

    Args:
        pairs: Gram and owner in one number each, sorted.
        n_owners: How many values there are.
    """

    def __init__(self, pairs: UInt[np.ndarray, " pair"], n_owners: int) -> None:
        self._pairs, self._n_owners = pairs, n_owners

    @classmethod
    def open(cls, stem: Path, n_owners: int) -> "Postings":
        """Return what `write` wrote, mapped into memory."""
        return cls(np.load(_path(stem), mmap_mode="r", allow_pickle=False), n_owners)

    @classmethod
    def write(cls, stem: Path, pieces: Iterable[tuple[np.ndarray, np.ndarray]]) -> None:
        """Write pieces of (grams, owners), both (pair,), sorted.

        Disk space for as many bytes again is needed meanwhile.
        """
        n_pairs = 0
        slices = [stem.with_name(f"{stem.name}.{number:03d}.slice") for number in range(BUCKETS)]
        with ExitStack() as stack:
            streams = [stack.enter_context(path.open("wb")) for path in slices]
            for grams, owners in pieces:
                n_pairs += _scatter(grams, owners, streams)
        pairs = np.lib.format.open_memmap(_path(stem), mode="w+", dtype=np.uint64, shape=(n_pairs,))
        start = 0
        for path in slices:
            one = np.sort(np.fromfile(path, dtype=np.uint64))
            pairs[start : start + len(one)] = one
            start += len(one)
            path.unlink()
        pairs.flush()

    def nearest(self, grams: UInt[np.ndarray, " gram"], most: int) -> Int[np.ndarray, " found"]:
        """Return the owners of the weightiest shared grams, the first being the likeliest.

        A gram weighs the logarithm of how rare it is, log(1 + values / owners).
        """
        asked = grams.astype(np.uint64) << _OWNER_BITS
        starts = np.searchsorted(self._pairs, asked)
        ends = np.searchsorted(self._pairs, asked | _OWNER, side="right")
        counts = ends - starts
        order = np.argsort(counts, kind="stable")
        order = order[counts[order] > 0]
        kept = order[np.cumsum(counts[order]) <= MOST_READ]
        if not len(kept):
            kept = order[:1]
            ends = np.minimum(ends, starts + MOST_READ)
        if not len(kept):
            return np.zeros(0, dtype=np.int64)
        weights = np.log1p(self._n_owners / counts[kept]) * _STEPS_PER_NAT
        weights = np.minimum(weights.astype(np.uint64), _WEIGHT)
        pieces = [
            ((self._pairs[starts[one] : ends[one]] & _OWNER) << _WEIGHT_BITS) | weight
            for one, weight in zip(kept.tolist(), weights, strict=True)
        ]
        return _heaviest(np.concatenate(pieces), most)


def _scatter(grams: np.ndarray, owners: np.ndarray, streams: Sequence[BinaryIO]) -> int:
    """Append pairs to the slice of their gram and return how many there were."""
    pairs = np.sort((grams.astype(np.uint64) << _OWNER_BITS) | owners.astype(np.uint64))
    edges = np.searchsorted(pairs >> _SLICE_BITS, np.arange(BUCKETS + 1, dtype=np.uint64))
    for stream, start, end in zip(streams, edges[:-1], edges[1:], strict=True):
        pairs[start:end].tofile(stream)
    return len(pairs)


def _heaviest(weighed: UInt[np.ndarray, " pair"], most: int) -> Int[np.ndarray, " found"]:
    """Return the owners with the largest sums of weights; owner and weight are one number each."""
    weighed = np.sort(weighed)
    owners = weighed >> _WEIGHT_BITS
    starts = np.flatnonzero(np.concatenate([[True], owners[1:] != owners[:-1]]))
    sums = np.add.reduceat((weighed & _WEIGHT).astype(np.int64), starts)
    order = np.argsort(-sums, kind="stable")[:most]
    heaviest: np.ndarray = owners[starts[order]].astype(np.int64)
    return heaviest


def _path(stem: Path) -> Path:
    return stem.with_name(f"{stem.name}.postings.npy")

"""MinHash signatures of sequences and texts, and the near-duplicates that they show."""

import zlib
from collections.abc import Iterable
from functools import cache
from typing import Any

import numpy as np
from jaxtyping import Bool, Int, UInt

from kagaku.data.corpora.keys import words
from kagaku.data.nucleotides import canonical_strand, canonical_words

PERMUTATIONS = 64
"""Hash functions of one signature; at a similarity of 0.8 its standard error is 0.05."""

BAND = 4
"""Hash functions that must agree for two samples to be compared. With 16 bands of 4 two samples of
similarity 0.8 are compared with probability 1 - (1 - 0.8^4)^16 = 0.9998."""

SIMILARITY = 0.8
"""Estimated Jaccard similarity from which two samples are near-duplicates. For 5-mers and scattered
substitutions that is about 98% identity: J = s / (2 - s) with s = identity^5."""

RESIDUES_PER_SHINGLE, WORDS_PER_SHINGLE = 5, 3

BASES_PER_SHINGLE = 15
"""Bases of a word on either strand. With 15-mers a similarity of 0.8 is about 99.2% identity."""

SIGNED = ("protein", "text", "nucleotide")
"""Modalities that have signatures."""

Signatures = UInt[np.ndarray, "sample permutation"]


def signature(modality: str, value: str) -> np.ndarray:
    """Return the MinHash signature of a protein, text or nucleotide, uint32 (permutation,)."""
    if modality == "protein":
        code, size = value.encode(), RESIDUES_PER_SHINGLE
        shingles = {code[i : i + size] for i in range(max(1, len(code) - size + 1))}
    elif modality == "nucleotide":
        found_words = canonical_words(value, BASES_PER_SHINGLE).tolist()
        shingles = {one.to_bytes(8, "little") for one in found_words}
        shingles = shingles or {canonical_strand(value).encode()}
    else:
        found, size = words(value), WORDS_PER_SHINGLE
        shingles = {
            " ".join(found[i : i + size]).encode() for i in range(max(1, len(found) - size + 1))
        }
    sketch = _empty().copy()
    sketch.update_batch(shingles)
    numbers: np.ndarray = sketch.hashvalues.astype(np.uint32)
    return numbers


@cache
def _empty() -> Any:
    from datasketch import MinHash

    return MinHash(num_perm=PERMUTATIONS, seed=1, hashfunc=zlib.crc32)


def near_groups(signatures: Signatures) -> Int[np.ndarray, " sample"]:
    """Return the group of each sample: near-duplicates, and what they link, share one.

    Only one band is in memory at a time, so the signatures may be a file mapped into memory.
    """
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    first: list[np.ndarray] = []
    second: list[np.ndarray] = []
    for start in range(0, PERMUTATIONS, BAND):
        one, other = _candidates(_mixed(signatures[:, start : start + BAND]))
        alike = _alike(one, other, signatures)
        first.append(one[alike])
        second.append(other[alike])
    one, other = np.concatenate(first), np.concatenate(second)
    n_samples = len(signatures)
    links = coo_matrix((np.ones(len(one), dtype=np.int8), (one, other)), (n_samples, n_samples))
    groups: np.ndarray = connected_components(links, directed=False)[1]
    return groups.astype(np.int64)


def first_of_groups(groups: Int[np.ndarray, " sample"]) -> Bool[np.ndarray, " sample"]:
    """Return which samples are the first of their group."""
    first = np.zeros(len(groups), dtype=bool)
    first[np.unique(groups, return_index=True)[1]] = True
    return first


def _mixed(band: np.ndarray) -> np.ndarray:
    """Return one 64-bit number per row of a band, equal where the rows are equal."""
    mixed = np.zeros(len(band), dtype=np.uint64)
    for column in band.T:
        # The multiplier of a 64-bit linear congruential generator (Knuth's MMIX).
        mixed = (mixed + column.astype(np.uint64) + np.uint64(1)) * np.uint64(6364136223846793005)
        mixed ^= mixed >> np.uint64(29)
    return mixed


def _candidates(numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return pairs to compare: each sample with the first and the last one of its number."""
    order = np.argsort(numbers, kind="stable")
    ordered = numbers[order]
    starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    sizes = np.diff(np.concatenate([starts, [len(ordered)]]))
    head = np.repeat(starts, sizes)
    places = np.flatnonzero(head != np.arange(len(ordered)))
    one = np.concatenate([order[head[places]], order[places - 1]])
    return one, np.concatenate([order[places], order[places]])


def _alike(one: np.ndarray, other: np.ndarray, signatures: np.ndarray) -> np.ndarray:
    """Return which pairs have signatures as similar as `SIMILARITY`."""
    alike = np.zeros(len(one), dtype=bool)
    for part in _slices(len(one), 100_000):
        agree = signatures[one[part]] == signatures[other[part]]
        alike[part] = agree.mean(axis=1) >= SIMILARITY
    return alike


def _slices(length: int, size: int) -> Iterable[slice]:
    return (slice(start, start + size) for start in range(0, length, size))

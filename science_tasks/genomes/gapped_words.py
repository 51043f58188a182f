"""Gapped words: what a regulatory sequence is made of when some bases of a motif do not matter."""

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from jaxtyping import Float, Int

from kagaku.data.nucleotides import reverse_complement
from kagaku.science_tasks.genomes.composition import UNKNOWN, base_codes

SPAN, READ = 7, 5
"""Length of the window that slides along a sequence, and how many of its bases are read."""


def patterns(span: int = SPAN, read: int = READ) -> list[tuple[int, ...]]:
    """Return the places of a window that are read, one tuple per pattern.

    The first place is always read: without it a pattern is another one, moved by a base.

    Example:
        >>> patterns(3, 2)
        [(0, 1), (0, 2)]
    """
    return [(0, *rest) for rest in combinations(range(1, span), read - 1)]


def gapped_word_counts(sequence: str) -> Float[np.ndarray, " word"]:
    """Return how often each gapped word occurs on either strand, float32.

    The words of one pattern stand together, `READ` bases of four letters each. Words with an
    ambiguous base are not counted. The inner product of two such vectors is the kernel of gkm-SVM:
    Ghandi et al. 2014, https://doi.org/10.1371/journal.pcbi.1003711
    """
    strands = [base_codes(one) for one in (sequence, reverse_complement(sequence))]
    counts = [sum(_counts(codes, pattern) for codes in strands) for pattern in patterns()]
    return np.concatenate(counts).astype(np.float32)


def gapped_word_shares(sequences: Sequence[str]) -> Float[np.ndarray, "sequence word"]:
    """Return the counts of each sequence, scaled to length 1, float32; zeros if it has no word."""
    counts = np.stack([gapped_word_counts(one) for one in sequences])
    length = np.linalg.norm(counts, axis=1, keepdims=True)
    shares: np.ndarray = counts / np.maximum(length, 1e-9)
    return shares


def _counts(codes: Int[np.ndarray, " base"], pattern: tuple[int, ...]) -> Int[np.ndarray, " word"]:
    n_windows = max(len(codes) - pattern[-1], 0)
    numbers, known = np.zeros(n_windows, dtype=np.int64), np.ones(n_windows, dtype=bool)
    for place in pattern if n_windows else ():
        one = codes[place : place + n_windows]
        numbers, known = numbers * 4 + one, known & (one != UNKNOWN)
    return np.bincount(numbers[known], minlength=4 ** len(pattern))

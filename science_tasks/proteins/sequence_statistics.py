"""What can be said of a sequence alone that natural proteins share: composition, order, fold."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from Bio.Align import PairwiseAligner, substitution_matrices
from jaxtyping import Float, Int

from kagaku.errors import InputError
from kagaku.science_tasks.generation_metrics import FEWEST, frechet_distance
from kagaku.science_tasks.proteins.composition import composition
from kagaku.science_tasks.proteins.residue_scales import (
    CHARGE,
    HYDROPATHY,
    STANDARD,
    UNKNOWN,
    residue_codes,
)

WINDOW = 20
"""Residues whose variety is taken together, about one secondary structure element and its turn."""

CANDIDATES = 5
"""Training sequences that share most words with a sequence, and are aligned with it."""

WORD = 4
"""Residues of a shared word."""

# Kyte and Doolittle's scale from 0 to 1, as Uversky used it.
_HYDROPATHY = np.array([(HYDROPATHY[r] + 4.5) / 9 for r in STANDARD])
_CHARGE = np.array([CHARGE.get(r, 0.0) if r in "RKDE" else 0.0 for r in STANDARD])


@lru_cache(maxsize=20_000)
def residue_counts(sequence: str) -> Int[np.ndarray, " residue"]:
    """Return how often each standard residue occurs."""
    counts: np.ndarray = np.bincount(_known(sequence), minlength=UNKNOWN)
    return counts


@lru_cache(maxsize=20_000)
def pair_counts(sequence: str) -> Int[np.ndarray, " pair"]:
    """Return how often each pair of standard neighbours occurs."""
    codes = residue_codes(sequence)
    both = (codes[:-1] != UNKNOWN) & (codes[1:] != UNKNOWN)
    pairs = codes[:-1][both] * UNKNOWN + codes[1:][both]
    counts: np.ndarray = np.bincount(pairs, minlength=UNKNOWN**2)
    return counts


def _known(sequence: str) -> np.ndarray:
    codes = residue_codes(sequence)
    known: np.ndarray = codes[codes != UNKNOWN]
    return known


def divergence(first: Float[np.ndarray, " word"], second: Float[np.ndarray, " word"]) -> float:
    """Return the Jensen-Shannon divergence of two tables of counts, in bits, 0 to 1.

    Source: Lin (1991), https://doi.org/10.1109/18.61115

    Example:
        >>> divergence(np.array([2.0, 0.0]), np.array([0.0, 5.0]))
        1.0
    """
    if not first.sum() or not second.sum():
        return float("nan")
    p, q = first / first.sum(), second / second.sum()
    middle = (p + q) / 2
    parts = []
    for one in (p, q):
        there = one > 0
        parts.append(float((one[there] * np.log2(one[there] / middle[there])).sum()))
    return sum(parts) / 2


def fold_index(sequence: str) -> float:
    """Return how far a sequence lies on the folded side of charge against hydropathy.

    Above 0 a protein is likely to fold, below to be disordered; dimensionless. Sources: Uversky,
    Gillespie and Fink (2000),
    https://doi.org/10.1002/1097-0134(20001115)41:3%3C415::AID-PROT130%3E3.0.CO;2-7, and Prilusky
    and others (2005), https://doi.org/10.1093/bioinformatics/bti537

    Raises:
        InputError: There is no standard residue.
    """
    counts = residue_counts(sequence)
    if not counts.sum():
        raise InputError("the sequence has no standard residue", fix="Give one with residues.")
    share = counts / counts.sum()
    return float(2.785 * (share @ _HYDROPATHY) - abs(share @ _CHARGE) - 1.151)


def local_variety(sequence: str) -> float:
    """Return the mean entropy of residues in windows, in bits: low in repeats and tails.

    A sequence shorter than a window is one window.
    """
    codes = residue_codes(sequence)
    width = min(WINDOW, len(codes))
    if not width:
        return 0.0
    onehot = np.eye(UNKNOWN + 1)[codes].cumsum(axis=0)
    padded = np.vstack([np.zeros(UNKNOWN + 1), onehot])
    share = (padded[width:] - padded[:-width]) / width
    logs = np.log2(np.where(share > 0, share, 1.0))
    return float(-(share * logs).sum(axis=1).mean())


@lru_cache(maxsize=20_000)
def profile(sequence: str) -> Float[np.ndarray, " feature"]:
    """Return composition, bulk properties and short patterns of a sequence; 0 of an empty one."""
    if len(sequence) == 0:
        return np.zeros(len(profile("A")))
    return composition(sequence)


def profile_distance(first: Sequence[str], second: Sequence[str]) -> float:
    """Return the Frechet distance of the profiles of two sets of sequences, dimensionless.

    Each feature is divided by its spread over the second set. It sees what pooled frequencies do
    not: that natural proteins differ from each other far more than random sequences of their
    composition do. NaN of fewer than two sequences.
    """
    if min(len(first), len(second)) < FEWEST:
        return float("nan")
    one, two = (np.stack([profile(sequence) for sequence in part]) for part in (first, second))
    spread = two.std(axis=0)
    used = spread > 1e-9
    return frechet_distance(one[:, used] / spread[used], two[:, used] / spread[used])


class Neighbours:
    """Finds the most similar of some sequences, by shared words and then by alignment.

    Args:
        sequences: To be found.
    """

    def __init__(self, sequences: tuple[str, ...]) -> None:
        self.sequences = sequences
        self._having: dict[str, list[int]] = {}
        for index, one in enumerate(sequences):
            for word in _words(one):
                self._having.setdefault(word, []).append(index)
        self._aligner = PairwiseAligner(mode="local")
        self._aligner.substitution_matrix = substitution_matrices.load("BLOSUM62")
        # BLAST's defaults for BLOSUM62: a gap of one residue costs 12, each further one 1.
        self._aligner.open_gap_score, self._aligner.extend_gap_score = -12, -1

    def identity(self, sequence: str) -> float:
        """Return the highest share of a sequence's residues that one alignment has identical.

        The share is of the shorter of the two lengths, 0 to 1; 0 where no word is shared.
        """
        shared = np.zeros(len(self.sequences))
        for word in _words(sequence):
            shared[self._having.get(word, [])] += 1
        shared /= np.sqrt(np.array([max(len(one), 1) for one in self.sequences]))
        best = 0.0
        for index in np.argsort(-shared)[:CANDIDATES]:
            if shared[index]:
                best = max(best, self._aligned(sequence, self.sequences[index]))
        return best

    def _aligned(self, first: str, second: str) -> float:
        if first == second:
            return 1.0
        alphabet = set(self._aligner.substitution_matrix.alphabet)
        first, second = (
            "".join(letter if letter in alphabet else "X" for letter in one)
            for one in (first, second)
        )
        alignment = self._aligner.align(first, second)[0]
        same = sum(
            first[start_a + i] == second[start_b + i]
            for (start_a, end_a), (start_b, _) in zip(*alignment.aligned, strict=True)
            for i in range(end_a - start_a)
        )
        return same / max(min(len(first), len(second)), 1)


def _words(sequence: str) -> set[str]:
    return {sequence[i : i + WORD] for i in range(len(sequence) - WORD + 1)}

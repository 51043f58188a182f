"""What can be said of DNA or RNA of any length: bases, steps, melting, words and codons."""

import numpy as np
from Bio.Data.CodonTable import standard_dna_table
from Bio.SeqUtils import MeltingTemp
from jaxtyping import Float, Int

from kagaku.data.nucleotides import IUPAC_BASES

BASES = "ACGT"
UNKNOWN = 4
"""The code of any ambiguous base; A, C, G and T are 0 to 3."""

LONGEST_OLIGO = 60
"""Bases up to which nearest-neighbour thermodynamics of a two-state transition hold; longer
duplexes melt in parts, and take the formula from their GC content."""

SHORTEST_OLIGO = 8
"""Bases below which no duplex forms that would have a melting temperature."""

EXACT_WORDS = (1, 2, 3, 4)
"""Lengths of the words counted on the strand as given."""

SITE = 6
"""Length of the words counted on both strands: the core of a transcription factor's site."""

BULK_NAMES = (
    "log_length", "gc_content", "gc_skew", "at_skew", "melting_temperature", "longest_run",
    "unknown_fraction",
)  # fmt: skip
"""Names of the numbers of `bulk_properties`, in order."""

CODONS = tuple(a + b + c for a in BASES for b in BASES for c in BASES)
_STOPS = frozenset(standard_dna_table.stop_codons)
_STARTS = frozenset(standard_dna_table.start_codons) | {"GTG"}
_RESIDUE_OF_CODON = np.array([standard_dna_table.forward_table.get(one, "*") for one in CODONS])
_SYNONYMS = _RESIDUE_OF_CODON[:, None] == _RESIDUE_OF_CODON[None, :]

_CODE_OF_BYTE = np.full(256, UNKNOWN, dtype=np.int64)
_CODE_OF_BYTE[np.frombuffer(BASES.encode(), dtype=np.uint8)] = np.arange(4)
_SHARES = np.zeros((256, 4))
for _letter, _bases in IUPAC_BASES.items():
    _SHARES[ord(_letter)] = [(base in _bases) / len(_bases) for base in BASES]


def base_codes(sequence: str) -> Int[np.ndarray, " base"]:
    """Return A, C, G, T as 0 to 3 and every ambiguous base as `UNKNOWN`."""
    return _CODE_OF_BYTE[np.frombuffer(sequence.encode(), dtype=np.uint8)]


def base_shares(sequence: str) -> Float[np.ndarray, "position base"]:
    """Return the probability of A, C, G and T at each position; codes such as R share it evenly."""
    shares: np.ndarray = _SHARES[np.frombuffer(sequence.encode(), dtype=np.uint8)]
    return shares


def bulk_properties(sequence: str) -> list[float]:
    """Return the numbers named in `BULK_NAMES`; ambiguous bases count nowhere.

    The melting temperature is in degC, the longest run of one base in the logarithm of bases, the
    others are dimensionless. Skews are (G - C) / (G + C) and (A - T) / (A + T).
    """
    codes = base_codes(sequence)
    a, c, g, t = np.bincount(codes[codes != UNKNOWN], minlength=4).astype(float)
    known = max(a + c + g + t, 1.0)
    return [
        np.log(len(sequence)),
        (g + c) / known,
        (g - c) / max(g + c, 1.0),
        (a - t) / max(a + t, 1.0),
        melting_temperature(sequence),
        np.log(_longest_run(codes)),
        1.0 - (a + c + g + t) / len(sequence),
    ]


def melting_temperature(sequence: str) -> float:
    """Return the melting temperature of the DNA duplex in degC, in 50 mM Na+, 25 nM per strand.

    Up to `LONGEST_OLIGO` bases by nearest neighbours (Biopython's `Tm_NN` with the parameters of
    Allawi and SantaLucia 1997, https://doi.org/10.1021/bi962590c), else from the GC content
    (`Tm_GC`). Ambiguous bases are left out; below `SHORTEST_OLIGO` known bases it is NaN.
    """
    codes = base_codes(sequence)
    known = "".join(BASES[code] for code in codes[codes != UNKNOWN])
    if len(known) < SHORTEST_OLIGO:
        return float("nan")
    if len(known) <= LONGEST_OLIGO:
        return float(MeltingTemp.Tm_NN(known))
    return float(MeltingTemp.Tm_GC(known))


def step_ratios(codes: Int[np.ndarray, " base"]) -> Float[np.ndarray, " step"]:
    """Return, for each of the 16 steps, how often it is found over what its bases let expect.

    It is 1 where nothing is preferred; CpG is below 1 in vertebrate genomes. One is added to the
    counts found and expected, so that short sequences do not shout. Source: Burge, Campbell and
    Karlin 1992, https://doi.org/10.1073/pnas.89.4.1358
    """
    counts = word_counts(codes, 2).reshape(4, 4)
    shares = np.bincount(codes[codes != UNKNOWN], minlength=4) / max((codes != UNKNOWN).sum(), 1)
    expected = counts.sum() * np.outer(shares, shares)
    ratios: np.ndarray = ((counts + 1) / (expected + 1)).ravel()
    return ratios


def composition(sequence: str) -> Float[np.ndarray, " feature"]:
    """Return bulk properties, base fractions, step ratios and the GC content of each third."""
    codes = base_codes(sequence)
    known = codes[codes != UNKNOWN]
    fractions = np.bincount(known, minlength=4) / max(len(known), 1)
    thirds = [_gc(part) for part in np.array_split(codes, 3)]
    return np.concatenate([bulk_properties(sequence), fractions, step_ratios(codes), thirds])


def word_counts(codes: Int[np.ndarray, " base"], length: int) -> Int[np.ndarray, " word"]:
    """Return how often each of the 4^length words occurs; none with an ambiguous base counts."""
    numbers, known = _words(codes, length)
    return np.bincount(numbers[known], minlength=4**length)


def kmer_counts(sequence: str) -> Float[np.ndarray, " kmer"]:
    """Return counts of words, float32: of 1 to 4 bases, then of 6 bases on both strands.

    The short ones are counted on the strand as given, so that a splice site, a guide or a
    messenger has a direction. A word of six and its reverse complement are one column, since a
    factor binds a site on either strand.
    """
    codes = base_codes(sequence)
    exact = [word_counts(codes, length) for length in EXACT_WORDS]
    numbers, known = _words(codes, SITE)
    sites = np.bincount(_CANONICAL[numbers[known]], minlength=int(_CANONICAL.max()) + 1)
    return np.concatenate([*exact, sites]).astype(np.float32)


def is_coding(sequence: str) -> bool:
    """Return whether a sequence is an open reading frame from its first base on.

    That is: a multiple of three of known bases, at least ten codons, a start codon in front, and no
    stop codon but at the end. One random sequence of 30 bases in 22 is one; of 300, one in 1,700.
    """
    codons = [sequence[i : i + 3] for i in range(0, len(sequence), 3)]
    return (
        len(codons) >= 10
        and len(codons[-1]) == 3
        and codons[0] in _STARTS
        and not _STOPS.intersection(codons[:-1])
    )


def codon_usage(sequence: str) -> Float[np.ndarray, " feature"]:
    """Return the fraction of each codon, and its share among the synonymous ones minus even shares.

    Codons are read from the first base; those with an ambiguous base are left out.
    """
    codes = base_codes(sequence[: len(sequence) // 3 * 3]).reshape(-1, 3)
    codes = codes[(codes != UNKNOWN).all(axis=1)]
    counts = np.bincount(codes @ np.array([16, 4, 1]), minlength=64).astype(np.float64)
    of_residue, n_synonyms = _SYNONYMS @ counts, _SYNONYMS.sum(axis=1)
    shares = np.where(of_residue > 0, counts / np.maximum(of_residue, 1), 1 / n_synonyms)
    return np.concatenate([counts / max(counts.sum(), 1), shares - 1 / n_synonyms])


def _gc(codes: np.ndarray) -> float:
    known = codes[codes != UNKNOWN]
    return float(((known == 1) | (known == 2)).mean()) if len(known) else 0.5


def _longest_run(codes: np.ndarray) -> int:
    edges = np.flatnonzero(np.concatenate([[True], codes[1:] != codes[:-1], [True]]))
    return int(np.diff(edges).max())


def _words(codes: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the number of the word that begins at each base, and whether all of it is known."""
    n_words = max(len(codes) - length + 1, 0)
    numbers, known = np.zeros(n_words, dtype=np.int64), np.ones(n_words, dtype=bool)
    for place in range(length if n_words else 0):
        one = codes[place : place + n_words]
        numbers, known = numbers * 4 + one, known & (one != UNKNOWN)
    return numbers, known


def _canonical_columns(length: int) -> Int[np.ndarray, " word"]:
    """Return the column of each word, shared with its reverse complement."""
    words = np.arange(4**length)
    digits = words[:, None] // 4 ** np.arange(length)[::-1] % 4
    other = (3 - digits[:, ::-1]) @ 4 ** np.arange(length)[::-1]
    columns: np.ndarray = np.unique(np.minimum(words, other), return_inverse=True)[1]
    return columns


_CANONICAL = _canonical_columns(SITE)

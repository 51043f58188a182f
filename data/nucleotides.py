"""DNA and RNA sequences: their letters, their two strands and their words."""

import math

import numpy as np
from jaxtyping import Int

# Source: NC-IUB 1985, https://doi.org/10.1093/nar/13.9.3021. The bases that each code stands for.
IUPAC_BASES = {
    "A": "A", "C": "C", "G": "G", "T": "T",
    "R": "AG", "Y": "CT", "S": "CG", "W": "AT", "K": "GT", "M": "AC",
    "B": "CGT", "D": "AGT", "H": "ACT", "V": "ACG", "N": "ACGT",
}  # fmt: skip
GAPS = "-."
"""What alignments write where a sequence has no base."""

_COMPLEMENTS = str.maketrans("ACGTRYSWKMBDHVN", "TGCAYRSWMKVHDBN")
_WITHOUT_GAPS = str.maketrans("U", "T", GAPS)
_CODE_OF_BYTE = np.full(256, -1, dtype=np.int64)
_CODE_OF_BYTE[np.frombuffer(b"ACGT", dtype=np.uint8)] = np.arange(4)

SHORTEST_WORD, LONGEST_WORD = 6, 21
"""Bases of the words that sequences are compared by, at least and at most."""

CHANCE = 0.01
"""How often a word may be found in a random sequence of the same length."""


def dna_letters(text: str) -> str:
    r"""Return a sequence in capitals, as DNA, without white space, gaps and a FASTA header.

    U becomes T: sequence archives write transcripts and their genes with one alphabet, and so does
    kagaku. A gap is no base: what is left is the molecule, no longer aligned to others.

    Example:
        >>> dna_letters(">guide 1\nacg u-n\n")
        'ACGTN'
    """
    if text.lstrip().startswith(">"):
        text = text.partition("\n")[2]
    return "".join(text.split()).upper().translate(_WITHOUT_GAPS)


def reverse_complement(sequence: str) -> str:
    """Return the other strand, 5' to 3'.

    Example:
        >>> reverse_complement("AACGR")
        'YCGTT'
    """
    return sequence.translate(_COMPLEMENTS)[::-1]


def canonical_strand(sequence: str) -> str:
    """Return the strand of the two that comes first in the alphabet.

    Both strands of a double-stranded molecule have one canonical strand. Single-stranded sequences
    that would pair are taken for one as well: as a rule for splits that errs on the safe side.

    Example:
        >>> canonical_strand("TTTG") == canonical_strand("CAAA") == "CAAA"
        True
    """
    return min(sequence, reverse_complement(sequence))


def word_length(n_bases: int) -> int:
    """Return the length of words by which sequences of up to so many bases are compared.

    The longer the sequences, the longer words must be not to occur in all of them by chance:
    k = log4(n (1 - q) / q) for chance q. Source: Ondov et al. 2016, equation 2,
    https://doi.org/10.1186/s13059-016-0997-x

    Example:
        >>> word_length(30), word_length(200), word_length(30_000)
        (6, 8, 11)
    """
    wanted = math.ceil(math.log(max(n_bases, 1) * (1 - CHANCE) / CHANCE, 4))
    return min(max(wanted, SHORTEST_WORD), LONGEST_WORD)


def canonical_words(sequence: str, length: int) -> Int[np.ndarray, " word"]:
    """Return the distinct words of a sequence as numbers, equal for both strands.

    Words with an ambiguous base are left out. A sequence shorter than a word has none.

    Args:
        sequence: As `dna_letters` gives it.
        length: Bases per word, up to 31.
    """
    bases = _CODE_OF_BYTE[np.frombuffer(sequence.encode(), dtype=np.uint8)]
    n_words = len(bases) - length + 1
    if n_words < 1:
        return np.zeros(0, dtype=np.int64)
    forward = np.zeros(n_words, dtype=np.int64)
    backward = np.zeros(n_words, dtype=np.int64)
    known = np.ones(n_words, dtype=bool)
    for place in range(length):
        one = bases[place : place + n_words]
        known &= one >= 0
        forward = forward * 4 + one
        backward += (3 - one) << (2 * place)
    return np.unique(np.minimum(forward, backward)[known])


def mixed_words(words: Int[np.ndarray, " word"]) -> Int[np.ndarray, " word"]:
    """Return numbers below 2^32 that stand for words, scattered as a hash function does.

    This is the finaliser of SplitMix64. Source: https://doi.org/10.1145/2714064.2660195
    """
    mixed = words.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(31)
    return (mixed >> np.uint64(32)).astype(np.int64)

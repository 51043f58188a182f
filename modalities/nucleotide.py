"""DNA and RNA, three bases a token: a coding sequence in frame is read codon by codon.

**Why triplets, side by side from the first base.** In a coding sequence they are the codons, which
GenSLMs showed to be good tokens for genomes (https://doi.org/10.1177/10943420231201154), and no
sequence has to be declared coding, nor is one guessed to be. Elsewhere they are words short enough
that few data teach them: a guide of 30 bases has 10, an enhancer of 200 bases 67, a viral genome
of 30,000 bases 10,000. Overlapping words would be three times as many, and a hidden one could be
read off its neighbours. What is lost: an inserted base changes every later token.

**Why ambiguity codes cost nothing.** A token's embedding is composed from the bases at its three
places and the codon as a whole. A code such as R stands between its bases, and N between all four.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from kagaku.data.nucleotides import IUPAC_BASES, dna_letters
from kagaku.errors import InputError
from kagaku.modalities.base import MODALITIES, Tokens
from kagaku.modalities.sequence import (
    END_ID,
    N_SPECIALS,
    START_ID,
    SequenceModality,
    VocabularyEmbedder,
    sequence_tokens,
)
from kagaku.modalities.stored_config import restore_config

CODES = "ACGTRYSWKMBDHVN"
"""The IUPAC codes, in the order of their numbers; U is read as T."""

BASES_PER_TOKEN = 3
BASES = "ACGT"
NOTHING = len(CODES)
"""The number that fills up a last token where the length is no multiple of three."""

_CODE_OF_BYTE = np.full(256, -1, dtype=np.int64)
_CODE_OF_BYTE[np.frombuffer(CODES.encode(), dtype=np.uint8)] = np.arange(len(CODES))
_N_SYMBOLS = len(CODES) + 1
_PLACES = np.array([_N_SYMBOLS**2, _N_SYMBOLS, 1])


@dataclass(frozen=True)
class NucleotideConfig:
    """Settings of the nucleotide modality."""

    max_bases: int = 1_000_000
    """Longest sequence accepted, in bases; coronaviruses have 30,000, the largest plasmids about
    as many as are accepted."""

    def __post_init__(self) -> None:
        """Check the settings once, where they are made."""
        if self.max_bases <= 0:
            raise InputError(
                f"max_bases must be positive, got {self.max_bases}", fix="Set it to at least 1."
            )


@MODALITIES.register("nucleotide")
class Nucleotide(SequenceModality[str]):
    """DNA or RNA sequences in IUPAC codes, 5' to 3'.

    Args:
        config: Limits; see `NucleotideConfig`.
    """

    name: ClassVar[str] = "nucleotide"
    vocabulary_size: ClassVar[int] = N_SPECIALS + _N_SYMBOLS**BASES_PER_TOKEN

    config: NucleotideConfig

    def __init__(self, config: NucleotideConfig | None = None) -> None:
        self.config = config or NucleotideConfig()

    def check(self, value: str) -> str:
        r"""Return the sequence as DNA in capitals, without white space, gaps and a FASTA header.

        Raises:
            InputError: The sequence is empty, too long, has both T and U, or letters that are no
                nucleotide codes.

        Example:
            >>> Nucleotide().check(">guide\nacg u--n")
            'ACGTN'
        """
        entry = value.strip()
        if entry.startswith(">") and (entry.count(">") > 1 or "\n" not in entry):
            raise InputError(
                "the cell holds FASTA with other than one header line and its sequence",
                fix="Give one sequence per cell, or read the FASTA file itself.",
            )
        # Outside ASCII a capital may be another letter or two.
        sequence = dna_letters(entry) if entry.isascii() else "".join(entry.split())
        if not sequence:
            raise InputError("the nucleotide sequence is empty", fix="Drop the row or fill it in.")
        if strange := sorted(set(sequence) - set(CODES)):
            first = next(i for i, letter in enumerate(sequence, start=1) if letter in strange)
            raise InputError(
                f"the nucleotide sequence has {strange} (first at base {first}), "
                "which are not nucleotide codes",
                fix=f"Use the IUPAC codes {CODES} (U in RNA); write N for an unknown base.",
            )
        letters = entry.partition("\n")[2] if entry.startswith(">") else entry
        if {"T", "U"} <= {*letters.upper()}:
            raise InputError(
                "the nucleotide sequence has both T and U",
                fix="Write T throughout for DNA, or U throughout for RNA.",
            )
        if len(sequence) > self.config.max_bases:
            raise InputError(
                f"the sequence has {len(sequence)} bases, more than {self.config.max_bases}",
                fix="Cut it into windows or genes.",
            )
        return sequence

    def tokenize(self, value: str) -> Tokens:
        """Return a start token, one token per three bases, and an end token.

        One or two bases that are left over at the end are a token of their own.
        """
        codes = _CODE_OF_BYTE[np.frombuffer(value.encode(), dtype=np.uint8)]
        missing = -len(codes) % BASES_PER_TOKEN
        triplets = np.concatenate([codes, np.full(missing, NOTHING)]).reshape(-1, BASES_PER_TOKEN)
        return sequence_tokens([START_ID, *(N_SPECIALS + triplets @ _PLACES).tolist(), END_ID])

    def decode(self, ids: Sequence[int]) -> str:
        """Return the bases that tokens stand for, leaving out start, end and mask.

        Example:
            >>> Nucleotide().decode(Nucleotide().tokenize("ATGGCNT").ids[:, 0].tolist())
            'ATGGCNT'
        """
        kept = np.array([one for one in ids if one >= N_SPECIALS], dtype=np.int64) - N_SPECIALS
        codes = kept[:, None] // _PLACES % _N_SYMBOLS
        return "".join(CODES[one] for one in codes.ravel() if one != NOTHING)

    def embedder(self, dim: int) -> nn.Module:
        """Return a table of parts that triplets are composed from."""
        return TripletEmbedder(dim)

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Restore the limits."""
        self.config = restore_config(NucleotideConfig, state, self.name)


class TripletEmbedder(VocabularyEmbedder):
    """Composes the vector of a triplet from its bases' and its codon's.

    A triplet is the sum of four parts of equal size: one per place (a base, or, by how unsure the
    base is, a blend of its bases and an "unknown") and one for the codon as a whole. What a codon
    means beyond its bases is learnt where there are data, and rare triplets still have their bases.

    Args:
        dim: Width of an embedding.
    """

    parts: Tensor

    def __init__(self, dim: int) -> None:
        parts = torch.from_numpy(_parts_of_tokens())
        super().__init__(parts.shape[1], dim)
        self.register_buffer("parts", parts, persistent=False)

    def vectors(self) -> Float[Tensor, "vocabulary dim"]:
        """Return the vector of every triplet, composed."""
        weight = self.table.weight
        composed: Tensor = self.parts.to(weight.dtype) @ weight
        return composed

    def forward(
        self,
        ids: Int[Tensor, "token one"],
        values: Float[Tensor, "token none"],  # noqa: ARG002 (one signature for every embedder)
    ) -> Float[Tensor, "token dim"]:
        """Return the vector of each token."""
        weight = self.table.weight
        embeddings: Tensor = self.parts[ids[:, 0]].to(weight.dtype) @ weight
        return embeddings


def _parts_of_tokens() -> Float[np.ndarray, "id part"]:
    """Return how much of each part every token has; the squares of a row sum to 1.

    Parts are the special tokens, then for each place A, C, G, T, unknown and nothing, then the 64
    codons and an unknown one.
    """
    n_places = len(BASES) + 2
    n_codons = len(BASES) ** BASES_PER_TOKEN
    n_parts = N_SPECIALS + BASES_PER_TOKEN * n_places + n_codons + 1
    parts = np.zeros((Nucleotide.vocabulary_size, n_parts), dtype=np.float32)
    parts[:N_SPECIALS, :N_SPECIALS] = np.eye(N_SPECIALS)
    shares = _base_shares()
    triplets = np.array(list(product(range(_N_SYMBOLS), repeat=BASES_PER_TOKEN)))
    codon = np.ones((len(triplets), 1))
    for place, symbols in enumerate(triplets.T):
        codon = (codon[:, :, None] * shares[symbols][:, None, :]).reshape(len(triplets), -1)
        is_nothing = symbols == NOTHING
        blended = _with_unknown(shares[symbols]) * ~is_nothing[:, None]
        start = N_SPECIALS + place * n_places
        parts[N_SPECIALS:, start : start + n_places] = np.column_stack([blended, is_nothing])
    parts[N_SPECIALS:, -n_codons - 1 :] = _with_unknown(codon)
    # Four parts of size 1 make a vector of size 2.
    parts[N_SPECIALS:] /= np.sqrt(BASES_PER_TOKEN + 1)
    return parts


def _base_shares() -> Float[np.ndarray, "symbol base"]:
    """Return the probability of each base for every code, all alike; nothing is like N."""
    stands_for = [[one in IUPAC_BASES[code] for one in BASES] for code in (*CODES, "N")]
    counts = np.array(stands_for, dtype=np.float64)
    shares: np.ndarray = counts / counts.sum(axis=1, keepdims=True)
    return shares


def _with_unknown(
    shares: Float[np.ndarray, "row choice"],
) -> Float[np.ndarray, "row more"]:
    """Return shares with one more column that fills the squares of each row up to 1."""
    rest = np.clip(1 - np.square(shares).sum(axis=1, keepdims=True), 0, None)
    return np.hstack([shares, np.sqrt(rest)])

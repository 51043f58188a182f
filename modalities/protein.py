"""Proteins as amino-acid sequences, one token per residue."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from kagaku.errors import InputError
from kagaku.modalities.base import MODALITIES, Tokens
from kagaku.modalities.sequence import (
    END_ID,
    N_SPECIALS,
    START_ID,
    SequenceModality,
    sequence_tokens,
)
from kagaku.modalities.stored_config import restore_config

# The 20 standard residues; selenocysteine U and pyrrolysine O; the ambiguity codes B (D or N),
# Z (E or Q), J (I or L) and X (any). The same letters as
# Bio.Data.IUPACData.extended_protein_letters.
RESIDUES = "ACDEFGHIKLMNPQRSTVWYUOBZJX"
"""In the order of their tokens, which follow the special ones."""

_CODE_OF_BYTE = np.full(256, -1, dtype=np.int64)
_CODE_OF_BYTE[np.frombuffer(RESIDUES.encode(), dtype=np.uint8)] = N_SPECIALS + np.arange(
    len(RESIDUES)
)


@dataclass(frozen=True)
class ProteinConfig:
    """Settings of the protein modality."""

    max_residues: int = 40_000
    """Longest sequence accepted, in residues; titin, the longest human protein, has 34,350."""

    def __post_init__(self) -> None:
        """Check the settings once, where they are made."""
        if self.max_residues <= 0:
            raise InputError(
                f"max_residues must be positive, got {self.max_residues}",
                fix="Set it to at least 1.",
            )


@MODALITIES.register("protein")
class Protein(SequenceModality[str]):
    """Amino-acid sequences in one-letter code, N-terminus first.

    Args:
        config: Limits; see `ProteinConfig`.
    """

    name: ClassVar[str] = "protein"
    vocabulary_size: ClassVar[int] = N_SPECIALS + len(RESIDUES)

    config: ProteinConfig

    def __init__(self, config: ProteinConfig | None = None) -> None:
        self.config = config or ProteinConfig()

    def check(self, value: str) -> str:
        r"""Return the sequence in capitals, without white space and without a final stop ``*``.

        Raises:
            InputError: The sequence is empty, too long, or has letters that are no residues.

        Example:
            >>> Protein().check("mkt\naav*")
            'MKTAAV'
        """
        sequence = "".join(value.split()).removesuffix("*")
        # Outside ASCII a capital may be another letter or two: "\u00df" would become two serines.
        sequence = sequence.upper() if sequence.isascii() else sequence
        if not sequence:
            raise InputError("the protein sequence is empty", fix="Drop the row or fill it in.")
        if strange := sorted(set(sequence) - set(RESIDUES)):
            first = next(i for i, letter in enumerate(sequence, start=1) if letter in strange)
            raise InputError(
                f"the protein sequence has {strange} (first at residue {first}), "
                "which are not amino-acid codes",
                fix=f"Use the one-letter codes {RESIDUES}; write X for an unknown residue.",
            )
        if len(sequence) > self.config.max_residues:
            raise InputError(
                f"the protein has {len(sequence)} residues, more than {self.config.max_residues}",
                fix="Cut it into domains.",
            )
        return sequence

    def tokenize(self, value: str) -> Tokens:
        """Return a start token, one token per residue, and an end token."""
        codes = _CODE_OF_BYTE[np.frombuffer(value.encode(), dtype=np.uint8)]
        return sequence_tokens([START_ID, *codes.tolist(), END_ID])

    def decode(self, ids: Sequence[int]) -> str:
        """Return the residues that tokens stand for, leaving out start, end and mask.

        Example:
            >>> Protein().decode(Protein().tokenize("MKTAAV").ids[:, 0].tolist())
            'MKTAAV'
        """
        return "".join(RESIDUES[one - N_SPECIALS] for one in ids if one >= N_SPECIALS)

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Restore the limits."""
        self.config = restore_config(ProteinConfig, state, self.name)

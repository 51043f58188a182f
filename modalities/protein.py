"""Proteins as amino-acid sequences, one token per residue."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Bool
from torch import nn

from kagaku.errors import InputError
from kagaku.modalities.base import MODALITIES, Modality, Tokens
from kagaku.modalities.cropping import window
from kagaku.modalities.sequence import (
    N_SPECIALS,
    VocabularyEmbedder,
    hide_ids,
    sequence_tokens,
)
from kagaku.modalities.stored_config import restore_config

# The 20 standard residues; selenocysteine U and pyrrolysine O; the ambiguity codes B (D or N),
# Z (E or Q), J (I or L) and X (any). The same letters as
# Bio.Data.IUPACData.extended_protein_letters.
RESIDUES = "ACDEFGHIKLMNPQRSTVWYUOBZJX"

START, END, MASK = 0, 1, 2
"""Special tokens; residues follow them in the order of `RESIDUES`."""

_CODE_OF_BYTE = np.full(256, -1, dtype=np.int64)
_CODE_OF_BYTE[np.frombuffer(RESIDUES.encode(), dtype=np.uint8)] = 3 + np.arange(len(RESIDUES))


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
class Protein(Modality[str]):
    """Amino-acid sequences in one-letter code, N-terminus first.

    Args:
        config: Limits; see `ProteinConfig`.
    """

    name: ClassVar[str] = "protein"
    n_ids = 1
    n_values = 0
    vocabulary_size: ClassVar[int] = 3 + len(RESIDUES)
    n_specials: ClassVar[int] = N_SPECIALS

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
        return sequence_tokens([START, *codes.tolist(), END])

    def decode(self, ids: Sequence[int]) -> str:
        """Return the residues that tokens stand for, leaving out start, end and mask.

        Example:
            >>> Protein().decode(Protein().tokenize("MKTAAV").ids[:, 0].tolist())
            'MKTAAV'
        """
        return "".join(RESIDUES[one - N_SPECIALS] for one in ids if one >= N_SPECIALS)

    def hide(self, tokens: Tokens, chosen: Bool[np.ndarray, " token"]) -> Tokens:
        """Return the tokens with the chosen ones replaced by the mask token."""
        return hide_ids(tokens, chosen, MASK)

    def crop(self, tokens: Tokens, most: int, rng: np.random.Generator) -> Tokens:
        """Return a random window of at most ``most`` tokens."""
        return window(tokens, most, rng)

    def embedder(self, dim: int) -> nn.Module:
        """Return a lookup table."""
        return VocabularyEmbedder(self.vocabulary_size, dim)

    def state(self) -> dict[str, Any]:
        """Return the limits."""
        return {"config": asdict(self.config)}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Restore the limits."""
        self.config = restore_config(ProteinConfig, state, self.name)

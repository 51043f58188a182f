"""Residues as ids of a public protein language model's vocabulary."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Int

from kagaku.errors import InputError
from kagaku.modalities.protein import RESIDUES

VOCABULARY_FILE = "vocab.txt"
"""One token a line, in the order of their ids; beside the weights of ESM and of BERT."""

STANDARD = "ACDEFGHIKLMNPQRSTVWY"
"""The residues that every protein language model knows."""

# Start, end, mask and unknown, as ESM's vocabulary and as BERT's spell them.
_SPECIALS = (("<cls>", "<eos>", "<mask>", "<unk>"), ("[CLS]", "[SEP]", "[MASK]", "[UNK]"))


class ResidueAlphabet:
    """The vocabulary of a model that has one token per residue.

    A letter that the vocabulary lacks (J everywhere; the rare ones in some) is read as X, an
    unknown residue, or where there is no X as the unknown token.

    Args:
        tokens: The tokens in the order of their ids.

    Raises:
        InputError: It has no standard residues, or no special tokens, or a token twice.
    """

    def __init__(self, tokens: Sequence[str]) -> None:
        self.tokens = tuple(tokens)
        self.ids = {token: number for number, token in enumerate(self.tokens)}
        if len(self.ids) < len(self.tokens):
            twice = sorted({one for one in self.tokens if self.tokens.count(one) > 1})
            raise InputError(f"the vocabulary has tokens twice: {twice[:5]}", fix=_MEND)
        if missing := [one for one in STANDARD if one not in self.ids]:
            raise InputError(
                f"the vocabulary lacks the residues {missing}, so it is not one of residues",
                fix="Name the folder of a protein language model.",
            )
        for specials in _SPECIALS:
            if all(one in self.ids for one in specials):
                break
        else:
            raise InputError(
                f"the vocabulary has neither {list(_SPECIALS[0])} nor {list(_SPECIALS[1])}",
                fix=_MEND,
            )
        self.start, self.end, self.mask, unknown = (self.ids[one] for one in specials)
        other = self.ids.get("X", unknown)
        self._id_of_byte = np.full(256, other, dtype=np.int64)
        for letter in RESIDUES:
            self._id_of_byte[ord(letter)] = self.ids.get(letter, other)

    @classmethod
    def read(cls, path: Path, vocabulary_size: int) -> "ResidueAlphabet":
        """Return the alphabet that a vocab.txt holds.

        Raises:
            InputError: There is no such file, or it does not fit the model.
        """
        if not path.is_file():
            raise InputError(
                f"there is no {path.name}, which says what each token is",
                fix="Copy it from where the weights are from, or name it with vocabulary=.",
                where=str(path.parent),
            )
        tokens = path.read_text(encoding="utf-8").split()
        if len(tokens) != vocabulary_size:
            raise InputError(
                f"it has {len(tokens)} tokens, and config.json says {vocabulary_size}",
                fix=_MEND,
                where=str(path),
            )
        try:
            return cls(tokens)
        except InputError as error:
            raise error.at(str(path)) from None

    def encode(self, sequence: str) -> Int[np.ndarray, " residue"]:
        """Return the id of each residue of a checked sequence, without start and end."""
        return self._id_of_byte[np.frombuffer(sequence.encode(), dtype=np.uint8)]


_MEND = "Copy the vocabulary and config.json again, from the same place as the weights."

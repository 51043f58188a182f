"""Molecules as canonical SMILES, one token per atom, bond, ring closure or branch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from rdkit import Chem, rdBase

from kagaku.errors import InputError
from kagaku.modalities.base import MODALITIES, Tokens
from kagaku.modalities.sequence import N_SPECIALS, Grammar, SequenceModality, sequence_tokens
from kagaku.modalities.smiles import END, START, TOKEN_ID, VOCABULARY, split_smiles
from kagaku.modalities.smiles_grammar import PartialSmiles
from kagaku.modalities.stored_config import restore_config


@dataclass(frozen=True)
class MoleculeConfig:
    """Settings of the molecule modality."""

    max_tokens: int = 4_000
    """Longest SMILES accepted, in tokens."""

    def __post_init__(self) -> None:
        """Check the settings once, where they are made."""
        if self.max_tokens <= 0:
            raise InputError(
                f"max_tokens must be positive, got {self.max_tokens}", fix="Set it to at least 1."
            )


@MODALITIES.register("molecule")
class Molecule(SequenceModality[str]):
    """Molecules (also salts, mixtures and ions) as SMILES.

    Args:
        config: Limits; see `MoleculeConfig`.
    """

    name: ClassVar[str] = "molecule"
    vocabulary_size: ClassVar[int] = len(VOCABULARY)

    config: MoleculeConfig

    def __init__(self, config: MoleculeConfig | None = None) -> None:
        self.config = config or MoleculeConfig()

    def check(self, value: str) -> str:
        """Return RDKit's canonical SMILES; every component, isotope, charge and stereo mark stays.

        Raises:
            InputError: RDKit cannot read it, or it is empty or too long.

        Example:
            >>> Molecule().check("[Na+].[O-]C(=O)C")
            'CC(=O)[O-].[Na+]'
        """
        text = value.strip()
        if not text:
            raise InputError("the SMILES is empty", fix="Drop the row or fill it in.")
        if len(text.split(maxsplit=1)) > 1:  # RDKit would drop the rest without a word
            raise InputError(
                f"{_shorten(text)!r} has something after the SMILES",
                fix="Put one SMILES in a cell, and names into their own column.",
            )
        if strange := [letter for letter in text if not "!" <= letter <= "~"]:
            raise InputError(
                f"{_shorten(text)!r} has the character {strange[0]!r}, which is not SMILES",
                fix="Type it again; a dash may have become a typographic one.",
            )
        if len(text) > 4 * self.config.max_tokens:
            raise InputError(
                f"the SMILES has {len(text)} characters, too long for {self.config.max_tokens} "
                "tokens",
                fix="Use the protein or text modality for polymers.",
            )
        with rdBase.BlockLogs():
            molecule = _read(text)
            why = "" if molecule is not None else _why_not(text)
        if molecule is None:
            raise InputError(
                f"{_shorten(text)!r} is not a molecule that RDKit can read{why}",
                fix="Correct the SMILES, or drop the row.",
            )
        canonical: str = Chem.MolToSmiles(molecule)
        if (n_tokens := len(split_smiles(canonical)) + 2) > self.config.max_tokens:
            raise InputError(
                f"the molecule has {n_tokens} tokens, more than {self.config.max_tokens}",
                fix="Use the protein or text modality for polymers.",
            )
        return canonical

    def tokenize(self, value: str) -> Tokens:
        """Return a start token, the tokens of the SMILES, and an end token."""
        return sequence_tokens([TOKEN_ID[token] for token in (START, *split_smiles(value), END)])

    def decode(self, ids: Sequence[int]) -> str:
        """Return the SMILES that tokens spell, leaving out start, end and mask; may be no molecule.

        Example:
            >>> Molecule().decode(Molecule().tokenize("C[C@@H](Cl)Br").ids[:, 0].tolist())
            'C[C@@H](Cl)Br'
        """
        return "".join(VOCABULARY[one] for one in ids if one >= N_SPECIALS)

    def grammar(self, most_tokens: int) -> Grammar:
        """Return what tells, token by token, what may come next in a SMILES."""
        return PartialSmiles(most_tokens)

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Restore the limits."""
        self.config = restore_config(MoleculeConfig, state, self.name)


def _read(smiles: str, *, sanitize: bool = True) -> Chem.Mol | None:
    """Return RDKit's molecule, or None; rdkit's own annotation forgets the None."""
    return Chem.MolFromSmiles(smiles, sanitize=sanitize)


def _why_not(smiles: str) -> str:
    """Return what RDKit objects to, as the end of a sentence."""
    molecule = _read(smiles, sanitize=False)
    if molecule is None:
        return " (a syntax error: look for unclosed rings, brackets and unknown letters)"
    problems = Chem.DetectChemistryProblems(molecule)
    return f" ({problems[0].Message()})" if problems else ""


def _shorten(text: str, length: int = 60) -> str:
    return text if len(text) <= length else text[: length - 3] + "..."

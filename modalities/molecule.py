"""Molecules as canonical SMILES, one token per atom, bond, ring closure or branch."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from rdkit import Chem, rdBase

from kagaku.errors import InputError
from kagaku.modalities.base import MODALITIES, Tokens
from kagaku.modalities.sequence import (
    N_SPECIALS,
    SequenceModality,
    sequence_tokens,
)
from kagaku.modalities.stored_config import restore_config

START, END, MASK = "<start>", "<end>", "<mask>"
SPECIALS = (START, END, MASK)

# Everything that may stand in a SMILES string outside brackets (the organic subset, bonds,
# branches, ring closures, the dot between components) and inside them (isotope digits, element,
# chirality, hydrogens, charge, atom map). Bracket atoms are spelt out, so that any isotope,
# charge or element has tokens. Source: http://opensmiles.org/opensmiles.html
_PERIODIC_TABLE = (
    "H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se "
    "Br Kr Rb Sr Y Zr Nb Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe Cs Ba La Ce Pr Nd Pm Sm Eu Gd Tb "
    "Dy Ho Er Tm Yb Lu Hf Ta W Re Os Ir Pt Au Hg Tl Pb Bi Po At Rn Fr Ra Ac Th Pa U Np Pu Am Cm "
    "Bk Cf Es Fm Md No Lr Rf Db Sg Bh Hs Mt Ds Rg Cn Nh Fl Mc Lv Ts Og"
)
_AROMATIC = ["b", "c", "n", "o", "p", "s", "se", "as", "te", "si"]
_SYMBOLS = [*"0123456789%()[]=#$:/\\.-+@*~>", "@@", "->", "<-"]
VOCABULARY = (*SPECIALS, *_SYMBOLS, *_PERIODIC_TABLE.split(), *_AROMATIC)
"""Every token; checkpoints depend on this order, so new tokens go at the end."""

_INDEX = {token: index for index, token in enumerate(VOCABULARY)}
_INSIDE = re.compile(
    "|".join(re.escape(t) for t in sorted(VOCABULARY[len(SPECIALS) :], key=len, reverse=True))
)
# Outside brackets only the organic subset may stand, so "Cn" is carbon and nitrogen there, not
# copernicium.
_OUTSIDE = re.compile(r"Br|Cl|[BCNOPSFI]|[bcnops]|->|<-|[0-9%()=#$:/\\.\-*~>]")
_BRACKET = re.compile(r"\[[^\]]*\]")


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


def split_smiles(smiles: str) -> list[str]:
    """Return the tokens of a SMILES string; joining them gives the string back.

    Raises:
        InputError: Something in it is not SMILES.

    Example:
        >>> split_smiles("C[C@@H](Cl)[13CH3]")
        ['C', '[', 'C', '@@', 'H', ']', '(', 'Cl', ')', '[', '1', '3', 'C', 'H', '3', ']']
    """
    # Most molecules have no bracket atoms, and one pass of the pattern is five times as fast as
    # going from token to token; what it does not know it leaves out.
    tokens: list[str] = [] if "[" in smiles else _OUTSIDE.findall(smiles)
    if tokens and "".join(tokens) == smiles:
        return tokens
    tokens, start = [], 0
    while start < len(smiles):
        if smiles[start] == "[" and (bracket := _BRACKET.match(smiles, start)):
            inner = _INSIDE.findall(bracket.group()[1:-1])
            if "".join(inner) != bracket.group()[1:-1]:
                raise InputError(f"{bracket.group()!r} is not a SMILES atom", fix="Correct it.")
            tokens += ["[", *inner, "]"]
            start = bracket.end()
        elif match := _OUTSIDE.match(smiles, start):
            tokens.append(match.group())
            start = match.end()
        else:
            raise InputError(
                f"{smiles[start]!r} at position {start + 1} is not SMILES", fix="Correct it."
            )
    return tokens


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
        return sequence_tokens([_INDEX[token] for token in (START, *split_smiles(value), END)])

    def decode(self, ids: Sequence[int]) -> str:
        """Return the SMILES that tokens spell, leaving out start, end and mask; may be no molecule.

        Example:
            >>> Molecule().decode(Molecule().tokenize("C[C@@H](Cl)Br").ids[:, 0].tolist())
            'C[C@@H](Cl)Br'
        """
        return "".join(VOCABULARY[one] for one in ids if one >= N_SPECIALS)

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

"""Variants of a protein: mutations as text, as sequences, and read back from aligned sequences."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from kagaku.errors import InputError
from kagaku.science_tasks.proteins.residue_scales import UNKNOWN, residue_codes

STOP = "*"
"""A mutation to a stop codon: the protein ends there."""

STOP_AS = "X"
"""What stands for a stop in a sequence, so that all variants keep one length: no modality reads
``*``, and a residue that nobody knows is what comes nearest."""

_MUTATION = re.compile(r"([A-Z])(-?\d+)([A-Z*_=])")


@dataclass(frozen=True)
class Mutation:
    """One substitution."""

    before: str
    """Residue of the wild type."""

    position: int
    """Its number as the source counts."""

    after: str
    """Residue of the variant; ``*`` for a stop."""


def parse_variant(text: str) -> tuple[Mutation, ...]:
    """Return the mutations of a variant such as ``"A24C:T51D"`` or ``"A24C,T51D"``.

    An empty text, ``WT`` or ``_wt`` is the wild type. ``=`` after a position means no change, and
    ``_`` is another spelling of a stop.

    Raises:
        InputError: A part is no substitution.

    Example:
        >>> parse_variant("A24C:T51*")[1]
        Mutation(before='T', position=51, after='*')
    """
    text = text.strip()
    if text.casefold() in {"", "wt", "_wt", "wild type"}:
        return ()
    found = []
    for part in re.split(r"[:,;\s]+", text):
        match = _MUTATION.fullmatch(part)
        if match is None:
            raise InputError(
                f"{part!r} is no substitution",
                fix="Write the residue before, its number and the residue after, such as A24C.",
                where=f"variant {text!r}",
            )
        before, position, after = match[1], int(match[2]), match[3]
        if after != "=" and after != before:
            found.append(Mutation(before, position, STOP if after == "_" else after))
    return tuple(found)


def mutate(wild_type: str, mutations: Sequence[Mutation], *, first: int = 1) -> str:
    """Return the sequence of a variant, with `STOP_AS` where it has a stop.

    Args:
        wild_type: The sequence before.
        mutations: What changes.
        first: Number that the source gives the first residue of ``wild_type``.

    Raises:
        InputError: A position lies outside, or the wild type has another residue there.
    """
    letters = list(wild_type)
    for one in mutations:
        index = one.position - first
        if not 0 <= index < len(letters):
            raise InputError(
                f"position {one.position} lies outside the wild type, which has residues {first} "
                f"to {first + len(letters) - 1}",
                fix="Check the numbering.",
                where=f"mutation {one.before}{one.position}{one.after}",
            )
        if wild_type[index] != one.before:
            raise InputError(
                f"the wild type has {wild_type[index]} at position {one.position}, not "
                f"{one.before}",
                fix="Check the numbering, or give the wild type that was mutated.",
                where=f"mutation {one.before}{one.position}{one.after}",
            )
        letters[index] = STOP_AS if one.after == STOP else one.after
    return "".join(letters)


@dataclass(frozen=True)
class Alignment:
    """Variants of one length, reduced to the positions at which any of them differ."""

    positions: Int[np.ndarray, " site"]
    """Index of each variable position in the sequence."""

    codes: Int[np.ndarray, "variant site"]
    """Residue there, as an index in `STANDARD`; `UNKNOWN` for a stop or any other letter."""

    consensus: Int[np.ndarray, " site"]
    """The commonest residue of the training variants: the wild type, where most are near it."""

    @property
    def changed(self) -> np.ndarray:
        """Which sites differ from the consensus, bool (variant, site)."""
        differs: np.ndarray = self.codes != self.consensus
        return differs


def align_variants(sequences: Sequence[str], train: Int[np.ndarray, " variant"]) -> Alignment:
    """Return variants of one protein, aligned as they stand.

    Args:
        sequences: All variants, training and test alike; their residues are no answers.
        train: Indices of the training variants, from which the consensus is taken.

    Raises:
        InputError: The sequences have several lengths.
    """
    lengths = {len(one) for one in sequences}
    if len(lengths) != 1:
        raise InputError(
            f"the variants have {len(lengths)} lengths, from {min(lengths)} to {max(lengths)}",
            fix="Align them: this method reads variants of one protein by position.",
        )
    codes = np.stack([residue_codes(one) for one in sequences]).astype(np.int8)
    varies = (codes != codes[0]).any(axis=0)
    codes = codes[:, varies].astype(np.int64)
    counts = np.stack([(codes[train] == one).sum(axis=0) for one in range(UNKNOWN + 1)])
    return Alignment(np.flatnonzero(varies), codes, counts.argmax(axis=0))

"""Substitutions in the usual notation, and what of a protein a model must see to judge them."""

import re
from dataclasses import dataclass

from kagaku.errors import InputError
from kagaku.models.public.alphabet import STANDARD

_SUBSTITUTION = re.compile(r"^([A-Za-z])(-?\d+)([A-Za-z])$")

METHODS = ("masked-marginals", "wild-type-marginals")
"""How zero-shot scores are made (Meier et al. 2021, https://doi.org/10.1101/2021.07.09.450648).

Both are the sum over the substituted positions of ln p(variant's residue) - ln p(wild type's).
Under ``"masked-marginals"`` all substituted positions of a variant are hidden from the model, one
pass per set of positions; under ``"wild-type-marginals"`` it sees the wild type, once for all."""


@dataclass(frozen=True)
class Substitution:
    """One residue for another."""

    place: int
    """Index of the residue in the sequence, from 0."""

    before: str
    """The wild type's residue."""

    after: str
    """The variant's residue."""


Variant = tuple[Substitution, ...]


def parse_variant(text: str, sequence: str, first_residue: int = 1) -> Variant:
    """Return the substitutions that a text such as ``"A42G:D51E"`` names.

    Args:
        text: Substitutions separated by colons.
        sequence: The wild type, checked.
        first_residue: The number that the sequence's first residue has in ``text``.

    Raises:
        InputError: The text is none of this form; a position is outside of the sequence or named
            twice; its wild-type residue is another; or a variant's residue is none of the standard
            twenty.

    Example:
        >>> parse_variant("K2R", "MKT")
        (Substitution(place=1, before='K', after='R'),)
    """
    found = [_parse_one(one.strip(), text, sequence, first_residue) for one in text.split(":")]
    places = [one.place for one in found]
    if twice := sorted({place + first_residue for place in places if places.count(place) > 1}):
        raise InputError(
            f"the variant {text!r} names position {twice[0]} twice",
            fix="Name each position once, with its last residue.",
        )
    return tuple(sorted(found, key=lambda one: one.place))


def _parse_one(one: str, whole: str, sequence: str, first_residue: int) -> Substitution:
    match = _SUBSTITUTION.match(one)
    if match is None:
        raise InputError(
            f"{whole!r} is no variant of substitutions",
            fix='Write them such as "A42G" or "A42G:D51E"; insertions and deletions have no score.',
        )
    before, number, after = match[1].upper(), int(match[2]), match[3].upper()
    place = number - first_residue
    if not 0 <= place < len(sequence):
        last = first_residue + len(sequence) - 1
        raise InputError(
            f"the variant {whole!r} is outside of the sequence, which has residues "
            f"{first_residue} to {last}",
            fix="Check the numbering; first_residue= says which number the sequence begins with.",
        )
    if sequence[place] != before:
        raise InputError(
            f"the variant {whole!r} says that residue {number} is {before}, and the sequence has "
            f"{sequence[place]} there",
            fix="Check that it is the same protein, and the numbering (first_residue=).",
        )
    if after not in STANDARD:
        raise InputError(
            f"the variant {whole!r} puts {after!r}, which is none of the 20 standard residues",
            fix=f"Choose from {STANDARD}.",
        )
    return Substitution(place, before, after)

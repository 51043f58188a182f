"""Atoms as SMILES writes them, without brackets and in them: what they may be bound to.

Grammar: http://opensmiles.org/opensmiles.html.
"""

from dataclasses import dataclass
from functools import cache
from itertools import pairwise

from rdkit import Chem

from kagaku.modalities.smiles import VOCABULARY

RINGS = "123456789"
"""Numbers of rings, and digits that a number in brackets begins with."""

ORGANIC = {"B": 3, "C": 4, "N": 3, "O": 2, "P": 5, "S": 6, "F": 1, "Cl": 1, "Br": 1, "I": 5}
"""Atoms that stand without brackets, and the most bonds that RDKit lets them have."""

AROMATIC = {"b": 2, "c": 3, "n": 3, "o": 2, "p": 3, "s": 2}
"""Aromatic atoms that stand without brackets, and the most neighbours that they have."""

AROMATIC_IN_BRACKETS = AROMATIC | {"b": 3, "as": 3, "se": 2, "si": 3, "te": 2}

ANY_VALENCE = 8
"""Room of a metal, which RDKit lets have any number of bonds."""

_ELEMENTS = frozenset(
    one for one in VOCABULARY if one[:1].isupper() and one not in AROMATIC_IN_BRACKETS
)


@dataclass(frozen=True)
class AtomKind:
    """What an atom is to a grammar."""

    room: int
    """Bonds that it can have beside its hydrogens; of an aromatic atom, neighbours."""

    is_aromatic: bool = False
    """Whether it is written in small letters."""

    may_double: bool = True
    """Whether a double bond may go from it."""

    def after(self, order: int) -> int | None:
        """Return the room left after a first bond; None where it cannot have that bond."""
        if self.is_aromatic and order > (2 if self.may_double else 1):
            return None
        left = self.room - (1 if self.is_aromatic else order)
        return None if left < 0 else left


@cache
def leads_to_an_atom(written: tuple[str, ...], order: int | None, needs_room: bool) -> bool:
    """Return whether an atom in brackets that begins so can have its first bond.

    Args:
        written: What stands behind the opening bracket.
        order: Of the first bond; None without one.
        needs_room: Whether there must be room for another.
    """
    if written[-1] == "]":
        kind = in_brackets(written[:-1])
        left = kind.room if order is None else kind.after(order)
        return left is not None and left >= int(needs_room)
    if all(word.isdigit() for word in written):
        return True
    return any(
        leads_to_an_atom((*written, one), order, needs_room)
        for one in may_follow_in_brackets(written)
    )


@cache
def may_follow_in_brackets(written: tuple[str, ...]) -> list[str]:
    """Return what may follow inside a bracket atom: isotope, symbol, chirality, H, charge."""
    stage, n_digits = "isotope", 0
    for word in written:
        if stage == "isotope" and word.isdigit():
            n_digits += 1
        elif stage == "isotope":
            stage = "symbol" if word in _ELEMENTS else "aromatic"
        elif word.startswith("@"):
            stage = "chiral"
        elif word == "H":
            stage = "hydrogen"
        elif word in "+-":
            stage = "charge" if stage != "charge" else "charges"
        else:
            stage = "hydrogens" if stage == "hydrogen" else "charges"
    charges = ["+", "-", "]"]
    if stage == "isotope":
        digits = ["0"] if n_digits else []
        return [*_ELEMENTS, *AROMATIC_IN_BRACKETS, *([*digits, *RINGS] if n_digits < 3 else [])]
    return {
        "symbol": ["@", "@@", "H", *charges],
        "aromatic": ["H", *charges],
        "chiral": ["H", *charges],
        "hydrogen": ["2", "3", "4", *charges],
        "hydrogens": charges,
        "charge": [written[-1], "2", "3", "4", "]"],
        "charges": ["]"],
    }[stage]


@cache
def outside_brackets(word: str) -> AtomKind:
    """Return what an atom without brackets is."""
    if word in AROMATIC:
        return AtomKind(AROMATIC[word], is_aromatic=True, may_double=word == "c")
    return AtomKind(ORGANIC[word])


@cache
def in_brackets(written: tuple[str, ...]) -> AtomKind:
    """Return what an atom in brackets is."""
    words = list(written)
    while words[0].isdigit():
        words.pop(0)
    symbol, rest = words[0], words[1:]
    hydrogens = charge = 0
    for word, following in pairwise([*rest, ""]):
        number = int(following) if following.isdigit() else 1
        if word == "H":
            hydrogens = number
        elif word in {"+", "-"}:
            charge += number if word == "+" else -number
    if symbol in AROMATIC_IN_BRACKETS:
        may_double = symbol == "c" or (symbol == "n" and charge > 0)
        return AtomKind(AROMATIC_IN_BRACKETS[symbol] - hydrogens, True, may_double)
    return AtomKind(_valence(symbol, charge) - hydrogens)


@cache
def _valence(symbol: str, charge: int) -> int:
    """Return the most bonds of an atom: those of the element with as many electrons."""
    table = Chem.GetPeriodicTable()
    number = table.GetAtomicNumber(symbol)
    if -1 in table.GetValenceList(number):
        return ANY_VALENCE
    electrons = number - charge
    if electrons < 1:
        return 0
    valences = list(table.GetValenceList(electrons))
    return ANY_VALENCE if -1 in valences else max(valences)

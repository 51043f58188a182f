"""What may come next in a SMILES: branches and rings that close, and valences that hold.

A generator that is asked for such tokens alone writes far fewer strings that are no molecule. It is
no promise: whether rings of aromatic atoms have a Kekulé structure shows only when all is written.
Grammar: http://opensmiles.org/opensmiles.html.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from kagaku.modalities.smiles import END, TOKEN_ID, VOCABULARY
from kagaku.modalities.smiles_atoms import (
    AROMATIC,
    ORGANIC,
    RINGS,
    AtomKind,
    in_brackets,
    leads_to_an_atom,
    may_follow_in_brackets,
    outside_brackets,
)

BONDS = {"-": 1, "/": 1, "\\": 1, "=": 2, "#": 3}

SLACK = 4
"""So many tokens before the last that the rest needs, nothing new is begun."""


@dataclass(frozen=True)
class _Bond:
    """A bond that has been written, and waits for its atom or ring."""

    order: int
    is_written: bool


class PartialSmiles:
    """The beginning of a SMILES.

    Rings are numbered from 1 to 9, as in canonical SMILES of molecules with fewer than ten rings
    open at a time; atom maps, quadruple and dative bonds are not written.

    Args:
        most_tokens: Longest value, with start and end, so that all is closed in time.

    Example:
        >>> begun = PartialSmiles(40)
        >>> for token in ("O", "="):
        ...     begun.add(VOCABULARY.index(token))
        >>> [VOCABULARY[one] for one in begun.allowed()]
        ['[', 'B', 'C', 'N', 'O', 'P', 'S', 'I', 'c']
    """

    def __init__(self, most_tokens: int) -> None:
        self._left = most_tokens - 1
        self._room: list[int] = []
        """By atom, how many more bonds it can have; of an aromatic one, neighbours."""
        self._is_aromatic: list[bool] = []
        self._may_double: list[bool] = []
        """By atom, whether a double bond may go from it; from aromatic carbon one, as in c(=O)."""
        self._bonded: set[tuple[int, int]] = set()
        self._current: int | None = None
        """The atom to which the next is bound."""
        self._branches: list[int] = []
        """Atoms at which the open branches begin."""
        self._rings: dict[str, tuple[int, _Bond]] = {}
        """By number, the atom and the bond of each open ring."""
        self._bond: int | None = None
        self._last = "start"
        """What was written last: start, atom, bond, open, close, bracket or ring."""
        self._is_after_atom = False
        """Whether a ring can still be written, as it can until a branch begins."""
        self._bracket: list[str] = []

    def allowed(self) -> list[int]:
        """Return the ids of the tokens that may come next; empty where nothing can mend it."""
        found = self._in_bracket() if self._last == "bracket" else self._next()
        if self._left > self._needed() + SLACK:
            return self._ids(found)
        closing = [one for one in found if one in {")", "]", END} or one in self._rings]
        plain = [one for one in found if one == "C"]
        return self._ids(closing or plain or found)

    def add(self, token: int) -> None:
        """Write a token; one that is not allowed is taken as well as can be."""
        self._left -= 1
        word = VOCABULARY[token]
        if self._last == "bracket":
            self._bracket.append(word)
            if word == "]":
                self._place(in_brackets(tuple(self._bracket[:-1])))
        elif word == "[":
            self._bracket, self._last = [], "bracket"
        elif word in BONDS:
            self._bond, self._last = BONDS[word], "bond"
        elif word in RINGS:
            self._ring(word)
        elif word == "(" and self._current is not None:
            self._branches.append(self._current)
            self._last, self._is_after_atom = "open", False
        elif word == ")" and self._branches:
            self._current, self._last = self._branches.pop(), "close"
            self._is_after_atom = False
        elif word == ".":
            self._current, self._last = None, "start"
        elif word in ORGANIC or word in AROMATIC:
            self._place(outside_brackets(word))

    @staticmethod
    def _ids(words: Sequence[str]) -> list[int]:
        return sorted(TOKEN_ID[one] for one in words)

    def _needed(self) -> int:
        """Return how many tokens it takes to close all, rings at new atoms, and to end."""
        return len(self._branches) + 2 * len(self._rings) + 1

    def _next(self) -> list[str]:
        """Return what may come next outside brackets."""
        order = self._bond or 1
        has_room = self._current is None or self._cost(self._current, order) <= self._free()
        atoms = [
            one
            for one in (*ORGANIC, *AROMATIC)
            if has_room and self._fits(outside_brackets(one), order)
        ]
        found = [*atoms, *(["["] if has_room else [])]
        if self._last == "start":
            return found
        if self._is_after_atom:
            found += [one for one in RINGS if self._can_ring(one, order)]
        if self._last == "bond":
            return found
        found += [one for one in BONDS if self._can_bond(BONDS[one])]
        if self._last == "open":
            return found
        if self._free() >= 1:
            found.append("(")
        if self._branches and self._can_go_on(self._branches[-1], self._branches[:-1]):
            found.append(")")
        if not self._branches and not self._rings:
            found += [".", END]
        return found

    def _free(self) -> int:
        return 0 if self._current is None else self._room[self._current]

    def _cost(self, atom: int, order: int) -> int:
        """Return how much of an atom's room a bond takes."""
        return 1 if self._is_aromatic[atom] else order

    def _fits(self, kind: AtomKind, order: int) -> bool:
        """Return whether an atom can be bound by the bond at hand, and all can still be closed."""
        room = kind.room if self._current is None else kind.after(order)
        if room is None:
            return False
        return not self._rings or room >= 1 or self._path_has_room(order)

    def _path_has_room(self, taken: int) -> bool:
        """Return whether an atom that can be come back to has room, after a bond of the current."""
        rooms = {one: self._room[one] for one in self._branches}
        if self._current in rooms:
            rooms[self._current] -= self._cost(self._current, taken)
        return any(room >= 1 for room in rooms.values())

    def _can_go_on(self, current: int, branches: Sequence[int]) -> bool:
        """Return whether open rings can be closed from an atom or from where branches begin."""
        return not self._rings or any(self._room[one] >= 1 for one in (current, *branches))

    def _can_bond(self, order: int) -> bool:
        if self._current is None or not self._can_be_of(self._current, order):
            return False
        return self._cost(self._current, order) <= self._free()

    def _can_be_of(self, atom: int, order: int) -> bool:
        """Return whether an atom may have a bond of that order, if it has room."""
        if self._is_aromatic[atom]:
            return order == 1 or (order == 2 and self._may_double[atom])
        return True

    def _can_ring(self, number: str, order: int) -> bool:
        """Return whether a ring of that number can be opened or closed at the current atom."""
        current = self._current
        if current is None or not self._can_be_of(current, order):
            return False
        if number not in self._rings:
            left = self._free() - self._cost(current, order)
            return left >= 1 or (left == 0 and any(self._room[one] >= 1 for one in self._branches))
        atom, bond = self._rings[number]
        written = self._bond is not None
        if atom == current or (min(atom, current), max(atom, current)) in self._bonded:
            return False
        if written and bond.is_written and bond.order != order:
            return False
        order = max(order, bond.order)
        more = self._cost(atom, order) - self._cost(atom, bond.order)
        left = self._free() - self._cost(current, order)
        if left < 0 or self._room[atom] < more:
            return False
        if not (self._can_be_of(atom, order) and self._can_be_of(current, order)):
            return False
        others = len(self._rings) > 1
        return not others or left >= 1 or any(self._room[one] >= 1 for one in self._branches)

    def _place(self, kind: AtomKind) -> None:
        """Write an atom."""
        number = len(self._room)
        self._room.append(kind.room)
        self._is_aromatic.append(kind.is_aromatic)
        self._may_double.append(kind.may_double)
        if self._current is not None:
            self._bind(self._current, number, self._bond or 1)
        self._current, self._bond, self._last = number, None, "atom"
        self._is_after_atom = True

    def _ring(self, number: str) -> None:
        """Open a ring at the current atom, or close it there."""
        if self._current is None:
            return
        bond = _Bond(self._bond or 1, self._bond is not None)
        if number not in self._rings:
            self._rings[number] = (self._current, bond)
            self._room[self._current] -= self._cost(self._current, bond.order)
        else:
            atom, opened = self._rings.pop(number)
            self._room[atom] += self._cost(atom, opened.order)
            self._bind(atom, self._current, max(bond.order, opened.order))
        self._bond, self._last = None, "ring"

    def _bind(self, one: int, other: int, order: int) -> None:
        self._bonded.add((min(one, other), max(one, other)))
        for atom in (one, other):
            self._room[atom] -= self._cost(atom, order)
            if order == 2:
                self._may_double[atom] = False

    def _in_bracket(self) -> list[str]:
        """Return what may come next inside a bracket atom, so that it can become one that fits."""
        order = None if self._current is None else self._bond or 1
        needs_room = bool(self._rings) and not self._path_has_room(order or 0)
        written = tuple(self._bracket)
        return [
            one
            for one in may_follow_in_brackets(written)
            if leads_to_an_atom((*written, one), order, needs_room)
        ]

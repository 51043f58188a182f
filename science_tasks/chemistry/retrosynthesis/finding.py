"""The edit that a known reaction did, found from its two sides and tried on them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice, permutations

from rdkit import Chem

from kagaku.science_tasks.chemistry.retrosynthesis.applying import (
    applied,
    is_centre,
    neighbours,
    turn,
)
from kagaku.science_tasks.chemistry.retrosynthesis.edits import (
    INVERSION,
    LOSS,
    MOST_ATOMS,
    RETENTION,
    UNSEEN,
    Edit,
    EditedAtom,
    EditedBond,
)

MOST_ORDERS = 720
"""Orders of like atoms that are compared to write an edit in one way only."""


LOST = -1
"""In place of a wanted atom, for a given one that what is wanted lacks."""


def edit_between(
    given: Chem.Mol, wanted: Chem.Mol, pairs: Sequence[int], *, keeps_all: bool = True
) -> tuple[Edit, tuple[int, ...]] | None:
    """Return the edit that a reaction did, and the given atoms that it was done to.

    The edit is tried: what is returned gives what is wanted. Atoms of no element (``*``) and
    atom numbers are for the groups of edits, so a reaction that has either is not looked at.

    Args:
        given: The side that the edit is done to, all of it in one molecule.
        wanted: The other side.
        pairs: For each given atom the wanted one, or `LOST`.
        keeps_all: See `Edit.keeps_all`; False where anything may be lost.
    """
    if any(
        atom.GetAtomicNum() == 0 or atom.GetAtomMapNum()
        for side in (given, wanted)
        for atom in side.GetAtoms()
    ):
        return None
    change = _Change(given, wanted, tuple(pairs))
    site = _named(change)
    if not site:
        return None
    smiles = Chem.MolToSmiles(wanted)
    edit, own = _written(change, site)
    edit = replace(edit, keeps_all=keeps_all)
    # Unseen first would call an inversion so, too.
    has_centre = any(
        is_centre(given.GetAtomWithIdx(here)) for here in own if not change.is_lost(here)
    )
    stereos = (RETENTION, INVERSION, LOSS) if has_centre else (UNSEEN,)
    ways = (replace(edit, stereo=stereo) for stereo in stereos)
    return next(((way, own) for way in ways if applied(way, given, own) == smiles), None)


@dataclass(frozen=True)
class _Change:
    """Both sides of a reaction, told of by given atoms.

    What stands beside an atom is told by one number for either side: that of the wanted atom, or
    for a lost one a number below zero.
    """

    given: Chem.Mol
    wanted: Chem.Mol
    pairs: tuple[int, ...]

    def is_lost(self, here: int) -> bool:
        return self.pairs[here] == LOST

    @property
    def missing(self) -> list[int]:
        """The wanted atoms that are not given."""
        return sorted(set(range(self.wanted.GetNumAtoms())) - set(self.pairs))

    def bonds_before(self, here: int) -> dict[int, int]:
        """Return the type of the bond to each neighbour in what is given."""
        return {
            self._number(bond.GetOtherAtomIdx(here)): int(bond.GetBondType())
            for bond in self.given.GetAtomWithIdx(here).GetBonds()
        }

    def bonds_after(self, here: int) -> dict[int, int]:
        """Return the type of the bond to each neighbour in what is wanted."""
        if self.is_lost(here):
            return {other: kind for other, kind in self.bonds_before(here).items() if other < 0}
        there = self.pairs[here]
        return {
            bond.GetOtherAtomIdx(there): int(bond.GetBondType())
            for bond in self.wanted.GetAtomWithIdx(there).GetBonds()
        }

    def bond(self, here: int, other: int) -> tuple[int, int]:
        """Return the types of the bond between two given atoms, before and after."""
        number = self._number(other)
        return self.bonds_before(here).get(number, 0), self.bonds_after(here).get(number, 0)

    def element(self, number: int) -> int:
        """Return the atomic number of a neighbour, by its number."""
        if number < 0:
            return int(self.given.GetAtomWithIdx(-1 - number).GetAtomicNum())
        return int(self.wanted.GetAtomWithIdx(number).GetAtomicNum())

    def atom(self, here: int) -> EditedAtom:
        """Return what became of a given atom."""
        atom = self.given.GetAtomWithIdx(here)
        kind = atom.GetAtomicNum(), atom.GetIsAromatic(), atom.GetFormalCharge()
        if self.is_lost(here):
            return EditedAtom(*kind, 0, 0, is_lost=True)
        other = self.wanted.GetAtomWithIdx(self.pairs[here])
        return EditedAtom(
            *kind,
            other.GetTotalNumHs() - atom.GetTotalNumHs(),
            other.GetFormalCharge() - atom.GetFormalCharge(),
        )

    def _number(self, here: int) -> int:
        return -1 - here if self.is_lost(here) else self.pairs[here]


def _named(change: _Change) -> tuple[int, ...] | None:
    """Return the given atoms that changed, joined by those between; None if too many."""
    kept = [here for here in range(len(change.pairs)) if not change.is_lost(here)]
    assert len({change.pairs[here] for here in kept}) == len(kept), "an atom is paired twice"
    changed = set()
    for here in kept:
        before, after, atom = change.bonds_before(here), change.bonds_after(here), change.atom(here)
        if before != after or atom.hydrogens or atom.charges:
            changed.add(here)
            changed.update(-1 - number for number in before if number < 0)
    if len(changed) > MOST_ATOMS:
        return None
    found = _joined_up(change.given, changed)
    return found if len(found) <= MOST_ATOMS else None


def _joined_up(molecule: Chem.Mol, atoms: set[int]) -> tuple[int, ...]:
    """Return atoms of one molecule with those on the shortest ways between them."""
    todo = sorted(atoms)
    together = set(todo[:1])
    for atom in todo[1:]:
        if atom in together or any(
            other.GetIdx() in together for other in molecule.GetAtomWithIdx(atom).GetNeighbors()
        ):
            together.add(atom)
            continue
        ways = [tuple(Chem.GetShortestPath(molecule, atom, one)) for one in sorted(together)]
        # No way leads to another component.
        together.update(min(((len(way), way) for way in ways if way), default=(0, (atom,)))[1])
    return tuple(sorted(together))


def _written(change: _Change, site: tuple[int, ...]) -> tuple[Edit, tuple[int, ...]]:
    """Return the edit of some atoms in the one order that it is always written in."""
    missing = change.missing
    alone = {here: _invariant(change, here, set(missing)) for here in site}
    orders = islice(_orders(alone), MOST_ORDERS)
    return min((_edit_of(change, order, missing), order) for order in orders)


def _orders(alone: dict[int, tuple[object, ...]]) -> Iterator[tuple[int, ...]]:
    """Yield every order of atoms in which those go first that are less by themselves."""
    levels = [
        [atom for atom in sorted(alone) if alone[atom] == level]
        for level in sorted(set(alone.values()), key=repr)
    ]

    def behind(start: tuple[int, ...], rest: list[list[int]]) -> Iterator[tuple[int, ...]]:
        if not rest:
            yield start
            return
        for way in permutations(rest[0]):
            yield from behind((*start, *way), rest[1:])

    yield from behind((), levels)


def _invariant(change: _Change, here: int, missing: set[int]) -> tuple[object, ...]:
    """Return what is known of a named atom without an order."""
    before, after = change.bonds_before(here), change.bonds_after(here)
    changes = sorted(
        (before.get(one, 0), after.get(one, 0), change.element(one))
        for one in {*before, *after}
        if before.get(one, 0) != after.get(one, 0)
    )
    hung = sorted((after[one], change.element(one)) for one in set(after) & missing)
    return (change.atom(here), tuple(changes), tuple(hung))


def _edit_of(change: _Change, order: tuple[int, ...], missing: Sequence[int]) -> Edit:
    bonds = []
    for second, here in enumerate(order):
        for first, other in enumerate(order[:second]):
            before, after = change.bond(here, other)
            if before or after:
                bonds.append(EditedBond(first, second, before, after))
    place = {
        change.pairs[here]: number for number, here in enumerate(order) if not change.is_lost(here)
    }
    return Edit(
        tuple(change.atom(here) for here in order),
        tuple(sorted(bonds)),
        _groups(change.wanted, missing, place),
    )


def _groups(wanted: Chem.Mol, missing: Sequence[int], place: dict[int, int]) -> str:
    """Return the SMILES of atoms that are not given, with dummies for those they are on."""
    if not missing:
        return ""
    found = Chem.RWMol(wanted)
    kept = set(missing)
    for atom in missing:
        before = neighbours(found, atom)
        for other in before:
            if other not in kept:
                dummy = Chem.Atom(0)
                dummy.SetAtomMapNum(place[other] + 1)
                kind = wanted.GetBondBetweenAtoms(atom, other).GetBondType()
                entered = found.AddAtom(dummy)
                found.RemoveBond(atom, other)
                found.AddBond(atom, entered, kind)
                replaced = [entered if one == other else one for one in before]
                turn(found.GetAtomWithIdx(atom), replaced, neighbours(found, atom))
                before = neighbours(found, atom)
    found.BeginBatchEdit()
    for number in range(wanted.GetNumAtoms()):
        if number not in kept:
            found.RemoveAtom(number)
    found.CommitBatchEdit()
    return str(Chem.MolToSmiles(found))

"""The edit that a known reaction did, found from its two sides and tried on them."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
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


def edit_between(
    molecule: Chem.Mol, reactants: Chem.Mol, pairs: Sequence[int]
) -> tuple[Edit, tuple[int, ...]] | None:
    """Return the edit that a reaction did, and the product's atoms that it was done to.

    The edit is tried: what is returned gives the reactants back. Atoms of no element (``*``) and
    atom numbers are for the groups of edits, so a reaction that has either is not looked at.

    Args:
        molecule: The product.
        reactants: All of them in one molecule.
        pairs: For each atom of the product, its atom in the reactants.
    """
    if any(
        atom.GetAtomicNum() == 0 or atom.GetAtomMapNum()
        for side in (molecule, reactants)
        for atom in side.GetAtoms()
    ):
        return None
    site = _named(molecule, reactants, pairs)
    if not site:
        return None
    wanted = Chem.MolToSmiles(reactants)
    edit, own = _written(molecule, reactants, pairs, site)
    # Unseen first would call an inversion so, too.
    has_centre = any(is_centre(molecule.GetAtomWithIdx(here)) for here in own)
    stereos = (RETENTION, INVERSION, LOSS) if has_centre else (UNSEEN,)
    ways = (replace(edit, stereo=stereo) for stereo in stereos)
    return next(((way, own) for way in ways if applied(way, molecule, own) == wanted), None)


def _kind(bond: Chem.Bond | None) -> int:
    return 0 if bond is None else int(bond.GetBondType())


def _named(molecule: Chem.Mol, reactants: Chem.Mol, pairs: Sequence[int]) -> tuple[int, ...] | None:
    """Return the product's atoms that changed, joined by those between; None if too many."""
    back = {there: here for here, there in enumerate(pairs)}
    changed = set()
    for here, there in enumerate(pairs):
        atom, other = molecule.GetAtomWithIdx(here), reactants.GetAtomWithIdx(there)
        before = {
            pairs[bond.GetOtherAtomIdx(here)]: int(bond.GetBondType()) for bond in atom.GetBonds()
        }
        after = {bond.GetOtherAtomIdx(there): int(bond.GetBondType()) for bond in other.GetBonds()}
        if (
            before != after
            or atom.GetTotalNumHs() != other.GetTotalNumHs()
            or atom.GetFormalCharge() != other.GetFormalCharge()
        ):
            changed.add(here)
    assert len(back) == len(pairs), "an atom of the reactants is paired twice"
    if len(changed) > MOST_ATOMS:
        return None
    found = _joined_up(molecule, changed)
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


def _written(
    molecule: Chem.Mol, reactants: Chem.Mol, pairs: Sequence[int], site: tuple[int, ...]
) -> tuple[Edit, tuple[int, ...]]:
    """Return the edit of some atoms in the one order that it is always written in."""
    missing = sorted(set(range(reactants.GetNumAtoms())) - set(pairs))
    alone = {here: _invariant(molecule, reactants, pairs, here, set(missing)) for here in site}
    orders = islice(_orders(alone), MOST_ORDERS)
    return min((_edit_of(molecule, reactants, pairs, order, missing), order) for order in orders)


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


def _atom(molecule: Chem.Mol, reactants: Chem.Mol, here: int, there: int) -> EditedAtom:
    atom, other = molecule.GetAtomWithIdx(here), reactants.GetAtomWithIdx(there)
    return EditedAtom(
        atom.GetAtomicNum(),
        atom.GetIsAromatic(),
        atom.GetFormalCharge(),
        other.GetTotalNumHs() - atom.GetTotalNumHs(),
        other.GetFormalCharge() - atom.GetFormalCharge(),
    )


def _invariant(
    molecule: Chem.Mol, reactants: Chem.Mol, pairs: Sequence[int], here: int, missing: set[int]
) -> tuple[object, ...]:
    """Return what is known of a named atom without an order."""
    there = pairs[here]
    before = {
        pairs[bond.GetOtherAtomIdx(here)]: int(bond.GetBondType())
        for bond in molecule.GetAtomWithIdx(here).GetBonds()
    }
    after = {
        bond.GetOtherAtomIdx(there): int(bond.GetBondType())
        for bond in reactants.GetAtomWithIdx(there).GetBonds()
    }
    changes = sorted(
        (before.get(one, 0), after.get(one, 0), reactants.GetAtomWithIdx(one).GetAtomicNum())
        for one in {*before, *after}
        if before.get(one, 0) != after.get(one, 0)
    )
    hung = sorted(
        (after[one], reactants.GetAtomWithIdx(one).GetAtomicNum()) for one in set(after) & missing
    )
    return (_atom(molecule, reactants, here, there), tuple(changes), tuple(hung))


def _edit_of(
    molecule: Chem.Mol,
    reactants: Chem.Mol,
    pairs: Sequence[int],
    order: tuple[int, ...],
    missing: Sequence[int],
) -> Edit:
    bonds = []
    for second, here in enumerate(order):
        for first, other in enumerate(order[:second]):
            before = _kind(molecule.GetBondBetweenAtoms(here, other))
            after = _kind(reactants.GetBondBetweenAtoms(pairs[here], pairs[other]))
            if before or after:
                bonds.append(EditedBond(first, second, before, after))
    place = {pairs[here]: number for number, here in enumerate(order)}
    return Edit(
        tuple(_atom(molecule, reactants, here, pairs[here]) for here in order),
        tuple(sorted(bonds)),
        _groups(reactants, missing, place),
    )


def _groups(reactants: Chem.Mol, missing: Sequence[int], place: dict[int, int]) -> str:
    """Return the SMILES of atoms that the product lacks, with dummies for those they are on."""
    if not missing:
        return ""
    found = Chem.RWMol(reactants)
    kept = set(missing)
    for atom in missing:
        before = neighbours(found, atom)
        for other in before:
            if other not in kept:
                dummy = Chem.Atom(0)
                dummy.SetAtomMapNum(place[other] + 1)
                kind = reactants.GetBondBetweenAtoms(atom, other).GetBondType()
                entered = found.AddAtom(dummy)
                found.RemoveBond(atom, other)
                found.AddBond(atom, entered, kind)
                replaced = [entered if one == other else one for one in before]
                turn(found.GetAtomWithIdx(atom), replaced, neighbours(found, atom))
                before = neighbours(found, atom)
    found.BeginBatchEdit()
    for number in range(reactants.GetNumAtoms()):
        if number not in kept:
            found.RemoveAtom(number)
    found.CommitBatchEdit()
    return str(Chem.MolToSmiles(found))

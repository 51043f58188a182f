"""What a reaction did to a product's atoms, read backwards, apart from where it did it.

An edit names the few atoms that a reaction changed: which bonds between them were made, what they
lost, and the groups that were there instead. Done to other atoms of the same kind it gives the
reactants of another product: a reaction template of radius zero, as in LocalRetro (Chen and Jung
2021, https://doi.org/10.1021/jacsau.1c00246). What stands around the atoms is for others to judge.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice, permutations, product

from rdkit import Chem, rdBase

from kagaku.science_tasks.chemistry.cuts import read

MOST_ATOMS = 10
"""Atoms that an edit names at most; reactions that change more are left out."""

MOST_ORDERS = 720
"""Orders of like atoms that are compared to write an edit in one way only."""

KEEP, INVERT, DROP = "keep", "invert", "drop"
"""What happens to a named atom that is a stereocentre: its substituent is replaced from the same
side, from the other one, or the centre is lost."""


@dataclass(frozen=True, order=True)
class EditedAtom:
    """One atom that an edit names."""

    element: int
    """Atomic number."""

    is_aromatic: bool
    """Whether it is aromatic in the product."""

    charge: int
    """Formal charge in the product."""

    hydrogens: int
    """Hydrogens that the reactant has more than the product."""

    charges: int
    """Formal charge that the reactant has more."""


@dataclass(frozen=True, order=True)
class EditedBond:
    """The bond between two named atoms; RDKit's bond types, 0 for none."""

    first: int
    second: int
    before: int
    """In the product."""

    after: int
    """In the reactants."""


@dataclass(frozen=True, order=True)
class Pattern:
    """Which atoms of a product an edit can be done to."""

    atoms: tuple[tuple[int, bool, int, int], ...]
    """Of each atom its element, whether it is aromatic, its charge and the fewest hydrogens."""

    bonds: tuple[tuple[int, int, int], ...]
    """Both atoms and the type of each bond between them."""

    def query(self) -> Chem.Mol:
        """Return what RDKit looks for, its atoms in this order."""
        found = Chem.RWMol()
        for element, is_aromatic, charge, fewest in self.atoms:
            has_hydrogen = "".join(f";!H{count}" for count in range(fewest))
            letter = "a" if is_aromatic else "A"
            found.AddAtom(Chem.AtomFromSmarts(f"[#{element};{letter};{charge:+d}{has_hydrogen}]"))
        for first, second, kind in self.bonds:
            found.AddBond(first, second, Chem.BondType.values[kind])
        query = found.GetMol()
        query.UpdatePropertyCache(strict=False)
        return query


@dataclass(frozen=True, order=True)
class Edit:
    """A change from a product to its reactants."""

    atoms: tuple[EditedAtom, ...]
    bonds: tuple[EditedBond, ...]
    groups: str
    """SMILES of what the product lacks; dummy atoms number, from 1, the named atoms it is on."""

    stereo: str = KEEP

    @property
    def pattern(self) -> Pattern:
        """Which atoms it can be done to."""
        return Pattern(
            tuple(
                (one.element, one.is_aromatic, one.charge, max(0, -one.hydrogens))
                for one in self.atoms
            ),
            tuple((one.first, one.second, one.before) for one in self.bonds if one.before),
        )

    def applied(self, molecule: Chem.Mol, site: Sequence[int]) -> str | None:
        """Return the canonical SMILES of the reactants; None where one is no molecule.

        Args:
            molecule: The product.
            site: Its atom for each named atom.
        """
        with rdBase.BlockLogs():
            try:
                return _canonical(_edited(molecule, site, self))
            except (Chem.MolSanitizeException, RuntimeError, ValueError):
                return None


def edit_between(
    molecule: Chem.Mol, reactants: Chem.Mol, pairs: Sequence[int]
) -> tuple[Edit, tuple[int, ...]] | None:
    """Return the edit that a reaction did, and the product's atoms that it was done to.

    The edit is tried: what is returned gives the reactants back.

    Args:
        molecule: The product.
        reactants: All of them in one molecule.
        pairs: For each atom of the product, its atom in the reactants.
    """
    site = _named(molecule, reactants, pairs)
    if site is None or not site:
        return None
    wanted = Chem.MolToSmiles(reactants)
    with rdBase.BlockLogs():
        try:
            ordered = _written(molecule, reactants, pairs, site)
        except (Chem.MolSanitizeException, RuntimeError, ValueError):
            return None
    if ordered is None:
        return None
    edit, own = ordered
    ways = (replace(edit, stereo=stereo) for stereo in (KEEP, INVERT, DROP))
    return next(((way, own) for way in ways if way.applied(molecule, own) == wanted), None)


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
) -> tuple[Edit, tuple[int, ...]] | None:
    """Return the edit of some atoms in the one order that it is always written in."""
    missing = sorted(set(range(reactants.GetNumAtoms())) - set(pairs))
    alone = {here: _invariant(molecule, reactants, pairs, here, set(missing)) for here in site}
    best: tuple[Edit, tuple[int, ...]] | None = None
    for order in islice(_orders(alone), MOST_ORDERS):
        edit = _edit_of(molecule, reactants, pairs, order, missing)
        if best is None or edit < best[0]:
            best = edit, order
    return best


def _orders(alone: dict[int, tuple[object, ...]]) -> Iterator[tuple[int, ...]]:
    """Yield every order of atoms in which those go first that are less by themselves."""
    levels = [
        [atom for atom in sorted(alone) if alone[atom] == level]
        for level in sorted(set(alone.values()), key=repr)
    ]
    for one in product(*(permutations(level) for level in levels)):
        yield tuple(atom for level in one for atom in level)


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
    for atom in missing:
        for bond in reactants.GetAtomWithIdx(atom).GetBonds():
            other = bond.GetOtherAtomIdx(atom)
            if other in place:
                dummy = Chem.Atom(0)
                dummy.SetAtomMapNum(place[other] + 1)
                found.AddBond(atom, found.AddAtom(dummy), bond.GetBondType())
    kept = set(missing)
    found.BeginBatchEdit()
    for number in range(reactants.GetNumAtoms()):
        if number not in kept:
            found.RemoveAtom(number)
    found.CommitBatchEdit()
    return str(Chem.MolToSmiles(found))


def _edited(molecule: Chem.Mol, site: Sequence[int], edit: Edit) -> Chem.RWMol:
    """Return the product with an edit done to some of its atoms."""
    centres = [
        here
        for here in site
        if molecule.GetAtomWithIdx(here).GetChiralTag() != Chem.ChiralType.CHI_UNSPECIFIED
    ]
    if centres:
        molecule = Chem.AddHs(molecule, onlyOnAtoms=centres)
    own = Chem.RWMol(molecule)
    neighbours = {here: _neighbours(own, here) for here in centres}
    # Counted now, as RDKit forgets them where bonds change.
    hydrogens = [
        molecule.GetAtomWithIdx(here).GetTotalNumHs(includeNeighbors=here in neighbours)
        for here in site
    ]
    for bond in edit.bonds:
        if bond.before == bond.after:
            continue
        ends = site[bond.first], site[bond.second]
        if bond.before:
            own.RemoveBond(*ends)
        if bond.after:
            own.AddBond(*ends, Chem.BondType.values[bond.after])
    _hang(own, site, edit.groups)
    for here, change, count in zip(site, edit.atoms, hydrogens, strict=True):
        atom = own.GetAtomWithIdx(here)
        if count + change.hydrogens < 0:
            raise ValueError("there are not so many hydrogens to take")
        atom.SetNoImplicit(True)
        if here in neighbours:
            _exchange_hydrogens(own, here, change.hydrogens)
        else:
            atom.SetNumExplicitHs(count + change.hydrogens)
        atom.SetFormalCharge(atom.GetFormalCharge() + change.charges)
        atom.SetIsAromatic(
            any(bond.GetBondType() == Chem.BondType.AROMATIC for bond in atom.GetBonds())
        )
    for here, before in neighbours.items():
        _turn(own.GetAtomWithIdx(here), before, _neighbours(own, here), edit.stereo)
    return own


def _neighbours(molecule: Chem.Mol, atom: int) -> list[int]:
    return [bond.GetOtherAtomIdx(atom) for bond in molecule.GetAtomWithIdx(atom).GetBonds()]


def _hang(own: Chem.RWMol, site: Sequence[int], groups: str) -> None:
    """Put what the product lacks on its atoms."""
    if not groups:
        return
    hung = Chem.MolFromSmiles(groups, sanitize=False)
    if hung is None:
        raise ValueError(groups)
    start = own.GetNumAtoms()
    own.InsertMol(hung)
    dummies = []
    for atom in hung.GetAtoms():
        if atom.GetAtomicNum() == 0 and atom.GetAtomMapNum():
            (bond,) = atom.GetBonds()
            here = site[atom.GetAtomMapNum() - 1]
            own.AddBond(here, start + bond.GetOtherAtomIdx(atom.GetIdx()), bond.GetBondType())
            dummies.append(start + atom.GetIdx())
    for dummy in sorted(dummies, reverse=True):
        own.RemoveAtom(dummy)


def _exchange_hydrogens(own: Chem.RWMol, here: int, more: int) -> None:
    """Give an atom whose hydrogens are atoms so many more of them; what is taken off is marked."""
    for _ in range(more):
        own.AddBond(here, own.AddAtom(Chem.Atom(1)), Chem.BondType.SINGLE)
    atom = own.GetAtomWithIdx(here)
    hydrogens = [one for one in atom.GetNeighbors() if one.GetAtomicNum() == 1]
    for one in hydrogens[: max(0, -more)]:
        own.RemoveBond(here, one.GetIdx())
        one.SetAtomicNum(0)  # a mark, since removing it would renumber atoms


def _turn(atom: Chem.Atom, before: list[int], after: list[int], stereo: str) -> None:
    """Set the handedness of a stereocentre one of whose neighbours was replaced."""
    gone, come = set(before) - set(after), set(after) - set(before)
    if stereo == DROP or len(gone) != len(come) or len(gone) > 1:
        if gone or come or stereo == DROP:
            atom.SetChiralTag(Chem.ChiralType.CHI_UNSPECIFIED)
        return
    if gone:
        (left,), (entered,) = gone, come
        before = [entered if one == left else one for one in before]
    is_odd = _is_odd([after.index(one) for one in before])
    if is_odd != (stereo == INVERT and bool(gone)):
        atom.InvertChirality()


def _is_odd(order: list[int]) -> bool:
    return (
        sum(one > other for place, one in enumerate(order) for other in order[place + 1 :]) % 2 == 1
    )


def _canonical(own: Chem.RWMol) -> str | None:
    """Return the canonical SMILES of an edited molecule, its marks and spare hydrogens removed."""
    marks = [
        atom.GetIdx()
        for atom in own.GetAtoms()
        if atom.GetAtomicNum() == 0 and atom.GetDegree() == 0
    ]
    for mark in sorted(marks, reverse=True):
        own.RemoveAtom(mark)
    Chem.SanitizeMol(own)
    again = read(Chem.MolToSmiles(Chem.RemoveHs(own)))
    return None if again is None else str(Chem.MolToSmiles(again))

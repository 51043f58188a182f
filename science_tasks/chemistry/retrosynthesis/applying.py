"""An edit done to a molecule: bonds, groups, hydrogens, charges, and what is seen of stereo."""

from collections.abc import Sequence
from dataclasses import dataclass

from rdkit import Chem, rdBase

from kagaku.science_tasks.chemistry.cuts import read
from kagaku.science_tasks.chemistry.retrosynthesis.edits import (
    INVERSION,
    LOSS,
    UNSEEN,
    Edit,
)

TAKEN_OFF = "taken off"
"""Property of a hydrogen that an edit took; removing it at once would renumber atoms."""


def applied(edit: Edit, molecule: Chem.Mol, site: Sequence[int]) -> str | None:
    """Return the canonical SMILES of what an edit gives; None if it is no molecule.

    Args:
        edit: What to do.
        molecule: What is given.
        site: Its atom for each atom that the edit names.
    """
    with rdBase.BlockLogs():
        try:
            own = _edited(molecule, site, edit)
            _let_go(own, site, edit)
            return _canonical(own)
        except (Chem.MolSanitizeException, RuntimeError, ValueError):
            return None


@dataclass(frozen=True)
class _DoubleBond:
    """A double bond with stereo, apart from how RDKit numbers its ends' substituents."""

    ends: tuple[int, int]
    substituents: tuple[int, int]
    is_trans: bool


def _edited(molecule: Chem.Mol, site: Sequence[int], edit: Edit) -> Chem.RWMol:
    """Return what is given with an edit done to some of its atoms, what it lost still beside it."""
    centres = [here for here in site if is_centre(molecule.GetAtomWithIdx(here))]
    if centres:
        molecule = Chem.AddHs(molecule, onlyOnAtoms=centres)
    own = Chem.RWMol(molecule)
    before = {here: neighbours(own, here) for here in site}
    double_bonds = _double_bonds(molecule)
    for bond in own.GetBonds():
        bond.SetBondDir(Chem.BondDir.NONE)  # double bonds are told their sides again below
    # Counted now, as RDKit forgets them where bonds change; those that are atoms stay atoms.
    hydrogens = [molecule.GetAtomWithIdx(here).GetTotalNumHs() for here in site]
    for one in edit.bonds:
        if one.before == one.after:
            continue
        ends = site[one.first], site[one.second]
        if one.before:
            own.RemoveBond(*ends)
        if one.after:
            own.AddBond(*ends, Chem.BondType.values[one.after])
    _hang(own, site, edit.groups)
    for here, change, count in zip(site, edit.atoms, hydrogens, strict=True):
        atom = own.GetAtomWithIdx(here)
        atom.SetNoImplicit(True)
        atom.SetNumExplicitHs(count)
        _change_hydrogens(own, here, change.hydrogens)
        atom.SetFormalCharge(atom.GetFormalCharge() + change.charges)
        atom.SetIsAromatic(
            any(bond.GetBondType() == Chem.BondType.AROMATIC for bond in atom.GetBonds())
        )
    replaced = {here: _replaced(before[here], neighbours(own, here)) for here in site}
    for here in centres:
        _set_handedness(own.GetAtomWithIdx(here), before[here], replaced[here], edit.stereo)
    for double_bond in double_bonds:
        _set_side(own, double_bond, replaced)
    return own


def is_centre(atom: Chem.Atom) -> bool:
    """Return whether an atom is a marked stereocentre."""
    return bool(atom.GetChiralTag() != Chem.ChiralType.CHI_UNSPECIFIED)


def neighbours(molecule: Chem.Mol, atom: int) -> list[int]:
    """Return an atom's neighbours in the order of its bonds, by which handedness is told."""
    return [bond.GetOtherAtomIdx(atom) for bond in molecule.GetAtomWithIdx(atom).GetBonds()]


def turn(atom: Chem.Atom, before: Sequence[int], after: Sequence[int]) -> None:
    """Let a stereocentre look the same after its bonds came to stand in another order."""
    order = [after.index(one) for one in before]
    is_odd = sum(one > two for place, one in enumerate(order) for two in order[place + 1 :]) % 2
    if is_odd:
        atom.InvertChirality()


def _replaced(before: Sequence[int], after: Sequence[int]) -> dict[int, int] | None:
    """Return which neighbour took the place of which; None unless it was one at most."""
    gone, come = set(before) - set(after), set(after) - set(before)
    if len(gone) != len(come) or len(gone) > 1:
        return None
    return dict(zip(gone, come, strict=True))


def _hang(own: Chem.RWMol, site: Sequence[int], groups: str) -> None:
    """Put what is not given on the named atoms."""
    if not groups:
        return
    hung = Chem.MolFromSmiles(groups, sanitize=False)
    if hung is None:
        raise ValueError(groups)
    start = own.GetNumAtoms()
    own.InsertMol(hung)
    dummies = []
    for atom in hung.GetAtoms():
        if atom.GetAtomicNum() or not atom.GetAtomMapNum():
            continue
        dummy, here = start + atom.GetIdx(), site[atom.GetAtomMapNum() - 1]
        (bond,) = atom.GetBonds()
        on = start + bond.GetOtherAtomIdx(atom.GetIdx())
        before = [here if one == dummy else one for one in neighbours(own, on)]
        own.RemoveBond(dummy, on)
        own.AddBond(here, on, bond.GetBondType())
        turn(own.GetAtomWithIdx(on), before, neighbours(own, on))
        dummies.append(dummy)
    for dummy in sorted(dummies, reverse=True):
        own.RemoveAtom(dummy)


def _change_hydrogens(own: Chem.RWMol, here: int, more: int) -> None:
    """Give an atom so many hydrogens more; those that are atoms are taken first."""
    atom = own.GetAtomWithIdx(here)
    if is_centre(atom):
        for _ in range(more):
            own.AddBond(here, own.AddAtom(Chem.Atom(1)), Chem.BondType.SINGLE)
        more = min(more, 0)
    loose = [one for one in atom.GetNeighbors() if one.GetAtomicNum() == 1 and not one.GetIsotope()]
    for one in loose[: max(0, -more)]:
        own.RemoveBond(here, one.GetIdx())
        one.SetBoolProp(TAKEN_OFF, True)
        more += 1
    if atom.GetNumExplicitHs() + more < 0:
        raise ValueError("there are not so many hydrogens to take")
    atom.SetNumExplicitHs(atom.GetNumExplicitHs() + more)


def _set_handedness(
    atom: Chem.Atom, before: Sequence[int], replaced: dict[int, int] | None, stereo: str
) -> None:
    """Set the handedness of a stereocentre one of whose neighbours may have been replaced."""
    if replaced is None or (replaced and stereo == LOSS):
        atom.SetChiralTag(Chem.ChiralType.CHI_UNSPECIFIED)
        return
    after = [bond.GetOtherAtomIdx(atom.GetIdx()) for bond in atom.GetBonds()]
    turn(atom, [replaced.get(one, one) for one in before], after)
    molecule = atom.GetOwningMol()
    is_heavy = all(
        molecule.GetAtomWithIdx(one).GetAtomicNum() > 1 for pair in replaced.items() for one in pair
    )
    if replaced and (stereo == INVERSION or (stereo == UNSEEN and is_heavy)):
        atom.InvertChirality()


def _double_bonds(molecule: Chem.Mol) -> list[_DoubleBond]:
    """Return the double bonds with stereo."""
    found = []
    for bond in molecule.GetBonds():
        ends, beside = (bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()), list(bond.GetStereoAtoms())
        if len(beside) != 2:
            continue
        is_trans = bond.GetStereo() in {Chem.BondStereo.STEREOE, Chem.BondStereo.STEREOTRANS}
        if is_trans or bond.GetStereo() in {Chem.BondStereo.STEREOZ, Chem.BondStereo.STEREOCIS}:
            found.append(_DoubleBond(ends, (beside[0], beside[1]), is_trans))
    return found


def _set_side(
    own: Chem.RWMol, known: _DoubleBond, replaced: dict[int, dict[int, int] | None]
) -> None:
    """Let what was replaced at a double bond stand on the same side."""
    bond: Chem.Bond | None = own.GetBondBetweenAtoms(*known.ends)
    if bond is None or bond.GetBondType() != Chem.BondType.DOUBLE:
        return
    beside = []
    for end, one in zip(known.ends, known.substituents, strict=True):
        instead = replaced.get(end, {})
        if instead is None:
            return
        beside.append(instead.get(one, one))
        if own.GetBondBetweenAtoms(end, beside[-1]) is None:
            return
    bond.SetStereoAtoms(*beside)
    bond.SetStereo(Chem.BondStereo.STEREOTRANS if known.is_trans else Chem.BondStereo.STEREOCIS)


def _let_go(own: Chem.RWMol, site: Sequence[int], edit: Edit) -> None:
    """Take away what is lost, with all that still hangs on it.

    Raises:
        ValueError: It hangs on what stays, too.
    """
    if edit.keeps_all:
        return
    stay = {here for here, one in zip(site, edit.atoms, strict=True) if not one.is_lost}
    lost = set(site) - stay
    gone: list[int] = []
    for molecule in Chem.GetMolFrags(own):
        is_kept = not stay.isdisjoint(molecule)
        if is_kept and not lost.isdisjoint(molecule):
            raise ValueError("what is lost is still bonded to what stays")
        if not is_kept:
            gone.extend(molecule)
    for atom in sorted(gone, reverse=True):
        own.RemoveAtom(atom)


def _canonical(own: Chem.RWMol) -> str | None:
    """Return the canonical SMILES of an edited molecule, the hydrogens that it took left out."""
    spare = [atom.GetIdx() for atom in own.GetAtoms() if atom.HasProp(TAKEN_OFF)]
    for atom in sorted(spare, reverse=True):
        own.RemoveAtom(atom)
    Chem.SanitizeMol(own)
    Chem.SetDoubleBondNeighborDirections(own)
    again = read(Chem.MolToSmiles(Chem.RemoveHs(own)))
    return None if again is None else str(Chem.MolToSmiles(again))

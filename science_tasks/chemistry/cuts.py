"""Molecules cut at a single bond outside rings, and put together again.

A piece is a canonical SMILES in which the dummy atom ``[1*]`` stands for what was cut off. What is
cut off may be a hydrogen, the piece `HYDROGEN`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from rdkit import Chem, rdBase
from rdkit.Chem import rdFingerprintGenerator

DUMMY, HYDROGEN = "[1*]", "[1*][H]"

RADII = (3, 2)
"""How many bonds from the dummy atom an environment reaches, the wider one first."""

_MORGAN = rdFingerprintGenerator.GetMorganGenerator(radius=max(RADII), includeChirality=False)


@dataclass(frozen=True)
class Cut:
    """One bond at which a connected molecule falls into two."""

    bond: int
    """Index of the bond."""

    sizes: tuple[int, int]
    """Heavy atoms on the side of the bond's first atom, and on the other."""


def read(smiles: str) -> Chem.Mol | None:
    """Return RDKit's molecule, or None where it cannot read it."""
    with rdBase.BlockLogs():
        molecule: Chem.Mol | None = Chem.MolFromSmiles(smiles)
    return molecule


def cuts_of(molecule: Chem.Mol) -> list[Cut]:
    """Return every single bond outside rings between two heavy atoms."""
    total = molecule.GetNumAtoms()
    found = []
    for bond in molecule.GetBonds():
        if bond.GetBondType() == Chem.BondType.SINGLE and not bond.IsInRing():
            size = _side(molecule, bond.GetBeginAtomIdx(), bond.GetEndAtomIdx())
            found.append(Cut(bond.GetIdx(), (size, total - size)))
    return found


def _side(molecule: Chem.Mol, start: int, without: int) -> int:
    """Return how many atoms hang together with one, if another is taken away."""
    seen, todo = {start, without}, [start]
    while todo:
        for neighbour in molecule.GetAtomWithIdx(todo.pop()).GetNeighbors():
            if neighbour.GetIdx() not in seen:
                seen.add(neighbour.GetIdx())
                todo.append(neighbour.GetIdx())
    return len(seen) - 1


def pieces_of(molecule: Chem.Mol, cut: Cut) -> tuple[str, str] | None:
    """Return the two pieces of a cut; None where they cannot be told apart."""
    broken = Chem.FragmentOnBonds(molecule, [cut.bond], dummyLabels=[(1, 1)])
    parts = str(Chem.MolToSmiles(broken)).split(".")
    return (parts[0], parts[1]) if len(parts) == 2 else None


def without_hydrogen(molecule: Chem.Mol) -> Iterator[str]:
    """Yield the pieces that are left when a hydrogen is cut from a nitrogen, oxygen or sulphur."""
    for atom in molecule.GetAtoms():
        if atom.GetAtomicNum() not in {7, 8, 16} or not atom.GetTotalNumHs():
            continue
        opened = Chem.RWMol(molecule)
        dummy = Chem.Atom(0)
        dummy.SetIsotope(1)
        opened.AddBond(atom.GetIdx(), opened.AddAtom(dummy), Chem.BondType.SINGLE)
        own = opened.GetAtomWithIdx(atom.GetIdx())
        if own.GetNumExplicitHs():
            own.SetNumExplicitHs(own.GetNumExplicitHs() - 1)
        with rdBase.BlockLogs():
            if Chem.SanitizeMol(opened, catchErrors=True) == Chem.SanitizeFlags.SANITIZE_NONE:
                yield str(Chem.MolToSmiles(opened))


@lru_cache(maxsize=200_000)
def joined(one: str, other: str) -> str | None:
    """Return the canonical SMILES of two pieces put together; None where that is no molecule.

    Example:
        >>> joined("[1*]c1ccccc1", "[1*]Br"), joined("[1*]OCC", HYDROGEN)
        ('Brc1ccccc1', 'CCO')
    """
    if HYDROGEN in {one, other}:
        rest = read((other if one == HYDROGEN else one).replace(DUMMY, "[H]"))
        return None if rest is None else str(Chem.MolToSmiles(rest))
    parts = [read(piece.replace(DUMMY, "[*:1]")) for piece in (one, other)]
    if parts[0] is None or parts[1] is None:
        return None
    whole = Chem.molzip(parts[0], parts[1])
    with rdBase.BlockLogs():
        if Chem.SanitizeMol(whole, catchErrors=True) != Chem.SanitizeFlags.SANITIZE_NONE:
            return None
    return str(Chem.MolToSmiles(whole))


@lru_cache(maxsize=400_000)
def environments(piece: str) -> tuple[int, ...]:
    """Return a number for what stands around the cut of a piece, for each of `RADII`."""
    molecule = read(piece)
    if molecule is None:
        return (0,) * len(RADII)
    (dummy,) = [atom.GetIdx() for atom in molecule.GetAtoms() if not atom.GetAtomicNum()][:1]
    output = rdFingerprintGenerator.AdditionalOutput()
    output.AllocateBitInfoMap()
    _MORGAN.GetSparseCountFingerprint(molecule, fromAtoms=[dummy], additionalOutput=output)
    at = {radius: bit for bit, seen in output.GetBitInfoMap().items() for _, radius in seen}
    # A small piece has nothing farther out: its widest environment stands for the wider ones.
    return tuple(at[max(one for one in at if one <= radius)] for radius in RADII)

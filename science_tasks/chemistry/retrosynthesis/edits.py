"""What a reaction did to the atoms of one of its sides, apart from where it did it.

An edit names the few atoms that a reaction changed: which bonds between them were made or broken,
what left them, and the groups that came instead. Read backwards and done to other atoms of the same
kind it gives the reactants of another product; read forwards, the product of other reactants. It is
a reaction template of radius zero, as in LocalRetro (Chen and Jung 2021,
https://doi.org/10.1021/jacsau.1c00246). What stands around the atoms is for others to judge.

The side that an edit is done to is called given, the other one wanted.
"""

from dataclasses import dataclass

from rdkit import Chem

MOST_ATOMS = 10
"""Atoms that an edit names at most; reactions that change more are left out."""

UNSEEN, RETENTION, INVERSION, LOSS = "unseen", "retention", "inversion", "loss"
"""What became of a stereocentre one of whose substituents was replaced. Unseen: no named atom was
one, so that another product's is taken to be inverted, as by a nucleophile from behind, or kept
where a hydrogen came or went."""


@dataclass(frozen=True, order=True)
class EditedAtom:
    """One atom that an edit names."""

    element: int
    """Atomic number."""

    is_aromatic: bool
    """Whether it is aromatic in what is given."""

    charge: int
    """Formal charge in what is given."""

    hydrogens: int
    """Hydrogens that it has more in what is wanted; 0 for an atom that is lost."""

    charges: int
    """Formal charge that it has more there; 0 for an atom that is lost."""

    is_lost: bool = False
    """Whether what is wanted lacks it; all that hangs on it is lost too."""


@dataclass(frozen=True, order=True)
class EditedBond:
    """The bond between two named atoms; RDKit's bond types, 0 for none."""

    first: int
    second: int
    before: int
    """In what is given."""

    after: int
    """In what is wanted; as before where both atoms are lost."""


@dataclass(frozen=True, order=True)
class Pattern:
    """Which atoms of a molecule an edit can be done to."""

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
    """A change from what is given to what is wanted."""

    atoms: tuple[EditedAtom, ...]
    bonds: tuple[EditedBond, ...]
    groups: str
    """SMILES of what is not given; dummy atoms number, from 1, the named atoms it is on."""

    stereo: str = UNSEEN

    keeps_all: bool = True
    """Whether molecules stay in which no atom is named; a product does not hold what took no part.
    """

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

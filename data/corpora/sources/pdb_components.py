"""The chemical components of the Protein Data Bank: what crystallographers found in proteins."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import numpy as np

from kagaku.data.corpora.raw import Deferred, RawSample
from kagaku.data.corpora.sources.base import SOURCES, Package, Source
from kagaku.data.corpora.sources.binary_cif import read_categories
from kagaku.errors import InputError

MOST_ATOMS = 150
"""Heavy atoms and hydrogens of the largest component that is read."""

_COORDINATES = tuple(f"pdbx_model_Cartn_{axis}_ideal" for axis in "xyz")
_WANTED = {
    "chem_comp": ("id", "name", "pdbx_ideal_coordinates_missing_flag"),
    "chem_comp_atom": ("comp_id", "atom_id", "type_symbol", "charge", *_COORDINATES),
    "chem_comp_bond": ("comp_id", "atom_id_1", "atom_id_2", "value_order"),
}
_ORDERS = {"SING": 1, "DOUB": 2, "TRIP": 3, "QUAD": 4, "AROM": 12}
"""By the dictionary's word, the number of RDKit's bond type."""


@SOURCES.register("pdb-components")
class PdbComponents(Source):
    """Ligands, cofactors, modified residues and ions, with their names.

    The package keeps atoms, bonds and charges but no SMILES, so molecules are put together from
    them; which hand a centre has is told by its ideal coordinates, where there are any.

    Source: Westbrook et al. 2015, https://doi.org/10.1093/bioinformatics/btu789
    """

    packages: ClassVar[tuple[Package, ...]] = (
        Package("pip", "biotite", "1.6.0", 56, ("biotite/structure/info/components.bcif",)),
    )
    inputs: ClassVar[Mapping[str, str]] = {"molecule": "molecule", "text": "text"}
    licence: ClassVar[str] = "BSD-3 package; wwPDB data: CC0"
    n_about: ClassVar[int] = 48_890

    def read(self) -> Iterator[RawSample]:
        """Yield every component that makes a molecule, with its name."""
        path = self.file("biotite", "biotite/structure/info/components.bcif")
        tables = read_categories(path, _WANTED)
        atoms, bonds = tables["chem_comp_atom"], tables["chem_comp_bond"]
        atom_span, bond_span = _spans(atoms["comp_id"]), _spans(bonds["comp_id"])
        listed = tables["chem_comp"]
        for one, name, missing in zip(
            *(column.tolist() for column in listed.values()), strict=True
        ):
            if one not in atom_span or len(range(*atom_span[one])) > MOST_ATOMS:
                continue
            parts = _cut(atoms, atom_span[one]), _cut(bonds, bond_span.get(one, (0, 0)))
            if name.strip("?. "):
                molecule = Deferred(component_smiles, (*parts, missing != "Y"))
                text = f"{_readable(name)} ({one})"
                yield RawSample(one, {"molecule": molecule, "text": text})


def component_smiles(
    atoms: Mapping[str, Any], bonds: Mapping[str, Any], has_coordinates: bool
) -> str:
    """Return the SMILES of a component without hydrogens.

    Args:
        atoms: Columns of its atoms.
        bonds: Columns of its bonds.
        has_coordinates: Whether the atoms' ideal coordinates (angstrom) are complete.

    Raises:
        InputError: RDKit refuses the component: an unknown element, or a valence too high.
    """
    from rdkit import Chem, rdBase

    with rdBase.BlockLogs():
        try:
            molecule = _molecule(atoms, bonds)
            if has_coordinates:
                molecule.AddConformer(_conformer(atoms))
            Chem.SanitizeMol(molecule)
            if has_coordinates:
                Chem.AssignStereochemistryFrom3D(molecule)
            smiles: str = Chem.MolToSmiles(Chem.RemoveHs(molecule))
        except (ValueError, RuntimeError, KeyError) as error:
            raise InputError(f"the component is no molecule that RDKit reads ({error})") from None
    return smiles


def _molecule(atoms: Mapping[str, Any], bonds: Mapping[str, Any]) -> Any:
    from rdkit import Chem

    molecule: Any = Chem.RWMol()
    index = {}
    columns = (atoms[name] for name in ("atom_id", "type_symbol", "charge"))
    for name, element, charge in zip(*columns, strict=True):
        atom = Chem.Atom("H" if element == "D" else element.capitalize())
        atom.SetFormalCharge(int(charge))
        index[name] = molecule.AddAtom(atom)
    columns = (bonds[name] for name in ("atom_id_1", "atom_id_2", "value_order"))
    for first, second, order in zip(*columns, strict=True):
        kind = Chem.BondType.values[_ORDERS[order.upper()]]
        molecule.AddBond(index[first], index[second], kind)
    return molecule


def _conformer(atoms: Mapping[str, Any]) -> Any:
    from rdkit import Chem

    conformer: Any = Chem.Conformer(len(atoms["atom_id"]))
    for place, point in enumerate(zip(*(atoms[axis] for axis in _COORDINATES), strict=True)):
        conformer.SetAtomPosition(place, [float(one) for one in point])
    return conformer


def _spans(ids: np.ndarray) -> dict[str, tuple[int, int]]:
    """Return start and stop of the rows of each component; they stand together."""
    starts = np.flatnonzero(np.concatenate([[True], ids[1:] != ids[:-1]]))
    stops = np.concatenate([starts[1:], [len(ids)]])
    return {
        str(ids[start]): (start, stop)
        for start, stop in zip(starts.tolist(), stops.tolist(), strict=True)
    }


def _cut(columns: Mapping[str, np.ndarray], span: tuple[int, int]) -> dict[str, list[Any]]:
    return {name: column[slice(*span)].tolist() for name, column in columns.items()}


def _readable(name: str) -> str:
    """Return a name in one line, in small letters if it was written in capitals."""
    joined = "".join(name.splitlines())
    return joined.lower() if joined.isupper() else joined

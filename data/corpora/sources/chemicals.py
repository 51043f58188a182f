"""Chemicals in use, with the names that PubChem has for them, and with tabulated properties."""

import csv
import math
from collections.abc import Iterator, Mapping
from typing import ClassVar

from kagaku.data.corpora.raw import RawSample
from kagaku.data.corpora.sources.base import SOURCES, Package, Source
from kagaku.data.records import Quantity

MOST_NAMES = 8
"""Names of one chemical that go into its text; the first are the best known."""

TABLES = {
    "melting point": ("Phase Change/OpenNotebook Melting Points.tsv", "Tm", "K"),
    "boiling point": ("Phase Change/Yaws Boiling Points.tsv", "Tb", "K"),
    "enthalpy of vaporization at 298 K": (
        "Phase Change/Ghazerati Appendix Vaporization Enthalpy.tsv", "Hvap298", "J/mol"
    ),
    "critical temperature": ("Critical Properties/Yaws Collection.tsv", "Tc", "K"),
}  # fmt: skip
"""By property, the package's table, its column, and the unit."""

_CHEMICALS = Package(
    "pip", "chemicals", "1.5.2", 23,
    ("chemicals/Identifiers/chemical identifiers pubchem *.tsv",
     *(f"chemicals/{table}" for table, _, _ in TABLES.values())),
)  # fmt: skip
# Columns without heading: PubChem id, CAS number, formula, molar mass, SMILES, InChI, InChIKey,
# IUPAC name, common name, further names.
_CID, _CAS, _FORMULA, _SMILES, _IUPAC_NAME, _NAME = 0, 1, 2, 4, 7, 8


def _rows(source: Source) -> Iterator[list[str]]:
    """Yield the cells of every chemical once."""
    seen = set()
    for size in ("small", "large"):
        path = source.file("chemicals", f"chemicals/Identifiers/*pubchem {size}.tsv")
        with path.open(encoding="utf-8") as stream:
            for line in stream:
                cells = line.rstrip("\n").split("\t")
                if len(cells) > _IUPAC_NAME and cells[_CID] not in seen:
                    seen.add(cells[_CID])
                    yield cells


@SOURCES.register("chemicals")
class Chemicals(Source):
    """Molecules that are bought and sold: solvents, drugs, dyes, monomers, salts."""

    packages: ClassVar[tuple[Package, ...]] = (_CHEMICALS,)
    inputs: ClassVar[Mapping[str, str]] = {"molecule": "molecule"}
    licence: ClassVar[str] = "MIT"
    n_about: ClassVar[int] = 73_162

    def read(self) -> Iterator[RawSample]:
        """Yield the molecules."""
        for cells in _rows(self):
            yield RawSample(cells[_CID], {"molecule": cells[_SMILES]})


@SOURCES.register("chemical-names")
class ChemicalNames(Source):
    """The same molecules, each with its formula and its names as text."""

    packages: ClassVar[tuple[Package, ...]] = (_CHEMICALS,)
    inputs: ClassVar[Mapping[str, str]] = {"molecule": "molecule", "text": "text"}
    licence: ClassVar[str] = "MIT"
    n_about: ClassVar[int] = 73_162

    def read(self) -> Iterator[RawSample]:
        """Yield the molecules with their names."""
        for cells in _rows(self):
            text = names_text(cells[_NAME] if len(cells) > _NAME else "", cells)
            yield RawSample(cells[_CID], {"molecule": cells[_SMILES], "text": text})


@SOURCES.register("chemical-properties")
class ChemicalProperties(Source):
    """Molecules with temperatures of melting and boiling, and what else tables have of them.

    Melting points are from the Open Notebook collection; Yaws' tables hold measured values beside
    estimated ones and do not tell which are which.
    """

    packages: ClassVar[tuple[Package, ...]] = (_CHEMICALS,)
    inputs: ClassVar[Mapping[str, str]] = {
        "molecule": "molecule",
        **dict.fromkeys(TABLES, "quantity"),
    }
    licence: ClassVar[str] = "MIT"
    n_about: ClassVar[int] = 19_000

    def read(self) -> Iterator[RawSample]:
        """Yield the molecules of which a property is known."""
        known = {name: self._table(*place) for name, place in TABLES.items()}
        for cells in _rows(self):
            found = {
                name: Quantity(name, values[cells[_CAS]], TABLES[name][2])
                for name, values in known.items()
                if cells[_CAS] in values
            }
            if found:
                yield RawSample(cells[_CID], {"molecule": cells[_SMILES], **found})

    def _table(self, file: str, column: str, unit: str) -> dict[str, float]:
        """Return one property by CAS number."""
        del unit
        path = self.file("chemicals", f"chemicals/{file}")
        with path.open(encoding="utf-8", newline="") as stream:
            return {
                row["CAS"]: float(row[column])
                for row in csv.DictReader(stream, delimiter="\t")
                if _is_number(row[column])
            }


def _is_number(cell: str | None) -> bool:
    try:
        return math.isfinite(float(cell or ""))
    except ValueError:
        return False


def names_text(common: str, cells: list[str]) -> str:
    """Return a chemical's names as one text: the common one, IUPAC's, the formula, some others.

    Registry numbers and other codes among the names are left out.
    """
    iupac = cells[_IUPAC_NAME]
    others = [name for name in cells[_NAME + 1 :] if _is_word(name)]
    names = list(dict.fromkeys(one for one in (common, iupac, *others) if one))[: MOST_NAMES + 2]
    return f"{names[0]} ({cells[_FORMULA]})" + "".join(f"; {name}" for name in names[1:])


def _is_word(name: str) -> bool:
    """Return whether a name says more than a catalogue number: it has a word of four letters."""
    run = 0
    for letter in name:
        run = run + 1 if letter.isalpha() else 0
        if run == 4:
            return True
    return False

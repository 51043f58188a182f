"""Chemicals in use, with the names that PubChem has for them."""

from collections.abc import Iterator, Mapping
from typing import ClassVar

from kagaku.data.corpora.raw import RawSample
from kagaku.data.corpora.sources.base import SOURCES, Package, Source

MOST_NAMES = 8
"""Names of one chemical that go into its text; the first are the best known."""

_CHEMICALS = Package(
    "pip", "chemicals", "1.5.2", 23, ("chemicals/Identifiers/chemical identifiers pubchem *.tsv",)
)
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

"""Crystals: a periodic cell with atoms in it, as CIF files describe them."""

import warnings
from collections import defaultdict
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from kagaku.data.compositions import Composition
from kagaku.data.elements import INDEX, element_property
from kagaku.data.formulas import parse_formula
from kagaku.errors import InputError

CIF_SUFFIX = ".cif"
"""Ending of the files that hold crystals."""

SAME_OCCUPANCY = 1e-4
"""Occupancies are read to four decimals, which is what CIF files give."""

# Da per cubic angstrom in g/cm3: 1 / (0.602214076 per Da g-1 and cubic angstrom per cm3). Source:
# the Avogadro constant, https://physics.nist.gov/cgi-bin/cuu/Value?na
DA_PER_CUBIC_ANGSTROM = 1 / 0.602214076


@dataclass(frozen=True, eq=False)
class Crystal:
    """Atoms in a cell that repeats without end in three directions."""

    lattice: Float[np.ndarray, "3 3"]
    """The cell's three vectors, one per row, in angstrom."""

    species: tuple[str, ...]
    """Symbol of each atom; where several share a site, each of them is listed."""

    positions: Float[np.ndarray, "atom 3"]
    """Fractional coordinates along the three vectors, dimensionless."""

    occupancies: Float[np.ndarray, " atom"]
    """How much of each atom is there, above 0 and at most 1."""

    @cached_property
    def composition(self) -> Composition:
        """What is in the cell."""
        amounts: defaultdict[str, Fraction] = defaultdict(Fraction)
        for symbol, occupancy in zip(self.species, self.occupancies.tolist(), strict=True):
            amounts[symbol] += Fraction(round(occupancy / SAME_OCCUPANCY)) * Fraction(
                str(SAME_OCCUPANCY)
            )
        return Composition(dict(amounts))

    @property
    def volume(self) -> float:
        """Volume of the cell, cubic angstrom."""
        return abs(float(np.linalg.det(self.lattice)))

    @property
    def volume_per_atom(self) -> float:
        """Cubic angstrom per atom."""
        return self.volume / float(self.occupancies.sum())

    @property
    def density(self) -> float:
        """Density, g/cm3."""
        masses = element_property("atomic_mass")[[INDEX[one] for one in self.species]]
        return float(masses @ self.occupancies) / self.volume * DA_PER_CUBIC_ANGSTROM

    def __str__(self) -> str:
        return f"crystal of {self.composition.formula} with {len(self.species)} atoms"


def composition_of(material: str | Crystal) -> Composition:
    """Return what a formula or a crystal is made of.

    Raises:
        InputError: The formula states no composition.
    """
    return material.composition if isinstance(material, Crystal) else parse_formula(material)


def is_cif(text: str) -> bool:
    """Return whether a text is the content of a CIF file rather than a formula or a path."""
    return "_cell_length_a" in text and "\n" in text


def read_crystal(source: Path | str) -> Crystal:
    """Return the crystal in a CIF file, or in the text of one; the first, if there are several.

    The whole cell is read as it stands, with what symmetry adds to it. Needs pymatgen, the extra
    ``materials``.

    Raises:
        InputError: There is no such file, it holds no crystal, or pymatgen is not installed.
    """
    text = source
    if isinstance(source, Path):
        try:
            text = source.read_text(encoding="utf-8", errors="replace")
        except OSError as error:
            raise InputError(
                f"{source.name!r} cannot be read ({error.strerror})", fix="Correct the path."
            ) from None
    assert isinstance(text, str)
    structure = _parse(text)
    species: list[str] = []
    positions: list[Any] = []
    occupancies: list[float] = []
    for site in structure:
        for one, occupancy in site.species.items():
            symbol = str(getattr(one, "symbol", one))
            if symbol not in INDEX:
                raise InputError(
                    f"the crystal has an atom {symbol!r}, which is no element",
                    fix="Correct the type of this atom in the file.",
                )
            species.append(symbol)
            positions.append(site.frac_coords)
            occupancies.append(float(occupancy))
    return Crystal(
        lattice=np.array(structure.lattice.matrix, dtype=np.float64),
        species=tuple(species),
        positions=np.array(positions, dtype=np.float64),
        occupancies=np.array(occupancies, dtype=np.float64),
    )


def _parse(text: str) -> Any:
    """Return pymatgen's structure of the text of a CIF file."""
    try:
        from pymatgen.io.cif import CifParser
    except ImportError:
        raise InputError(
            "crystals are read with pymatgen, which is not installed",
            fix="Install it with: pip install 'kagaku[materials]'.",
        ) from None
    with warnings.catch_warnings():
        # pymatgen warns of every rounded coordinate that it mends.
        warnings.simplefilter("ignore")
        try:
            found = CifParser.from_str(text).parse_structures(primitive=False, on_error="ignore")
        except Exception as error:  # noqa: BLE001 (its parser raises whatever it stumbles over)
            told = " ".join(str(error).split())[:120]
            raise InputError(
                f"the file holds no crystal that pymatgen can read ({told})",
                fix="Export it again as CIF with cell, symmetry and atom sites.",
            ) from None
    if not found or not len(found[0]):
        raise InputError(
            "the file holds no crystal", fix="Export it again as CIF with cell and atom sites."
        )
    return found[0]

"""The chemical elements: symbols, atomic numbers, and a table of their properties."""

import csv
from functools import cache
from pathlib import Path

import numpy as np
from jaxtyping import Float

TABLE = Path(__file__).with_name("elements.tsv")
"""One row per element; `elements.md` beside it has the source and the unit of each column."""

_PERIODIC_TABLE = (
    "H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se "
    "Br Kr Rb Sr Y Zr Nb Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe Cs Ba La Ce Pr Nd Pm Sm Eu Gd Tb "
    "Dy Ho Er Tm Yb Lu Hf Ta W Re Os Ir Pt Au Hg Tl Pb Bi Po At Rn Fr Ra Ac Th Pa U Np Pu Am Cm "
    "Bk Cf Es Fm Md No Lr Rf Db Sg Bh Hs Mt Ds Rg Cn Nh Fl Mc Lv Ts Og"
)
SYMBOLS = (*_PERIODIC_TABLE.split(), "D", "T")
"""The elements by atomic number, then deuterium and tritium, which have symbols of their own."""

INDEX = {symbol: place for place, symbol in enumerate(SYMBOLS)}
"""Place of a symbol in `SYMBOLS` and in `element_table`."""

N_ELEMENTS = 118

# Masses of the hydrogen isotopes, Da. Source: AME2020, https://doi.org/10.1088/1674-1137/abddaf
ISOTOPE_MASSES = {"D": 2.01410178, "T": 3.01604928}

NUMBERS = (
    "atomic_number", "period", "group", "mendeleev_number", "pettifor_number", "atomic_mass",
    "electronegativity", "electronegativity_allen", "covalent_radius", "vdw_radius",
    "ionization_energy", "electron_affinity", "polarizability", "density", "melting_point",
    "boiling_point", "fusion_heat", "specific_heat", "thermal_conductivity", "miedema_volume",
    "miedema_electronegativity", "s_valence", "p_valence", "d_valence", "f_valence",
)  # fmt: skip
"""Names of the columns of `element_table`; units stand in `elements.md`."""


@cache
def element_table() -> Float[np.ndarray, "element property"]:
    """Return the properties named in `NUMBERS` of the elements in `SYMBOLS`; NaN where unknown.

    Deuterium and tritium are hydrogen with another mass. Read-only, since it is shared.
    """
    rows = _rows()
    table = np.array(
        [[float(row[name]) if row[name] else np.nan for name in NUMBERS] for row in rows]
    )
    isotopes = np.repeat(table[:1], len(ISOTOPE_MASSES), axis=0)
    isotopes[:, NUMBERS.index("atomic_mass")] = list(ISOTOPE_MASSES.values())
    whole = np.concatenate([table, isotopes])
    whole.setflags(write=False)
    return whole


def element_property(name: str) -> Float[np.ndarray, " element"]:
    """Return one column of `element_table`.

    Example:
        >>> float(element_property("atomic_mass")[INDEX["Fe"]])
        55.845
    """
    column: np.ndarray = element_table()[:, NUMBERS.index(name)]
    return column


@cache
def oxidation_states() -> tuple[tuple[int, ...], ...]:
    """Return the main oxidation states of the elements in `SYMBOLS`, lowest first; 0 is not told.

    Example:
        >>> oxidation_states()[INDEX["Fe"]]
        (2, 3)
    """
    states = [tuple(int(state) for state in row["oxidation_states"].split()) for row in _rows()]
    return (*states, *(states[0] for _ in ISOTOPE_MASSES))


@cache
def _rows() -> list[dict[str, str]]:
    with TABLE.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream, delimiter="\t"))
    assert tuple(row["symbol"] for row in rows) == SYMBOLS[:N_ELEMENTS]
    return rows

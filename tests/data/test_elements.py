import numpy as np
import pytest
from pymatgen.core.periodic_table import Element

from kagaku.data.elements import (
    INDEX,
    N_ELEMENTS,
    NUMBERS,
    SYMBOLS,
    element_property,
    element_table,
    oxidation_states,
)


def test_the_table_has_a_row_per_element_and_isotope_in_the_order_of_the_symbols() -> None:
    assert element_table().shape == (N_ELEMENTS + 2, len(NUMBERS))
    numbers = element_property("atomic_number")
    assert numbers.tolist() == [*range(1, N_ELEMENTS + 1), 1, 1]
    assert [SYMBOLS[int(n) - 1] for n in (1, 26, 118)] == ["H", "Fe", "Og"]


def test_masses_and_places_are_those_of_pymatgen() -> None:
    for symbol in SYMBOLS[:100]:
        place, element = INDEX[symbol], Element(symbol)
        mass = element_property("atomic_mass")[place]
        # Where there is no stable isotope, another one may be listed.
        assert mass == pytest.approx(float(element.atomic_mass), rel=0.02), symbol
        assert element_property("period")[place] == element.row, symbol
        if element.block != "f":
            assert element_property("group")[place] == element.group, symbol


def test_hydrogen_isotopes_differ_in_mass_only() -> None:
    table = element_table()
    differ = {
        NUMBERS[column]
        for column in range(len(NUMBERS))
        if not np.array_equal(table[INDEX["D"], column], table[INDEX["H"], column], equal_nan=True)
    }
    assert differ == {"atomic_mass"}


def test_unknown_values_are_missing_and_known_ones_of_the_right_size() -> None:
    assert np.isnan(element_property("electronegativity")[INDEX["Ar"]])
    assert element_property("electronegativity")[INDEX["F"]] == 3.98
    assert element_property("melting_point")[INDEX["W"]] == pytest.approx(3687, abs=10)
    assert np.nanmin(element_property("electron_affinity")) > 0
    assert not np.isnan(element_property("density")[: INDEX["Es"]]).any()


def test_valence_electrons_are_those_outside_the_noble_gas_core() -> None:
    shells = [element_property(f"{shell}_valence") for shell in "spdf"]
    counts = {one: [int(shell[INDEX[one]]) for shell in shells] for one in ("Na", "Fe", "Pb", "Gd")}
    assert counts == {
        "Na": [1, 0, 0, 0],
        "Fe": [2, 0, 6, 0],
        "Pb": [2, 2, 10, 14],
        "Gd": [2, 0, 1, 7],
    }


def test_oxidation_states_are_told_from_low_to_high_without_zero() -> None:
    assert oxidation_states()[INDEX["Fe"]] == (2, 3)
    assert oxidation_states()[INDEX["O"]] == (-2,)
    assert all(list(one) == sorted(one) and 0 not in one for one in oxidation_states())


def test_the_shared_table_cannot_be_written_to() -> None:
    with pytest.raises(ValueError, match="read-only"):
        element_table()[0, 0] = 5

"""Units: what is understood, what converts to what, and what is refused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kagaku.data.units import (
    canonical_unit,
    carried_unit,
    convert,
    parse_quantity,
    parse_unit,
    same_unit,
    split_name,
)
from kagaku.errors import InputError


@pytest.mark.parametrize(
    ("heading", "name", "unit"),
    [
        ("logS [log10(mol/L)]", "logS", "log10(mol/L)"),
        ("temp [degC]", "temp", "degC"),
        ("smiles", "smiles", None),
        ("yield (%)", "yield", "%"),
        ("T (°C)", "T", "°C"),
        ("chain (A)", "chain (A)", None),
        ("ligand (SMILES)", "ligand (SMILES)", None),
        ("ratio [ ]", "ratio", "dimensionless"),
        ("[x]", "[x]", None),
        ("a [b] c", "a [b] c", None),
    ],
)
def test_a_heading_falls_into_name_and_unit(heading: str, name: str, unit: str | None) -> None:
    assert split_name(heading) == (name, unit)


@pytest.mark.parametrize(
    ("spelling", "pint_name"),
    [
        ("%", "percent"),
        ("percent", "percent"),
        ("mol%", "percent"),
        ("pH", "pH"),
        ("°C", "degree_Celsius"),
        ("uM", "micromolar"),
        ("µM", "micromolar"),
        ("kg m-2 s-1", "kilogram / meter ** 2 / second"),
        ("m s**-1", "meter / second"),
        ("W m^-2", "watt / meter ** 2"),
        ("degrees_north", "degree"),
        ("1", "dimensionless"),
        ("a.u.", "dimensionless"),
        ("eV/atom", "electron_volt / atom"),
    ],
)
def test_laboratory_and_climate_spellings_are_understood(spelling: str, pint_name: str) -> None:
    assert parse_unit(spelling).pint_name == pint_name


@pytest.mark.parametrize(
    ("value", "from_unit", "to_unit", "expected"),
    [
        (25.0, "degC", "K", 298.15),
        (32.0, "degF", "degC", 0.0),
        (300.0, "K", "°C", 26.85),
        (5.0, "mM", "uM", 5000.0),
        (50.0, "%", "dimensionless", 0.5),
        (-3.0, "log10(mol/L)", "log10(mmol/L)", 0.0),
        (7.0, "-log10(mol/L)", "log10(mol/L)", -7.0),
        (9.0, "-log10(mol/L)", "nM", 1.0),
        (10.0, "nM", "-log10(mol/L)", 8.0),
        (1.0, "log10(1/s)", "ln(1/s)", np.log(10)),
        (1.0, "kcal/mol", "kJ/mol", 4.184),
        (7.4, "pH", "pH", 7.4),
        (1000.0, "hPa", "Pa", 100_000.0),
        (2.0, "kg m-2 s-1", "mg/mm**2/s", 2.0),
    ],
)
def test_values_convert(value: float, from_unit: str, to_unit: str, expected: float) -> None:
    assert convert(value, from_unit, to_unit) == pytest.approx(expected, rel=1e-9, abs=1e-9)


@given(st.floats(-300, 300), st.sampled_from(["log10(mol/L)", "-log10(mmol/L)", "ln(uM)"]))
def test_logarithms_survive_there_and_back_whatever_their_size(value: float, unit: str) -> None:
    there = convert(value, "log2(nM)", unit)
    assert convert(there, unit, "log2(nM)") == pytest.approx(value, rel=1e-9, abs=1e-9)


def test_the_logarithm_of_nothing_is_missing() -> None:
    assert np.isnan(convert([0.0, -1.0], "nM", "log10(mol/L)")).all()


def test_one_dimension_has_one_base_unit() -> None:
    for family in (
        ["degC", "K", "degF"],
        ["mM", "mol/L", "nM"],
        ["eV/atom", "eV", "J"],
        ["%", "dimensionless", "degrees_north"],
        ["log10(mol/L)", "-log10(mM)", "ln(nM)"],
    ):
        assert len({canonical_unit(unit)[0] for unit in family}) == 1


def test_the_base_unit_agrees_with_converting() -> None:
    for unit in ["degC", "uM", "degF", "%", "kJ/mol"]:
        base, scale, offset = canonical_unit(unit)
        assert convert(3.5, unit, base) == pytest.approx(3.5 * scale + offset, rel=1e-12)


def test_cells_may_carry_their_own_unit() -> None:
    assert parse_quantity("25 °C", "K") == pytest.approx(298.15)
    assert parse_quantity("5 mM", "mol/L") == pytest.approx(0.005)
    assert parse_quantity("\u22123.5", "degC") == -3.5
    assert carried_unit("25 °C") == "°C"
    assert carried_unit("25") is None
    assert carried_unit("12 monkeys") is None


def test_two_spellings_of_a_unit_are_the_same() -> None:
    assert same_unit("degC", "°C")
    assert not same_unit("log10(mol/L)", "-log10(mol/L)")


@pytest.mark.parametrize(
    ("spelling", "advice"),
    [
        ("kelvim", "Did you mean 'kelvin'"),
        ("MOL/L", "Did you mean 'mol'"),
        ("log(mol/L)", "Write log10"),
        ("9**9**9**9", "Write a unit such as"),
        ("10 mM", "Write a unit such as"),
        ("x" * 200, "Write a unit such as"),
        ("ln(ln(s))", "Write one logarithm"),
        ("log10(degC)", "Use kelvin"),
    ],
)
def test_what_is_no_unit_is_refused_with_advice(spelling: str, advice: str) -> None:
    with pytest.raises(InputError, match=advice):
        parse_unit(spelling)


def test_units_of_different_things_are_named_both() -> None:
    with pytest.raises(InputError, match=r"'degC' cannot be converted to 'mol/L'.*temperature"):
        convert([1.0], "degC", "mol/L")

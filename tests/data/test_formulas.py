import os
from fractions import Fraction
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymatgen.core.composition import Composition as Reference

from kagaku.data.compositions import Composition
from kagaku.data.elements import SYMBOLS
from kagaku.data.formulas import elements_in_formula, parse_formula
from kagaku.errors import InputError

AMOUNTS = st.integers(1, 400).map(lambda n: Fraction(n, 20))
COMPOSITIONS = st.dictionaries(st.sampled_from(SYMBOLS), AMOUNTS, min_size=1, max_size=7)


@pytest.mark.parametrize(
    ("formula", "canonical"),
    [
        ("Fe4O6", "Fe2O3"),
        ("(Ba0.5Sr0.5)TiO3", "BaSrTi2O6"),
        ("Li1.2Mn0.54Ni0.13Co0.13O2", "Li1.2Mn0.54Co0.13Ni0.13O2"),
        ("Zr[W(O4)]2", "ZrW2O8"),
        ("Fe\u2082O\u2083", "Fe2O3"),
        (" Al0.25 Co1 Fe1 Ni1\n", "AlFe4Co4Ni4"),
        ("D2O", "D2O"),
        ("2MgO", "MgO"),
        ("C60", "C"),
        ("ZnO:Al0.02", "AlZn50O50"),
        ("ZnO:Al0.01,Ga0.01", "Al0.01ZnGa0.01O"),
        ("\u03b1-Fe2O3", "Fe2O3"),
        ("alpha-Al2O3", "Al2O3"),
        ("TiO2(s)", "TiO2"),
        ("NaCl (aq)", "NaCl"),
        ("NaCl.KCl", "KNaCl2"),
        ("CaSO4\u00b7\u00bdH2O", "Ca2H2S2O9"),
    ],
)
def test_one_composition_has_one_canonical_form(formula: str, canonical: str) -> None:
    assert parse_formula(formula).formula == canonical


@pytest.mark.parametrize("dot", ["\u00b7", ".", "*", "\u2022", "\u22c5", " \u00b7 "])
def test_water_of_crystallisation_stands_behind_any_dot(dot: str) -> None:
    hydrate = parse_formula(f"CuSO4{dot}5H2O")
    assert hydrate.amounts == {"Cu": 1, "S": 1, "O": 9, "H": 10}


@pytest.mark.parametrize(
    ("formula", "oxygen"),
    [("CaSO4.0.5H2O", 4.5), ("MgCl2.6H2O", 6.0), ("Na0.3CoO2.1.3H2O", 3.3), ("Na2CO3.H2O", 4.0)],
)
def test_a_point_before_water_is_no_decimal_point(formula: str, oxygen: float) -> None:
    assert float(parse_formula(formula).amounts["O"]) == oxygen


def test_a_point_within_an_amount_of_hydrogen_stays_one() -> None:
    assert parse_formula("Li0.5H2O").amounts == {"Li": Fraction(1, 2), "H": 2, "O": 1}


@pytest.mark.parametrize(
    ("formula", "charge", "canonical"),
    [
        ("Fe3+", 3, "Fe^3+"),
        ("Na+", 1, "Na^+"),
        ("Ca++", 2, "Ca^2+"),
        ("SO4^2-", -2, "SO4^2-"),
        ("SO\u2084\u00b2\u207b", -2, "SO4^2-"),
        ("[Co(NH3)6]3+", 3, "CoH18N6^3+"),
        ("OH-", -1, "HO^-"),
        ("Hg2^2+", 2, "Hg2^2+"),
        ("PO4(3-)", -3, "PO4^3-"),
    ],
)
def test_charges_are_read_and_kept(formula: str, charge: int, canonical: str) -> None:
    composition = parse_formula(formula)
    assert (composition.charge, composition.formula) == (charge, canonical)
    assert parse_formula(canonical).charge == charge


def test_percent_by_weight_becomes_atoms_by_the_masses() -> None:
    # 74 g Fe, 18 g Cr, 8 g Ni over 55.845, 51.9961 and 58.6934 g/mol: 1.32509, 0.34618, 0.13630
    # mol, of 1.80757 mol together.
    found = parse_formula("Fe-18Cr-8Ni (wt%)").fractions
    assert found == pytest.approx({"Fe": 0.73308, "Cr": 0.19152, "Ni": 0.07541}, abs=1e-5)


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("Fe-50Ni (at%)", "FeNi"),
        ("Fe-50Ni at.%", "FeNi"),
        ("50Fe 50Ni atomic %", "FeNi"),
        ("70SiO2-30Na2O (mol%)", "Na6Si7O17"),
        ("SiO2-30Na2O mol%", "Na6Si7O17"),
    ],
)
def test_percent_of_atoms_and_moles_stay_exact(text: str, canonical: str) -> None:
    assert parse_formula(text).formula == canonical


@pytest.mark.parametrize(
    ("formula", "message"),
    [
        ("", r"the formula is empty\. Drop the row"),
        ("Xq2O3", r"no element 'Xq' in 'Xq2O3'\. Did you mean 'Xe'\?"),
        ("La2-xSrxCuO4", r"the amount 'x' in .* has no value.*the number that x stands for"),
        ("YBa2Cu3O7-\u03b4", r"the amount '\u03b4' in .* has no value"),
        ("FeOx", r"the amount 'x' in 'FeOx'"),
        ("ZnO:Al", r"how much 'Al' there is.*ZnO:Al0\.02"),
        ("Y3Al5O12:Ce3+", r"how much 'Ce3\+' there is per formula unit"),
        ("ZnO:2%Al", r"how much '2%Al' there is"),
        ("Fe2O-3", r"negative amount or difference '-3'"),
        ("H0O", r"an amount in 'H0O' is 0"),
        ("Fe9999999O", r"the amount 9999999 in .* is too large"),
        ("Li0,5CoO2", r"a comma between two digits\. Write decimals with a point"),
        ("(Fe,Mn)2O3", r"has ',', which leaves the amounts of its parts open"),
        ("NiO/MgO", r"has '/', which leaves"),
        ("Cu-Zn", r"has '-', which leaves the amounts"),
        ("Fe-18Cr-8Ni", r"what its numbers are shares of\. Write \(wt%\) or \(at%\)"),
        ("Fe-120Cr (wt%)", r"add up to 120%, not to 100%"),
        ("60Fe-30Cr (wt%)", r"add up to 90%"),
        ("Fe-Cr-8Ni (wt%)", r"no number for 'Fe' and 'Cr'"),
        ("Fe-8Ni-9Ni (wt%)", r"'Ni' stands twice"),
        ("Fe2O3-50Ni (at%)", r"is a compound, which has no percent of atoms.*mol%"),
        ("NH4+", r"may be an amount or a charge\. Write NH4\^\+ or NH\^4\+"),
        ("Ca(OH", r"a bracket of 'Ca\(OH' is not closed\. Add the '\)'"),
        ("Ca)OH", r"closes a bracket that was not opened"),
        ("(" * 30 + "H" + ")" * 30, r"too many brackets"),
        ("nacl", r"'nacl' has no capital letters"),
        ("NACL", r"no element 'A' in 'NACL', which is all in capitals"),
        ("TiO2 (rutile)", r"has 'r', which begins no element.*phases into a column"),
        ("MAPbI3", r"'MA' in 'MAPbI3' stands for methylammonium"),
        ("\u25a1Fe2O3", r"stands for a vacancy"),
        ("CaO.3Al2O3", r"may part two formulas or be a decimal point"),
        ("()", r"'\(\)' names no element"),
        ("Fe2 3O", r"has ' ', which is no part of a formula"),
        ("K0.0000001Cl", r"less than a millionth of K"),
        ("H" * 1_001, r"has 1001 characters, more than 1,000"),
    ],
)
def test_what_states_no_composition_is_refused_by_its_symbol(formula: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        parse_formula(formula).formula  # noqa: B018 (traces are found where it is written)
    assert caught.value.fix


@given(COMPOSITIONS, st.randoms(use_true_random=False), st.integers(1, 30))
def test_order_and_multiples_do_not_matter_and_the_canonical_form_reads_as_itself(
    amounts: dict[str, Fraction], random: object, factor: int
) -> None:
    composition = Composition(amounts)
    shuffled = list(amounts)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    text = "".join(f"{symbol}{float(amounts[symbol] * factor):.12g}" for symbol in shuffled)
    read = parse_formula(text)
    assert read.formula == composition.formula
    assert parse_formula(read.formula).formula == read.formula
    assert parse_formula(read.formula).fractions == pytest.approx(composition.fractions, rel=1e-5)


@given(st.text(max_size=40) | st.text("HFeO0123.()[]+-^x\u00b7*: %watl,D", max_size=16))
def test_any_text_is_a_composition_or_an_input_error(text: str) -> None:
    try:
        canonical = parse_formula(text).formula
    except InputError:
        return
    assert parse_formula(canonical).formula == canonical


@given(st.dictionaries(st.sampled_from(SYMBOLS[:118]), AMOUNTS, min_size=2, max_size=5))
def test_brackets_multiply_as_in_pymatgen(amounts: dict[str, Fraction]) -> None:
    parts = [f"{symbol}{float(amount):g}" for symbol, amount in amounts.items()]
    text = f"({parts[0]}({''.join(parts[1:])})2)3O"
    reference = Reference(text).fractional_composition.get_el_amt_dict()
    assert parse_formula(text).fractions == pytest.approx(reference)


def test_the_number_of_elements_is_0_for_words() -> None:
    words = ["SrTiO3", "stirred", "", "caffeine", "A1"]
    assert [elements_in_formula(word) for word in words] == [3, 0, 0, 0, 0]


@pytest.mark.benchmark_data
def test_real_formulas_are_read_as_pymatgen_reads_them() -> None:
    folder = Path(os.environ["KAGAKU_DATA"]).expanduser() / "materials" / "matbench"
    formulas: set[str] = set()
    for path in sorted(folder.glob("*.csv*")):
        # "NaN" is sodium nitride here.
        table = pd.read_csv(path, keep_default_na=False)
        formulas |= {
            str(one) for name in ("composition", "formula") if name in table for one in table[name]
        }
    assert len(formulas) > 5_000
    for formula in sorted(formulas)[::7]:
        reference = Reference(formula).fractional_composition.get_el_amt_dict()
        composition = parse_formula(formula)
        assert composition.fractions == pytest.approx(reference, abs=1e-6), formula
        assert parse_formula(composition.formula).formula == composition.formula

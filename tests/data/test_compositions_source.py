"""Formulas drawn by rule: charges cancel, amounts are whole and small."""

import itertools

from kagaku.data.corpora.sources.compositions import (
    ANIONS,
    MOST_ATOMS,
    N_SAMPLES,
    BalancedCompositions,
    drawn_formula,
    metals,
)
from kagaku.data.formulas import parse_formula
from kagaku.modalities.material import Material

FORMULAS = [drawn_formula(number) for number in range(400)]
NEGATIVE: dict[str, int] = dict(ANIONS.keys())


def test_a_formula_depends_on_its_number_alone() -> None:
    assert FORMULAS[:20] == [drawn_formula(number) for number in range(20)]
    assert len(set(FORMULAS)) > 350
    read = itertools.islice(BalancedCompositions({}).read(), 3)
    assert [sample.inputs for sample in read] == [{"material": one} for one in FORMULAS[:3]]
    assert BalancedCompositions.n_about == N_SAMPLES


def test_every_formula_is_readable_and_small() -> None:
    for formula in FORMULAS:
        composition = parse_formula(formula)
        assert Material().check(formula) == composition.formula
        amounts = composition.amounts
        assert sum(amounts.values()) <= MOST_ATOMS
        assert all(amount == int(amount) for amount in amounts.values())


def test_charges_of_salts_cancel_for_some_choice_of_states() -> None:
    states, n_salts = metals(), 0
    for formula in FORMULAS:
        amounts = parse_formula(formula).amounts
        negative = {one: amount for one, amount in amounts.items() if one in NEGATIVE}
        if not negative:
            continue  # an alloy
        n_salts += 1
        needed = -sum(NEGATIVE[one] * int(amount) for one, amount in negative.items())
        cations = [one for one in amounts if one not in negative]
        sums = (
            sum(state * int(amounts[one]) for state, one in zip(chosen, cations, strict=True))
            for chosen in itertools.product(*(states[one] for one in cations))
        )
        assert needed in sums, formula
    assert 0.7 < n_salts / len(FORMULAS) < 0.95


def test_nothing_radioactive_and_no_noble_gas_is_drawn() -> None:
    drawn = {element for formula in FORMULAS for element in parse_formula(formula).amounts}
    assert not drawn & {"He", "Ne", "Ar", "Kr", "Xe", "Tc", "Pm", "U", "Th", "Po"}
    assert len(drawn) > 60
    assert {"O", "Li", "Fe", "Ti"} <= drawn

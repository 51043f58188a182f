import json
import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kagaku.data.records import Quantity
from kagaku.errors import InputError
from kagaku.modalities import QuantityModality
from kagaku.modalities.quantity import FARTHEST, FREQUENCIES, QuantityConfig, fit_scale


def fitted(*quantities: Quantity) -> QuantityModality:
    modality = QuantityModality()
    modality.fit([modality.check(one) for one in quantities])
    return modality


def standardised(modality: QuantityModality, quantity: Quantity) -> float:
    return float(modality.tokenize(modality.check(quantity)).values[0, 0])


def test_one_quantity_is_one_token_of_the_value_its_waves_and_its_size() -> None:
    modality = fitted(Quantity("T", 290.0, "K"), Quantity("T", 310.0, "K"))
    tokens = modality.tokenize(modality.check(Quantity("T", 305.0, "K")))
    waves = [f(frequency * 0.5) for frequency in FREQUENCIES for f in (math.sin, math.cos)]
    # float32
    np.testing.assert_allclose(tokens.values, [[0.5, *waves, math.log(306)]], rtol=1e-6)
    assert tokens.positions.tolist() == [[0, 0, 0]]


def test_units_do_not_matter_as_long_as_they_are_compatible() -> None:
    modality = fitted(Quantity("T", 290.0, "K"), Quantity("T", 310.0, "K"))
    assert modality.check(Quantity("T", 25.0, "degC")) == Quantity("T", 298.15, "kelvin")
    assert standardised(modality, Quantity("T", 26.85, "degC")) == pytest.approx(0, abs=1e-6)


def test_names_differ_in_more_than_their_case() -> None:
    modality = fitted(Quantity("Dose", 1.0, "mg"), Quantity("dose ", 3.0, "mg"))
    assert list(modality.state()["scales"]) == ["dose"]
    other = fitted(Quantity("salt", 1.0, "mg"), Quantity("salt", 3.0, "mg"))
    dose = modality.tokenize(modality.check(Quantity("DOSE", 1.0, "mg")))
    salt = other.tokenize(other.check(Quantity("salt", 1.0, "mg")))
    assert not np.array_equal(dose.ids[:, :4], salt.ids[:, :4])
    assert np.array_equal(dose.ids[:, 4:], salt.ids[:, 4:])
    assert np.array_equal(dose.values, salt.values)


def test_values_over_more_than_two_decades_go_on_a_log_scale() -> None:
    wide = fitted(*(Quantity("c", value, "mol/L") for value in (1e-9, 1e-7, 1e-5, 1e-3)))
    steps = [standardised(wide, Quantity("c", 10.0**power, "mol/L")) for power in (-7, -6, -5)]
    # log(1 + x / threshold) bends from the logarithm by 1% two decades above its threshold
    assert steps[1] - steps[0] == pytest.approx(steps[2] - steps[1], rel=0.01)
    narrow = fitted(*(Quantity("c", value, "mol/L") for value in (1.0, 2.0, 100.0)))
    assert narrow.state()["scales"]["c"]["threshold"] is None


def test_how_wide_a_span_calls_for_a_log_scale_is_a_setting() -> None:
    modality = QuantityModality(QuantityConfig(log_span=5.0))
    modality.fit([modality.check(Quantity("c", value, "M")) for value in (1.0, 10.0)])
    assert modality.state()["scales"]["c"]["threshold"] is not None
    with pytest.raises(InputError, match=r"log_span must be more than 1, got 1\.0"):
        QuantityConfig(log_span=1.0)


def test_zero_and_negative_values_have_a_place_on_a_log_scale() -> None:
    modality = fitted(*(Quantity("c", value, "M") for value in (0.0, 1e-9, 1e-6, 1e-3)))
    found = [standardised(modality, Quantity("c", x, "M")) for x in (-1e-9, 0.0, 1e-9, 1e-3)]
    assert found == sorted(found)
    assert len(set(found)) == 4


def test_logarithms_are_told_apart_from_what_they_are_of() -> None:
    modality = fitted(Quantity("c", -3.0, "log10(mol/L)"), Quantity("c", -5.0, "log10(mol/L)"))
    same = modality.check(Quantity("c", 4.0, "-log10(mol/L)"))
    assert standardised(modality, same) == pytest.approx(0, abs=1e-6)


@example([0.0, 0.0, 1.1125369292536007e-308])
@given(st.lists(st.floats(-1e12, 1e12), min_size=1, max_size=20))
def test_training_values_are_standardised(values: list[float]) -> None:
    scale = fit_scale(values, "meter", log_span=100.0)
    z = np.array([scale.standardise(value) for value in values])
    assert np.isfinite(z).all()
    assert scale.std > 0
    assert abs(z.mean()) < 1e-6 * max(1.0, np.abs(z).max())
    assert z.std() == pytest.approx(1, abs=1e-3) or np.ptp(z) < 1e-9


def test_tiny_values_in_base_units_are_not_taken_for_equal() -> None:
    modality = fitted(*(Quantity("E", value, "zJ") for value in (1.0, 2.0, 3.0)))
    assert standardised(modality, Quantity("E", 3.0, "zJ")) == pytest.approx(1.5**0.5, rel=1e-6)


def test_a_constant_column_is_zero_and_another_value_is_not_infinite() -> None:
    modality = fitted(Quantity("T", 300.0, "K"), Quantity("T", 300.0, "K"))
    assert standardised(modality, Quantity("T", 300.0, "K")) == 0
    assert standardised(modality, Quantity("T", 330.0, "K")) == pytest.approx(0.1)
    nothing = fitted(Quantity("n", 0.0, "dimensionless"))
    assert standardised(nothing, Quantity("n", 2.0, "dimensionless")) == 2


def test_a_logarithm_of_nothing_positive_is_refused() -> None:
    modality = fitted(Quantity("c", -3.0, "log10(mol/L)"))
    with pytest.raises(InputError, match=r"-1\.0 mol/L is no number of ln\("):
        modality.check(Quantity("c", -1.0, "mol/L"))


def test_sizes_beyond_the_universe_are_refused_and_far_ones_stay_finite() -> None:
    modality = fitted(Quantity("m", 1.0, "kg"), Quantity("m", 1.0 + 1e-9, "kg"))
    with pytest.raises(InputError, match=r"1e\+40 kg is no number of kilogram up to 1e\+36"):
        modality.check(Quantity("m", 1e40, "kg"))
    assert standardised(modality, Quantity("m", 1e36, "kg")) == FARTHEST
    assert standardised(modality, Quantity("m", -1e36, "kg")) == -FARTHEST


def test_tokenizing_before_fit_says_so() -> None:
    with pytest.raises(InputError, match=r"scale of 'T' is not known yet\. Call fit"):
        QuantityModality().tokenize(Quantity("T", 1.0, "kelvin"))


def test_the_scales_come_back_from_json() -> None:
    modality = fitted(*(Quantity("c", value, "M") for value in (1e-9, 1e-3)))
    restored = QuantityModality()
    restored.load_state(json.loads(json.dumps(modality.state())))
    assert restored.state() == modality.state()

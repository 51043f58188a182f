"""Classical features of quantities."""

import numpy as np
import pytest

from kagaku.data.records import Quantity
from kagaku.errors import InputError
from kagaku.science_tasks.conditions import QuantityFeatures


def quantities(values: list[float], unit: str) -> list[Quantity | None]:
    return [Quantity("x", value, unit) for value in values]


def features_of(train: list[Quantity | None], new: list[Quantity | None]) -> np.ndarray:
    featurizer = QuantityFeatures()
    featurizer.fit(train)
    values: np.ndarray = featurizer.transform("x", new)[0].values
    return values


def test_a_plain_number_is_standardised_on_training_values() -> None:
    train = quantities([6.0, 7.0, 8.0], "pH")
    values = features_of(train, quantities([7.0, 8.0, 9.0], "pH"))
    assert values.shape == (3, 1)
    assert values[0, 0] == 0
    assert values[2, 0] == pytest.approx(2 * values[1, 0])


def test_a_concentration_over_decades_gets_its_logarithm() -> None:
    train = quantities([1e-6, 1e-5, 1e-4, 1e-3], "mol/L")
    values = features_of(train, quantities([1e-6, 1e-5, 1e-4, 0.0, -1.0], "mol/L"))
    assert values.shape == (5, 2)
    steps = np.diff(values[:3, 1])
    assert steps[0] == pytest.approx(steps[1], rel=1e-5)
    # What has no logarithm takes the lowest that was seen.
    assert values[3, 1] == values[4, 1] == values[0, 1]


@pytest.mark.parametrize(
    ("values", "unit"),
    [
        ([1.0, 2.0, 9.0], "mol/L"),
        ([0.0, 1.0, 1e6], "mol/L"),
        ([-1.0, 1.0, 1e6], "V"),
        ([1.0, 10.0, 100.0], "log10(mol/L)"),
    ],
)
def test_a_narrow_zero_negative_or_logarithmic_quantity_gets_no_logarithm(
    values: list[float], unit: str
) -> None:
    train = quantities(values, unit)
    assert features_of(train, train).shape == (3, 1)


def test_a_temperature_gets_its_reciprocal_in_kelvin() -> None:
    train = quantities([0.0, 20.0, 40.0, 80.0], "degC")
    values = features_of(train, quantities([20.0, 40.0, 60.0], "degC"))
    assert values.shape == (3, 2)
    reciprocal = 1 / (np.array([20.0, 40.0, 60.0]) + 273.15)
    np.testing.assert_allclose(
        np.diff(values[:, 1])[1] / np.diff(values[:, 1])[0],
        np.diff(reciprocal)[1] / np.diff(reciprocal)[0],
        rtol=1e-4,
    )
    assert (np.diff(values[:, 1]) < 0).all()


def test_other_units_of_one_dimension_are_converted() -> None:
    train = quantities([20.0, 40.0, 80.0], "degC")
    given: list[Quantity | None] = [Quantity("x", 25.0, "degC"), Quantity("x", 298.15, "K")]
    values = features_of(train, given)
    np.testing.assert_allclose(values[0], values[1], atol=1e-6)


def test_a_unit_of_another_dimension_is_refused() -> None:
    featurizer = QuantityFeatures()
    featurizer.fit(quantities([20.0, 40.0], "degC"))
    with pytest.raises(InputError, match="'mol/L' cannot be converted to 'degC'"):
        featurizer.transform("x", quantities([1.0], "mol/L"))


def test_a_constant_condition_becomes_zero() -> None:
    train = quantities([25.0, 25.0, 25.0], "degC")
    values = features_of(train, quantities([25.0, 60.0], "degC"))
    assert not values.any()

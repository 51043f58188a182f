from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from scores.functions import create_latitude_weights

from kagaku.data.records import Field
from kagaku.errors import InputError
from kagaku.modalities import Climate
from kagaku.modalities.climate import ClimateConfig


def global_field(seed: int = 0, unit: str = "K") -> Field:
    random = np.random.default_rng(seed)
    values = random.normal(280, 10, (2, 8, 12))
    values[1, 2:4, 5:9] = np.nan
    return Field(
        values=values,
        names=("air_temperature", "sea_surface_temperature"),
        units=(unit, unit),
        latitudes=np.linspace(78.75, -78.75, 8),
        longitudes=np.arange(12) * 30.0,
        time=7_305.0,
        day_of_year=0.0,
    )


def fitted(*fields: Field, config: ClimateConfig | None = None) -> Climate:
    climate = Climate(config)
    climate.fit([climate.check(field) for field in fields])
    return climate


def multiset(climate: Climate, field: Field) -> Counter[bytes]:
    """Return every token with its position, in no order, to the digits that float32 has."""
    tokens = climate.tokenize(climate.check(field))
    rows = np.hstack([tokens.ids, tokens.values.round(4) + 0.0, tokens.positions.round(3)])
    return Counter(row.tobytes() for row in rows)


def flipped(field: Field) -> Field:
    return replace(field, values=field.values[:, ::-1], latitudes=field.latitudes[::-1])


def rolled(field: Field, columns: int) -> Field:
    """Return the field with longitudes in -180..180, stored from another meridian on."""
    longitudes = np.roll(field.longitudes, columns)
    return replace(
        field,
        values=np.roll(field.values, columns, axis=2),
        longitudes=np.where(longitudes > 180, longitudes - 360, longitudes),
    )


@given(columns=st.integers(0, 11), is_flipped=st.booleans())
def test_a_global_grid_has_the_same_tokens_however_it_is_stored(
    columns: int, is_flipped: bool
) -> None:
    field = global_field()
    climate = fitted(field)
    stored = rolled(flipped(field) if is_flipped else field, columns)
    assert multiset(climate, stored) == multiset(climate, field)


def test_a_region_has_the_same_tokens_however_it_is_stored() -> None:
    field = global_field()
    west = replace(
        field, values=field.values[:, :, :5], longitudes=np.array([-10.0, -5.0, 0.0, 5.0, 10.0])
    )
    east = replace(
        west,
        values=west.values[:, :, [2, 3, 4, 0, 1]],
        longitudes=np.array([0.0, 5.0, 10.0, 350.0, 355.0]),
    )
    climate = fitted(west)
    assert multiset(climate, east) == multiset(climate, west) == multiset(climate, flipped(east))


def test_another_field_has_other_tokens() -> None:
    climate = fitted(global_field())
    assert multiset(climate, global_field(1)) != multiset(climate, global_field())


def test_tokens_stand_at_the_centre_of_their_cells_and_hold_them_standardised() -> None:
    field = global_field()
    climate = fitted(field)
    tokens = climate.tokenize(field)
    learnt = climate.state()["variables"]["air_temperature"]
    assert len(tokens) == 2 * 2 * 3
    assert tokens.positions[:2].tolist() == [[0.0, 45.0, 45.0], [0.0, 45.0, 165.0]]
    expected = (field.values[0, :4, :4].ravel() - learnt["mean"]) / learnt["std"]
    np.testing.assert_allclose(tokens.values[0, :16], expected, rtol=1e-5)


def test_missing_cells_are_zero_with_mask_zero() -> None:
    field = global_field()
    tokens = fitted(field).tokenize(field)
    cells, mask = tokens.values[:, :16], tokens.values[:, 16:32]
    assert set(mask.ravel()) == {0.0, 1.0}
    assert (mask == 0).sum() == np.isnan(field.values).sum() == 8
    assert not cells[mask == 0].any()


def test_a_variable_that_is_missing_everywhere_has_tokens_without_cells() -> None:
    field = global_field()
    field.values[1] = np.nan
    climate = fitted(field, field)
    assert not climate.tokenize(climate.check(field)).values[6:, :32].any()


def test_the_season_is_in_the_values_and_the_year_nowhere() -> None:
    field = global_field()
    climate = fitted(field)
    july = climate.tokenize(replace(field, day_of_year=0.5, time=9_999.0))
    # float32 leaves sin(pi) at about 1e-7
    np.testing.assert_allclose(july.values[:, -2:], np.tile([0.0, -1.0], (12, 1)), atol=1e-6)
    assert climate.tokenize(field).values[0, -2:].tolist() == [0.0, 1.0]
    assert climate.tokenize(replace(field, day_of_year=None)).values[0, -2:].tolist() == [0.0, 0.0]
    assert np.array_equal(july.positions, climate.tokenize(field).positions)


def test_means_and_spreads_are_weighted_by_area_as_scores_weights_latitudes() -> None:
    fields = [global_field(seed) for seed in range(3)]
    learnt = fitted(*fields).state()["variables"]
    latitudes = fields[0].latitudes
    weights = create_latitude_weights(xr.DataArray(latitudes, dims="lat")).to_numpy()
    for index, name in enumerate(("air_temperature", "sea_surface_temperature")):
        cells = np.stack([field.values[index] for field in fields])
        weight = np.where(np.isnan(cells), 0, weights[:, None])
        mean = np.average(np.nan_to_num(cells), weights=weight)
        variance = np.average((np.nan_to_num(cells) - mean) ** 2, weights=weight)
        assert learnt[name]["mean"] == pytest.approx(mean, rel=1e-12)
        assert learnt[name]["std"] == pytest.approx(variance**0.5, rel=1e-9)


def test_rows_near_the_poles_count_little() -> None:
    field = global_field()
    warm_poles = replace(
        field,
        values=np.where(np.abs(field.latitudes)[:, None] > 70, 400, 280.0)
        + np.zeros_like(field.values),
    )
    mean = fitted(warm_poles).state()["variables"]["air_temperature"]["mean"]
    assert 280 < mean < 280 + 120 / 4 / 2  # a quarter of the rows, less than half of their share


def test_units_are_brought_to_those_of_training() -> None:
    kelvin = global_field()
    celsius = replace(kelvin, values=kelvin.values - 273.15, units=("degC", "degree_Celsius"))
    climate = fitted(kelvin)
    checked = climate.check(celsius)
    assert checked.units == ("K", "K")
    np.testing.assert_allclose(checked.values, kelvin.values, rtol=1e-12)
    np.testing.assert_allclose(
        climate.tokenize(celsius).values, climate.tokenize(kelvin).values, atol=1e-5
    )


def test_fields_of_mixed_units_are_learnt_from_in_the_first_unit() -> None:
    kelvin = global_field()
    celsius = replace(kelvin, values=kelvin.values - 273.15, units=("degC", "degC"))
    learnt = fitted(kelvin, celsius).state()["variables"]["air_temperature"]
    alone = fitted(kelvin).state()["variables"]["air_temperature"]
    assert learnt["unit"] == "K"
    assert learnt["mean"] == pytest.approx(alone["mean"], rel=1e-12)


def test_a_unit_that_no_library_knows_works_as_long_as_it_stays_the_same() -> None:
    salinity = replace(global_field(), units=("blorps", "blorps"))
    climate = fitted(salinity)
    assert len(climate.tokenize(climate.check(salinity))) == 12
    with pytest.raises(InputError, match=r"air_temperature is in 'K', in training.*'blorps'"):
        climate.check(global_field())


def test_compatible_units_share_their_ids_and_variables_do_not() -> None:
    kelvin = global_field()
    celsius = replace(kelvin, values=kelvin.values - 273.15, units=("degC", "degC"))
    first = fitted(kelvin).tokenize(kelvin).ids
    assert np.array_equal(first, fitted(celsius).tokenize(celsius).ids)
    assert not np.array_equal(first[0, :4], first[-1, :4])
    assert np.array_equal(first[0, 4:], first[-1, 4:])


def test_fields_of_different_size_and_missing_cells_are_learnt_from_as_one_sample() -> None:
    field = global_field()
    half = replace(field, values=field.values[:, :3] + 5, latitudes=field.latitudes[:3])
    empty = replace(half, values=np.full_like(half.values, np.nan))
    empty.values[0] = 1.0
    climate = fitted(field, empty, half)
    cells = np.concatenate([field.values[1], half.values[1]])
    latitudes = np.concatenate([field.latitudes, half.latitudes])
    weight = np.where(np.isnan(cells), 0, np.cos(np.deg2rad(latitudes))[:, None])
    mean = np.average(np.nan_to_num(cells), weights=weight)
    variance = np.average((np.nan_to_num(cells) - mean) ** 2, weights=weight)
    learnt = climate.state()["variables"]["sea_surface_temperature"]
    assert learnt["mean"] == pytest.approx(mean, rel=1e-12)
    assert learnt["std"] == pytest.approx(variance**0.5, rel=1e-9)


def test_trace_gases_are_not_taken_for_constant() -> None:
    field = global_field()
    trace = replace(field, values=field.values * 1e-14, units=("mol mol-1", "mol mol-1"))
    np.testing.assert_allclose(
        fitted(trace).tokenize(trace).values, fitted(field).tokenize(field).values, rtol=1e-5
    )


def test_a_constant_variable_stays_finite() -> None:
    flat = replace(global_field(), values=np.full((2, 8, 12), 1.0))
    cells = fitted(flat).tokenize(flat).values[:, :16]
    assert np.abs(cells).max() < 1e-12  # rounding of the weighted mean


def test_fewer_variables_than_in_training_are_fine_and_more_are_not() -> None:
    field = global_field()
    climate = fitted(field)
    one = replace(field, values=field.values[:1], names=field.names[:1], units=("K",))
    assert len(climate.tokenize(climate.check(one))) == 6
    with pytest.raises(InputError, match=r"no variable 'sea_surface_temperature' in training"):
        fitted(one).check(field)


def test_tokenizing_before_fit_says_so() -> None:
    with pytest.raises(InputError, match=r"'air_temperature' are not known yet\. Call fit"):
        Climate().tokenize(global_field())


def test_larger_patches_make_fewer_tokens_and_travel_with_the_state() -> None:
    field = global_field()
    climate = fitted(field, config=ClimateConfig(patch_cells=8))
    restored = Climate()
    restored.load_state(climate.state())
    assert restored.tokenize(field).values.shape == (4, 130) == (4, restored.n_values)


def test_whole_numbers_become_real_ones() -> None:
    field = global_field()
    whole = replace(field, values=np.full((2, 8, 12), 3))
    assert Climate().check(whole).values.dtype == np.float32


def test_fields_of_text_and_empty_ones_are_refused() -> None:
    field = global_field()
    with pytest.raises(InputError, match=r"values of type <U1"):
        Climate().check(replace(field, values=np.full((2, 8, 12), "a")))
    with pytest.raises(InputError, match=r"no cells"):
        Climate().check(replace(field, values=np.zeros((2, 0, 12)), latitudes=np.zeros(0)))
    with pytest.raises(InputError, match=r"latitude of 2 dimensions out of range"):
        Climate().check(replace(field, values=field.values, latitudes=np.zeros((8, 1))))
    with pytest.raises(InputError, match=r"max_tokens must be positive, got -1"):
        ClimateConfig(max_tokens=-1)


def test_a_varied_field_is_the_same_pattern_over_a_smaller_area() -> None:
    rng = np.random.default_rng(0)
    cells = rng.normal(280, 10, (1, 6, 8))
    cells[0, 2, 3] = np.nan
    whole = Field(
        cells, ("air_temperature",), ("K",), np.linspace(75, -75, 6), np.arange(0, 360, 45.0)
    )
    for seed in range(20):
        varied = Climate().vary(whole, np.random.default_rng(seed))
        assert np.ptp(varied.latitudes) <= 150
        assert np.diff(varied.latitudes).max() < 0, "north stays first"
        assert varied.latitudes.min() >= -90
        assert varied.latitudes.max() <= 90
        assert varied.longitudes.min() >= 0
        assert varied.longitudes.max() <= 360
        shrunk = np.ptp(varied.latitudes) / 150
        there = np.isfinite(cells[0])
        np.testing.assert_array_equal(np.isfinite(varied.values[0]), there)
        assert np.std(varied.values[0][there]) == pytest.approx(
            np.std(cells[0][there]) * shrunk**0.5
        )
        pair = np.corrcoef(varied.values[0][there], cells[0][there])
        assert pair[0, 1] == pytest.approx(1.0)

"""Classical features of climate fields."""

from dataclasses import replace

import numpy as np
import pytest

from kagaku.data.records import Field
from kagaku.errors import InputError
from kagaku.science_tasks.climate.features import N_PATTERNS, FieldFeatures
from kagaku.science_tasks.features import FeatureBlock

LATITUDES, LONGITUDES = np.linspace(80, -80, 17), np.arange(0.0, 360.0, 15.0)
RADIANS = np.deg2rad(LATITUDES)


def field(values: np.ndarray, day_of_year: float | None = 0.0) -> Field:
    return Field(
        values, ("sea_surface_temperature",), ("K",), LATITUDES, LONGITUDES, 0.0, day_of_year
    )


def oscillation(count: int, *, noise: float = 0.1, seed: int = 0) -> tuple[list[Field], np.ndarray]:
    """Return fields with one standing pattern of random amplitude, and the amplitudes."""
    rng = np.random.default_rng(seed)
    amplitudes = rng.normal(size=count)
    pattern = np.cos(RADIANS)[:, None] * np.sin(np.deg2rad(LONGITUDES))[None]
    fields = [
        field((290 + a * pattern + noise * rng.normal(size=pattern.shape))[None], i / count)
        for i, a in enumerate(amplitudes)
    ]
    return fields, amplitudes


def by_kind(featurizer: FieldFeatures, values: list[Field | None]) -> dict[str, FeatureBlock]:
    return {b.name.removeprefix("f:"): b for b in featurizer.transform("f", values)}


def test_the_leading_pattern_is_the_one_that_the_fields_were_made_of() -> None:
    fields, _ = oscillation(60)
    features = FieldFeatures()
    features.fit(fields)
    new, amplitudes = oscillation(40, seed=1)
    leading = by_kind(features, [*new])["eof"].values[:, 0]
    assert abs(np.corrcoef(leading, amplitudes)[0, 1]) > 0.99


def test_means_are_weighted_by_area() -> None:
    # Warm poles and a cold equator: by area the cold side weighs more than by rows.
    rows = np.abs(np.sin(RADIANS))[:, None] * np.ones((1, len(LONGITUDES)))
    fields = [field(scale * rows[None]) for scale in (0.0, 1.0, 2.0, 3.0)]
    features = FieldFeatures()
    features.fit(fields)
    by_area = float((rows[:, 0] * np.cos(RADIANS)).sum() / np.cos(RADIANS).sum())
    # A uniform field with the mean of scale 1 must have the standardised mean of that field.
    uniform = field(np.full((1, *rows.shape), by_area))
    means = by_kind(features, [fields[1], uniform])["area_means"].values
    assert means[0, 0] == pytest.approx(means[1, 0], abs=1e-5)
    assert by_area < rows.mean()


def test_the_season_is_a_point_on_a_circle() -> None:
    fields, _ = oscillation(48)
    features = FieldFeatures()
    features.fit(fields)
    values = fields[0].values
    given: list[Field | None] = [field(values, day) for day in (0.0, 0.999, 0.5)]
    seasons = by_kind(features, given)["area_means"].values
    assert np.linalg.norm(seasons[0] - seasons[1]) < 0.1
    assert np.linalg.norm(seasons[0] - seasons[2]) > 1.0


def test_fields_without_time_have_no_season() -> None:
    fields = [replace(one, day_of_year=None) for one in oscillation(10)[0]]
    features = FieldFeatures()
    features.fit(fields)
    assert not by_kind(features, [*fields])["area_means"].values[:, -2:].any()


def test_a_field_with_missing_cells_is_near_the_whole_field() -> None:
    fields, _ = oscillation(60)
    features = FieldFeatures()
    features.fit(fields)
    holes = fields[0].values.copy()
    holes[:, 3:5, 2:4] = np.nan
    empty = np.full_like(holes, np.nan)
    given: list[Field | None] = [fields[0], field(holes, 0.0), field(empty, 0.0)]
    blocks = by_kind(features, given)
    for block in blocks.values():
        assert np.isfinite(block.values).all()
    eof = blocks["eof"].values
    assert np.linalg.norm(eof[1] - eof[0]) < 0.2 * np.linalg.norm(eof[0] - eof[2])
    # Without any cell every amplitude is that of the mean field.
    np.testing.assert_allclose(eof[2], 0, atol=1e-6)


def test_land_that_is_always_missing_takes_no_part() -> None:
    fields, amplitudes = oscillation(60)
    masked = []
    for one in fields:
        values = one.values.copy()
        values[:, :, :8] = np.nan
        masked.append(replace(one, values=values))
    features = FieldFeatures()
    features.fit(masked)
    leading = by_kind(features, [*masked])["eof"].values[:, 0]
    assert abs(np.corrcoef(leading, amplitudes)[0, 1]) > 0.95


def test_the_number_of_patterns_is_bounded_by_records_and_by_the_limit() -> None:
    for count, expected in ((4, 3), (60, N_PATTERNS)):
        fields, _ = oscillation(count)
        features = FieldFeatures()
        features.fit(fields)
        assert by_kind(features, [*fields])["eof"].values.shape == (count, expected)


def test_a_coarse_grid_has_as_many_boxes_as_cells() -> None:
    rng = np.random.default_rng(0)
    grid = np.array([45.0, -45.0]), np.array([0.0, 120.0, 240.0])
    fields = [Field(rng.normal(size=(1, 2, 3)), ("t",), ("K",), grid[0], grid[1]) for _ in range(5)]
    features = FieldFeatures()
    features.fit(fields)
    assert by_kind(features, [*fields])["boxes"].values.shape == (5, 6)


def test_another_grid_or_other_variables_are_refused() -> None:
    fields, _ = oscillation(5)
    features = FieldFeatures()
    features.fit(fields)
    wrong = {
        r"latitudes from -80 to 80 in 17 steps, but the training fields have from 80 to -80": (
            replace(fields[0], latitudes=LATITUDES[::-1])
        ),
        r"longitudes from 0 to 165 in 12 steps": replace(
            fields[0], longitudes=LONGITUDES[:12], values=fields[0].values[..., :12]
        ),
        r"variables \['air_temperature'\]": replace(fields[0], names=("air_temperature",)),
        r"units \['degC'\]": replace(fields[0], units=("degC",)),
    }
    for message, one in wrong.items():
        with pytest.raises(InputError, match=message):
            features.transform("f", [one])
        with pytest.raises(InputError, match=message):
            FieldFeatures().fit([*fields, one])

"""Grids: finding coordinates, calendars, leads, and the records that come of it."""

from pathlib import Path

import cftime
import numpy as np
import pytest
import scores.functions
import xarray as xr

from kagaku.data import (
    Grid,
    Records,
    area_weights,
    grid_from_dataset,
    infer_schema,
    read,
    read_grid,
)
from kagaku.data.cells import records_from_grid
from kagaku.data.coordinates import position_in_year
from kagaku.data.lead_times import parse_lead, target_times
from kagaku.errors import InputError

LATITUDES = np.array([60.0, 30.0, 0.0, -30.0])
LONGITUDES = np.array([0.0, 90.0, 180.0, 270.0, 350.0])


def dataset(n_times: int = 24, *, units: str = "days since 2000-01-01", calendar: str = "360_day",
            step: float = 30.0) -> xr.Dataset:  # fmt: skip
    rng = np.random.default_rng(0)
    field = rng.normal(size=(n_times, 4, 5)).astype(np.float32)
    field[0, 0, 0] = np.nan
    made = xr.Dataset(
        {
            "sst": (
                ("time", "y", "x"),
                field,
                {"standard_name": "sea_surface_temperature", "units": "K"},
            ),
            "index": (("time",), np.arange(n_times, dtype=np.float32), {"units": "degC"}),
            "depth": (("y", "x"), np.ones((4, 5), np.float32), {"units": "m"}),
            "names": (("time",), np.array(["a"] * n_times)),
        },
        coords={
            "time": (("time",), np.arange(n_times) * step, {"units": units, "calendar": calendar}),
            "y": (("y",), LATITUDES, {"units": "degrees_north"}),
            "x": (("x",), LONGITUDES, {"standard_name": "longitude"}),
        },
    )
    made["sst"].encoding["_FillValue"] = np.float32(-999.0)
    return made


@pytest.fixture(params=["a.nc", "a.zarr", "packed.nc", "classic.nc"])
def stored(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / str(request.param)
    made = dataset().drop_vars("names")
    if path.suffix == ".zarr":
        made.to_zarr(path, consolidated=False)
    elif path.name.startswith("packed"):
        packing = {"dtype": "int16", "scale_factor": 0.001, "_FillValue": -32768}
        made.to_netcdf(path, encoding={"sst": packing})
    elif path.name.startswith("classic"):
        made.to_netcdf(path, format="NETCDF3_CLASSIC")
    else:
        made.to_netcdf(path)
    return path


def test_netcdf_and_zarr_give_back_what_was_written(stored: Path) -> None:
    grid = read_grid(stored)
    assert isinstance(read(stored), Grid)
    assert (grid.latitude, grid.longitude, grid.time) == ("y", "x", "time")
    assert grid.latitudes.tolist() == LATITUDES.tolist()
    assert sorted(grid.fields()) == ["depth", "sst"]
    assert grid.series() == ["index"]
    values = grid.values("sst")
    assert values.shape == (24, 1, 4, 5)
    assert np.isnan(values[0, 0, 0, 0])
    np.testing.assert_allclose(values[:, 0], dataset()["sst"].values, atol=6e-4)  # packed in 0.001


def records_of(made: xr.Dataset, target: str, lead: str | None, **options: list[str]) -> Records:
    grid = grid_from_dataset(made)
    schema = infer_schema(grid, targets=[target], lead=lead, inputs=options.get("inputs"))
    return records_from_grid(grid, schema, with_targets=True)


def test_a_record_is_a_field_at_one_time() -> None:
    records = records_of(dataset(), "index", None)
    field = records.inputs["fields"][1]
    assert field.names == ("sea_surface_temperature", "depth")
    assert field.units == ("K", "m")
    assert field.values.shape == (2, 4, 5)
    assert field.time == pytest.approx(30 * 360 + 30)  # days of a 360-day calendar since 1970
    assert field.day_of_year == pytest.approx(30 / 360)
    assert records.rows.tolist() == list(range(1, 25))
    assert records.schema.ignored[0].column == "names"


@pytest.mark.parametrize("lead", ["3 months", "90 days", "3 steps", "2160 hours"])
def test_a_lead_shifts_the_target_in_calendar_time(lead: str) -> None:
    values = records_of(dataset(), "index", lead).targets["index"].values
    np.testing.assert_array_equal(values[:-3], np.arange(3, 24))
    assert np.isnan(values[-3:]).all()


def test_a_field_can_be_predicted_from_itself_later() -> None:
    made = dataset()
    records = records_of(made, "sst [degC]", "1 month", inputs=["sst"])
    target = records.targets["sst"].values
    assert records.schema.targets[0].kind == "field"
    assert target.shape == (24, 4, 5)
    np.testing.assert_allclose(target[:-1], made["sst"].values[1:] - 273.15, atol=1e-4)
    assert records.targets["sst"].present().tolist() == [True] * 23 + [False]


def test_gaps_in_time_leave_targets_missing() -> None:
    made = dataset().isel(time=[0, 1, 2, 4, 5, 6])
    values = records_of(made, "index", "1 month").targets["index"].values
    np.testing.assert_array_equal(values, [1, 2, np.nan, 5, 6, np.nan])


def test_mid_month_stamps_are_one_calendar_month_apart() -> None:
    times = tuple(cftime.datetime(2001, month, day, calendar="noleap")
                  for month, day in [(1, 16), (2, 15), (3, 16), (4, 16)])  # fmt: skip
    assert target_times(times, parse_lead("1 month")).tolist() == [1, 2, 3, -1]
    assert target_times(times, parse_lead("1 year")).tolist() == [-1] * 4


def test_on_a_daily_axis_a_month_later_is_the_same_day() -> None:
    times = tuple(cftime.num2date(range(70), "days since 2001-01-01", "standard"))
    found = target_times(times, parse_lead("1 month"))
    assert found[0] == 31
    assert found[30] == -1  # there is no 31 February


@pytest.mark.parametrize(
    "calendar", ["360_day", "noleap", "standard", "proleptic_gregorian", "julian"]
)
def test_the_position_in_the_year_follows_the_calendar(calendar: str) -> None:
    first = cftime.datetime(2001, 1, 1, calendar=calendar)
    last = cftime.datetime(2001, 12, 30, 12, calendar=calendar)
    assert position_in_year(first) == 0.0
    assert 0.99 < position_in_year(last) < 1.0


@pytest.mark.parametrize(
    ("units", "values", "second"),
    [
        ("months since 1990-01-01", [0.0, 1.0], (1990, 2)),
        ("years since 1850-01-01", [0.0, 10.0], (1860, 1)),
        ("hours since 1999-12-31 18:00", [0.0, 6.0], (2000, 1)),
        ("", [1950.0, 1951.0], (1951, 1)),
    ],
)
def test_time_axes_of_many_kinds_are_read(
    units: str, values: list[float], second: tuple[int, int]
) -> None:
    made = dataset(2, calendar="standard").drop_vars("names")
    attributes = {"units": units, "calendar": "standard"} if units else {}
    made = made.assign_coords(time=(("time",), values, attributes))
    times = grid_from_dataset(made).times
    assert (times[1].year, times[1].month) == second


def test_datasets_with_decoded_times_are_read_too() -> None:
    made = dataset(3, calendar="standard").drop_vars("names")
    for use_cftime in (False, True):
        decoder = xr.coders.CFDatetimeCoder(use_cftime=use_cftime)
        times = grid_from_dataset(xr.decode_cf(made, decode_times=decoder)).times
        assert [(time.year, time.month, time.day) for time in times] == [
            (2000, 1, 1),
            (2000, 1, 31),
            (2000, 3, 1),
        ]


def test_levels_become_variables() -> None:
    made = dataset(2).drop_vars(["names", "sst", "depth"])
    made = made.assign_coords(level=(("level",), [850, 500], {"units": "hPa"}))
    made["ta"] = (("time", "level", "y", "x"), np.arange(80.0).reshape(2, 2, 4, 5), {"units": "K"})
    field = records_of(made, "index", None).inputs["fields"][0]
    assert field.names == ("ta at level 850 hPa", "ta at level 500 hPa")
    np.testing.assert_array_equal(field.values[1], np.arange(20.0, 40.0).reshape(4, 5))


def test_a_grid_without_time_is_one_record() -> None:
    grid = grid_from_dataset(dataset()[["depth"]].drop_vars("time", errors="ignore"))
    schema = infer_schema(grid, targets=[])
    records = records_from_grid(grid, schema, with_targets=False)
    assert len(records) == 1
    assert records.inputs["fields"][0].time is None


def test_two_dimensional_coordinates_of_a_straight_grid_are_taken() -> None:
    made = dataset(2).drop_vars(["y", "x"]).rename({"y": "row", "x": "column"})
    lat, lon = np.meshgrid(LATITUDES, LONGITUDES, indexing="ij")
    made = made.assign_coords(lat=(("row", "column"), lat), lon=(("row", "column"), lon))
    grid = grid_from_dataset(made)
    assert (grid.latitude, grid.longitude) == ("row", "column")
    assert grid.latitudes.tolist() == LATITUDES.tolist()


def test_default_fill_values_are_missing_even_unannounced() -> None:
    made = dataset(2).drop_vars("names")
    made["sst"][1, 1, 1] = 9.969209968386869e36
    assert np.isnan(grid_from_dataset(made).values("sst")[1, 0, 1, 1])


def test_area_weights_agree_with_the_scores_package() -> None:
    latitudes = np.linspace(-90, 90, 37)
    theirs = scores.functions.create_latitude_weights(latitudes)
    np.testing.assert_allclose(area_weights(latitudes), theirs / theirs.mean(), atol=1e-12)
    assert area_weights(latitudes).min() >= 0
    assert area_weights(np.array([90.0])).tolist() == [1.0]


@pytest.mark.parametrize("lead", ["soon", "0 days", "-3 months", "3 parsecs"])
def test_what_is_no_lead_is_refused(lead: str) -> None:
    with pytest.raises(InputError, match=r"is no lead time.*'3 months'"):
        parse_lead(lead)


def test_a_lead_beyond_the_file_is_refused() -> None:
    with pytest.raises(InputError, match="no time of the file lies 40 years after"):
        infer_schema(grid_from_dataset(dataset()), targets=["index"], lead="40 years")


def test_without_a_lead_the_target_is_no_input() -> None:
    grid = grid_from_dataset(dataset())
    with pytest.raises(InputError, match="is the target at the same time"):
        infer_schema(grid, targets=["sst"], inputs=["sst"])
    assert infer_schema(grid, targets=["sst"]).inputs[0].column == "depth"

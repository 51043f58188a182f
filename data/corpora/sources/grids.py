"""Observed fields of ocean and atmosphere, in pairs some months apart."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np

from kagaku.data.corpora.raw import RawSample
from kagaku.data.corpora.sources.base import SOURCES, Package, Source
from kagaku.data.fields import grid_records
from kagaku.data.grids import Grid, grid_from_dataset
from kagaku.data.records import Field, Quantity
from kagaku.data.schema import Input, Schema

LEADS = (1, 3, 6, 12)
"""Months from a field to the later one; the fields take turns with them."""

DAYS_PER_MONTH = 146_097 / 400 / 12
"""Mean of the Gregorian calendar: 400 years have 146,097 days."""

FARTHEST_LATITUDE = 65.0
"""Degrees from the equator beyond which ice rules the sea's surface."""

LARGEST_ANOMALY = 8.0
"""Kelvin; monthly anomalies of open sea stay below, even in the strongest El Nino."""

PAIR: Mapping[str, str] = {"climate": "climate", "lead": "quantity", "later": "climate"}
"""Inputs of sources that pair fields: one, the time between, and the later one."""


@SOURCES.register("sea-surface")
class SeaSurface(Source):
    """Monthly anomalies of sea-surface temperature, 1979 to 1989, global.

    The file goes on to 2013, but the later years are what benchmarks of El Nino and of Pacific
    temperature test on, so they are never read.
    """

    packages: ClassVar[tuple[Package, ...]] = (
        Package("pip", "jcm", "3.0.0", 19, ("jcm/data/bc/t30/anom/*.nc",)),
    )
    inputs: ClassVar[Mapping[str, str]] = PAIR
    licence: ClassVar[str] = "Apache-2.0"
    n_about: ClassVar[int] = 132
    last_year: ClassVar[int] = 1989

    def read(self) -> Iterator[RawSample]:
        """Yield pairs of fields."""
        path = self.file("jcm", "jcm/data/bc/t30/anom/sea_surface_temperature_anomaly.nc")
        names = {"ssta": ("surface_temperature_anomaly", "K")}
        fields, years = fields_of(path, names, self.last_year)
        is_sea = _is_sea(fields)
        masked = [replace(one, values=np.where(is_sea, one.values, np.nan)) for one in fields]
        yield from pairs("sea-surface", masked, years)


def _is_sea(fields: list[Field]) -> np.ndarray:
    """Return which cells are open sea, bool (lat, lon).

    The file has no mask: land never changes, and ice gives anomalies that no sea has.
    """
    through_time = np.stack([one.values[0] for one in fields])
    usual = np.abs(fields[0].latitudes) <= FARTHEST_LATITUDE
    moves = through_time.std(axis=0) > 0
    return np.asarray(moves & usual[:, None] & (np.abs(through_time).max(axis=0) < LARGEST_ANOMALY))


@SOURCES.register("navy-winds")
class NavyWinds(Source):
    """Monthly winds at the surface, 1982 to 1992, from the analyses of the United States Navy."""

    packages: ClassVar[tuple[Package, ...]] = (
        Package(
            "apt", "ferret-datasets", "7.6.0", 28,
            ("usr/share/ferret-vis/data/monthly_navy_winds.cdf",), "deb",
        ),
    )  # fmt: skip
    inputs: ClassVar[Mapping[str, str]] = PAIR
    licence: ClassVar[str] = "Works of the United States government, in the public domain"
    n_about: ClassVar[int] = 132

    def read(self) -> Iterator[RawSample]:
        """Yield pairs of fields, both wind components in each."""
        path = self.file("ferret-datasets", "usr/share/ferret-vis/data/monthly_navy_winds.cdf")
        names = {"UWND": ("eastward_wind", "m s-1"), "VWND": ("northward_wind", "m s-1")}
        yield from pairs("navy-winds", *fields_of(path, names))


def pairs(source: str, fields: list[Field], years: list[int]) -> Iterator[RawSample]:
    """Yield each monthly field with a later one, grouped by their years.

    Samples whose two years fall into different parts are left out by the build, so no field is
    trained on that validation asks for.

    Args:
        source: Whose years they are.
        fields: One per month, without gaps.
        years: Calendar year of each.
    """
    for month, one in enumerate(fields):
        later = month + LEADS[month % len(LEADS)]
        groups = [f"{source} {years[month]}"]
        inputs: dict[str, Field | Quantity] = {"climate": one}
        if later < len(fields):
            inputs["lead"] = Quantity("lead time", (later - month) * DAYS_PER_MONTH, "day")
            inputs["later"] = fields[later]
            groups.append(f"{source} {years[later]}")
        yield RawSample(f"month/{month}", inputs, tuple(dict.fromkeys(groups)))


def fields_of(
    path: Path, names: Mapping[str, tuple[str, str]], last_year: int | None = None
) -> tuple[list[Field], list[int]]:
    """Return (the fields of a file, the year of each).

    Args:
        path: A NetCDF file.
        names: By variable, its CF standard name and unit; they make one field together.
        last_year: Later times are left out.
    """
    grid = open_grid(path)
    for name, (standard, unit) in names.items():
        grid.dataset[name].attrs |= {"standard_name": standard, "units": unit}
    one = Input("fields", ", ".join(names), "climate")
    records = grid_records(grid, Schema(inputs=(one,), targets=()), with_targets=False)
    years = [moment.year for moment in grid.times]
    stop = sum(last_year is None or year <= last_year for year in years)
    fields = [replace(field, values=np.array(field.values)) for field in records.inputs["fields"]]
    return fields[:stop], years[:stop]


def open_grid(path: Path) -> Grid:
    """Return the grid of a file whose longitudes may go on beyond 360 degrees."""
    import xarray as xr

    with xr.open_dataset(path, decode_times=False) as opened:
        dataset = opened.load()
    for name, coordinate in dataset.coords.items():
        if coordinate.ndim == 1 and str(coordinate.attrs.get("units", "")).startswith("degrees_e"):
            turned = coordinate % 360
            dataset = dataset.assign_coords({name: turned.assign_attrs(coordinate.attrs)})
            dataset = dataset.sortby(str(name))
    return grid_from_dataset(dataset, source=path.name)

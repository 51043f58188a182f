"""Grids of climate and weather: NetCDF files and Zarr stores."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from kagaku.data.coordinates import (
    check_latitudes,
    check_longitudes,
    decode_times,
    find_latitude,
    find_longitude,
    find_time,
    one_dimensional,
)
from kagaku.data.opening import find_file
from kagaku.errors import InputError

if TYPE_CHECKING:
    import cftime
    import xarray

LOADED_AT_ONCE = 1_000_000_000
"""Grids up to this many bytes are read whole and their file closed; larger ones stay on disk until
a variable is asked for."""

MOST_LEVELS = 200
"""Most levels of a vertical dimension; each becomes a variable of its own."""

# What NetCDF writes where nothing was written (NC_FILL_FLOAT, NC_FILL_DOUBLE), as a float32:
# https://docs.unidata.ucar.edu/netcdf-c/current/netcdf_8h.html
_DEFAULT_FILL = 9.96e36


@dataclass(frozen=True)
class Grid:
    """Variables on latitudes and longitudes, and through time if there is one."""

    dataset: "xarray.Dataset"
    """The file, packed values unpacked, times not decoded; nothing turned, shifted or sorted."""

    source: str
    """Name of the file, for messages."""

    latitude: str
    """Name of the dimension along which latitude varies."""

    longitude: str
    """Name of the dimension along which longitude varies."""

    time: str | None
    """Name of the time dimension, if there is one."""

    latitudes: np.ndarray
    """Degrees north, float (lat,), in the file's order."""

    longitudes: np.ndarray
    """Degrees east, float (lon,), in the file's order."""

    times: "tuple[cftime.datetime, ...]" = ()
    """The time axis in the file's own calendar; empty where there is none."""

    unusable: Mapping[str, str] = field(default_factory=dict)
    """Variables that are neither fields nor series in time, with the reason in words."""

    def __len__(self) -> int:
        return len(self.times) if self.time is not None else 1

    def fields(self) -> list[str]:
        """Return the variables on latitude and longitude, in the file's order."""
        needed = {self.latitude, self.longitude}
        return [name for name in self._usable() if needed <= set(self._dims(name))]

    def series(self) -> list[str]:
        """Return the variables that are one number at each time."""
        return [name for name in self._usable() if self._dims(name) == (self.time,)]

    def _usable(self) -> list[str]:
        return [str(name) for name in self.dataset.data_vars if name not in self.unusable]

    def _dims(self, name: str) -> tuple[str, ...]:
        variable = self.dataset[name]
        return tuple(
            str(dim) for dim in variable.dims if variable.sizes[dim] > 1 or dim == self.time
        )

    def unit(self, name: str) -> str:
        """Return a variable's unit as the file spells it; ``dimensionless`` where it gives none."""
        return str(self.dataset[name].attrs.get("units", "")).strip() or "dimensionless"

    def cf_name(self, name: str) -> str:
        """Return a variable's CF standard name, or its own name where it has none."""
        return str(self.dataset[name].attrs.get("standard_name", "")).strip() or name

    def level_dimension(self, name: str) -> str | None:
        """Return a field's vertical dimension, or None where it is flat."""
        flat = {self.time, self.latitude, self.longitude}
        return next((dim for dim in self._dims(name) if dim not in flat), None)

    def values(self, name: str) -> np.ndarray:
        """Return a variable as float32, NaN where missing.

        Shape (time, level, lat, lon) for fields, with length 1 for what is not there, and (time,)
        for series.
        """
        variable = self.dataset[name]
        if name in self.series():
            return _without_fill(variable.squeeze(drop=True).values.reshape(len(self)))
        level = self.level_dimension(name)
        kept = [dim for dim in (self.time, level, self.latitude, self.longitude) if dim is not None]
        for dim in kept:
            if dim not in variable.dims:
                variable = variable.expand_dims(dim)
        others = [dim for dim in variable.dims if dim not in kept]
        ordered = variable.squeeze(others, drop=True).transpose(*kept)
        n_levels = 1 if level is None else ordered.sizes[level]
        # A variable without time on a grid with time (a land mask) is the same at every time.
        lat, lon = len(self.latitudes), len(self.longitudes)
        loaded = _without_fill(ordered.values).reshape(-1, n_levels, lat, lon)
        return np.broadcast_to(loaded, (len(self), n_levels, lat, lon))


def _without_fill(values: np.ndarray) -> np.ndarray:
    numbers = np.array(values, dtype=np.float32)
    numbers[~np.isfinite(numbers) | (np.abs(numbers) >= _DEFAULT_FILL)] = np.nan
    return numbers


def read_grid(path: str | Path) -> Grid:
    """Return the grid in a NetCDF file or Zarr store.

    Raises:
        InputError: The file is damaged, no grid, or its coordinates are missing or out of range.
    """
    found = find_file(path)
    if found.is_file() and found.stat().st_size == 0:
        raise InputError("the file is empty", fix="Download it again.", where=found.name)
    return grid_from_dataset(_open(found), source=found.name)


def _open(path: Path) -> "xarray.Dataset":
    import xarray as xr

    try:
        with warnings.catch_warnings():
            # Odd fill values and missing consolidated metadata are no trouble of the user's.
            warnings.simplefilter("ignore")
            if path.is_dir():
                _refuse_pickles(path)
                dataset = xr.open_zarr(path, decode_times=False)
            else:
                _check_format(path)
                dataset = xr.open_dataset(path, decode_times=False, engine="netcdf4")
            if dataset.nbytes <= LOADED_AT_ONCE:
                with dataset:
                    dataset.load()
            opened: xarray.Dataset = dataset
            return opened
    except InputError:
        raise
    except Exception as error:  # noqa: BLE001 (the engines raise a dozen kinds)
        told = str(error).partition("\n")[0][:120]
        raise InputError(
            f"the grid cannot be read ({type(error).__name__}: {told})",
            fix="It is damaged, cut short or of another format: download it again, and check it "
            "with `ncdump -h`.",
            where=path.name,
        ) from None


def _check_format(path: Path) -> None:
    """Check that a file's first bytes are NetCDF's or HDF5's.

    Raises:
        InputError: They are not.
    """
    with path.open("rb") as stream:
        start = stream.read(8)
    if start.startswith((b"\x89HDF\r\n\x1a\n", b"CDF")):
        return
    known = "a GRIB file" if start.startswith(b"GRIB") else "neither NetCDF nor HDF5"
    raise InputError(
        f"the file is {known}",
        fix="Convert it to NetCDF, for example with `cdo -f nc copy old new.nc`.",
        where=path.name,
    )


def _refuse_pickles(store: Path) -> None:
    """Refuse Zarr stores whose arrays are pickled: unpickling runs whatever the file says."""
    for pattern in (".zarray", ".zmetadata", "zarr.json"):
        for metadata in store.rglob(pattern):
            if '"pickle"' in metadata.read_text(encoding="utf-8", errors="replace"):
                raise InputError(
                    "the store holds pickled arrays, which kagaku never reads",
                    fix="Write its text variables as fixed-width strings, or leave them out.",
                    where=store.name,
                )


def grid_from_dataset(dataset: "xarray.Dataset", *, source: str = "Dataset") -> Grid:
    """Return the grid in an xarray Dataset.

    Raises:
        InputError: Its coordinates are missing, curved, out of range or not monotonic.
    """
    latitude_name = find_latitude(dataset, source)
    longitude_name = find_longitude(dataset, source)
    latitude, latitudes = one_dimensional(dataset, latitude_name, 0, source)
    longitude, longitudes = one_dimensional(dataset, longitude_name, 1, source)
    check_latitudes(latitudes, latitude_name, source)
    check_longitudes(longitudes, longitude_name, source)
    time = find_time(dataset)
    grid = Grid(
        dataset=dataset,
        source=source,
        latitude=latitude,
        longitude=longitude,
        time=time,
        latitudes=latitudes,
        longitudes=longitudes,
        times=() if time is None else decode_times(dataset[time], source),
        unusable=_unusable(dataset, latitude, longitude, time),
    )
    if not grid.fields():
        raise InputError(
            "no variable is a field on latitude and longitude: "
            + (
                "; ".join(f"{name!r} {why}" for name, why in grid.unusable.items()) or "none at all"
            ),
            fix="Give a file with a field, such as (time, lat, lon); a series alone is a table.",
            where=source,
        )
    return grid


def _unusable(
    dataset: "xarray.Dataset", latitude: str, longitude: str, time: str | None
) -> dict[str, str]:
    """Return the variables of no use, with reasons."""
    reasons: dict[str, str] = {}
    for name, variable in dataset.data_vars.items():
        dims = {str(dim) for dim in variable.dims if variable.sizes[dim] > 1 or dim == time}
        others = sorted(dims - {latitude, longitude, time})
        if not np.issubdtype(variable.dtype, np.number):
            reasons[str(name)] = "holds no numbers"
        elif not {latitude, longitude} <= dims and dims != {time}:
            reasons[str(name)] = f"has the dimensions {sorted(dims)}, which are no field"
        elif len(others) > 1 or (others and variable.sizes[others[0]] > MOST_LEVELS):
            reasons[str(name)] = (
                f"has the dimensions {others} beside time, latitude and longitude: choose one of "
                "each first (in xarray: dataset.isel)"
            )
    return reasons


def area_weights(latitudes: np.ndarray) -> Float[np.ndarray, " lat"]:
    """Return the area of a cell at each latitude relative to the mean, cos(latitude).

    Args:
        latitudes: Degrees north, shape (lat,).
    """
    # At the poles cos may come out a hair below zero.
    weights = np.clip(np.cos(np.deg2rad(np.asarray(latitudes, dtype=np.float64))), 0.0, None)
    mean = weights.mean()
    return np.asarray(weights / mean if mean > 0 else np.ones_like(weights))

"""Latitude, longitude and time of a grid: which they are, and whether they make sense."""

from collections.abc import Callable
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from kagaku.errors import InputError

if TYPE_CHECKING:
    import cftime
    import xarray

# Names, units and attributes that the conventions give for coordinates:
# https://cfconventions.org/cf-conventions/cf-conventions.html#coordinate-types
_LATITUDE_UNITS = {"degrees_north", "degree_north", "degree_n", "degrees_n", "degreen", "degreesn"}
_LONGITUDE_UNITS = {"degrees_east", "degree_east", "degree_e", "degrees_e", "degreee", "degreese"}
_LATITUDE_NAMES = ("latitude", "lat", "lats", "nav_lat", "xlat", "tlat", "ylat")
_LONGITUDE_NAMES = ("longitude", "lon", "lons", "long", "nav_lon", "xlong", "tlong", "xlon")
_TIME_NAMES = ("time", "valid_time", "date", "t")

RECTILINEAR_WITHIN = 0.01
"""Degrees that a two-dimensional latitude may vary along a row of the grid and still be taken for
one latitude; about a kilometre."""


def find_latitude(dataset: "xarray.Dataset", source: str) -> str:
    """Return the name of the latitude; raises InputError where there is none or several."""
    return _find(dataset, source, "latitude", _LATITUDE_UNITS, _LATITUDE_NAMES)


def find_longitude(dataset: "xarray.Dataset", source: str) -> str:
    """Return the name of the longitude; raises InputError where there is none or several."""
    return _find(dataset, source, "longitude", _LONGITUDE_UNITS, _LONGITUDE_NAMES)


def find_time(dataset: "xarray.Dataset") -> str | None:
    """Return the name of the time dimension, or None where the grid has none."""

    def is_time(name: str) -> bool:
        attributes = dataset[name].attrs
        return (
            attributes.get("standard_name") == "time"
            or attributes.get("axis") == "T"
            or " since " in str(attributes.get("units", ""))
            or np.issubdtype(dataset[name].dtype, np.datetime64)
        )

    dimensions = [str(name) for name in dataset.dims if name in dataset.variables]
    named = [name for name in dimensions if name.lower() in _TIME_NAMES]
    return next(iter([name for name in dimensions if is_time(name)] or named), None)


def _find(
    dataset: "xarray.Dataset", source: str, what: str, units: set[str], names: tuple[str, ...]
) -> str:
    candidates = [str(name) for name in dataset.variables if 1 <= dataset[name].ndim <= 2]
    tests: list[Callable[[str], bool]] = [
        lambda name: dataset[name].attrs.get("standard_name") == what,
        lambda name: str(dataset[name].attrs.get("units", "")).lower() in units,
        lambda name: name.lower() in names,
    ]
    for test in tests:
        # A dimension's own coordinate comes before auxiliary ones (of cell corners, say).
        if found := [name for name in candidates if test(name)]:
            return next((name for name in found if name in dataset.dims), found[0])
    held = ", ".join(f"{name!r}" for name in list(dataset.variables)[:20]) or "nothing"
    raise InputError(
        f"the file has no {what} (it holds {held})",
        fix=f"Give the coordinate the CF attribute standard_name = '{what}' "
        f"(in xarray: dataset['y'].attrs['standard_name'] = '{what}').",
        where=source,
    )


def one_dimensional(
    dataset: "xarray.Dataset", name: str, axis: int, source: str
) -> tuple[str, np.ndarray]:
    """Return (dimension, degrees) of a latitude (axis 0) or longitude (axis 1).

    Two-dimensional coordinates are taken where they vary along one dimension only.

    Raises:
        InputError: The grid is curved.
    """
    coordinate = dataset[name]
    degrees = np.asarray(coordinate.values, dtype=np.float64)
    if degrees.ndim == 1:
        return str(coordinate.dims[0]), degrees
    across = np.ptp(degrees, axis=1 - axis) if degrees.size else np.zeros(1)
    if not np.isfinite(degrees).all() or across.max() > RECTILINEAR_WITHIN:
        raise InputError(
            f"the grid is curved: {name!r} varies along both of its dimensions",
            fix="Interpolate it to a latitude-longitude grid first, for example with xESMF or CDO.",
            where=source,
        )
    return str(coordinate.dims[axis]), degrees.mean(axis=1 - axis)


def check_latitudes(degrees: np.ndarray, name: str, source: str) -> None:
    """Check that latitudes lie in -90..90 and go one way.

    Raises:
        InputError: They do not.
    """
    _check_line(degrees, name, source)
    if np.abs(degrees).max() > 90 + 1e-4:
        worst = degrees[np.abs(degrees).argmax()]
        raise InputError(
            f"latitude out of range: {name!r} holds {worst:g}, outside -90..90",
            fix="Correct the coordinate; perhaps latitude and longitude are swapped, or it is in "
            "metres of a map projection.",
            where=source,
        )


def check_longitudes(degrees: np.ndarray, name: str, source: str) -> None:
    """Check that longitudes lie in 0..360 or -180..180 and go one way.

    Raises:
        InputError: They do not.
    """
    _check_line(degrees, name, source)
    low, high = degrees.min(), degrees.max()
    if not ((low >= -180.001 and high <= 180.001) or (low >= -0.001 and high <= 360.001)):
        raise InputError(
            f"longitude out of range: {name!r} goes from {low:g} to {high:g}, outside 0..360 and "
            "-180..180",
            fix=f"Bring it into one of these ranges and sort it (in xarray: "
            f"dataset.assign_coords({name}=dataset['{name}'] % 360).sortby('{name}')).",
            where=source,
        )


def _check_line(degrees: np.ndarray, name: str, source: str) -> None:
    if not degrees.size or not np.isfinite(degrees).all():
        raise InputError(
            f"the coordinate {name!r} is empty or has missing values",
            fix="Write the file again with whole coordinates.",
            where=source,
        )
    steps = np.diff(degrees)
    if not ((steps > 0).all() or (steps < 0).all()):
        raise InputError(
            f"the coordinate {name!r} is not monotonic",
            fix=f"Sort it (in xarray: dataset.sortby('{name}')).",
            where=source,
        )


def decode_times(coordinate: "xarray.DataArray", source: str) -> "tuple[cftime.datetime, ...]":
    """Return the time axis in the file's own calendar.

    Understands CF units ("days since 1850-01-01", in any calendar), "months since" and "years
    since" as calendar months and years, plain years, and NumPy dates.

    Raises:
        InputError: The axis cannot be read, or does not increase.
    """
    import cftime

    values = np.asarray(coordinate.values)
    units = str(coordinate.attrs.get("units", ""))
    calendar = str(coordinate.attrs.get("calendar", "standard")).lower()
    try:
        if values.dtype == object:
            times = [_in_calendar(value) for value in values]
        elif np.issubdtype(values.dtype, np.datetime64):
            seconds = values.astype("datetime64[ms]").astype(np.int64) / 1000
            times = list(_from_numbers(seconds, "seconds since 1970-01-01", "proleptic_gregorian"))
        elif " since " in units:
            times = list(_from_numbers(values.astype(np.float64), units, calendar))
        elif (values == np.round(values)).all() and ((values > 0) & (values < 9999)).all():
            times = [cftime.datetime(int(year), 1, 1, calendar="standard") for year in values]
        else:
            raise ValueError(f"its units are {units!r}")  # noqa: TRY301 (told with the others)
    except (ValueError, TypeError, OverflowError, AttributeError) as error:
        raise InputError(
            f"the time axis {coordinate.name!r} cannot be read ({error})",
            fix="Give it CF units such as 'days since 1850-01-01' and a calendar.",
            where=source,
        ) from None
    if any(later <= earlier for earlier, later in pairwise(times)):
        raise InputError(
            f"the time axis {coordinate.name!r} does not increase",
            fix=f"Sort it and drop times that come twice (in xarray: "
            f"dataset.sortby('{coordinate.name}').drop_duplicates('{coordinate.name}')).",
            where=source,
        )
    return tuple(times)


def _in_calendar(value: Any) -> "cftime.datetime":
    import cftime

    if not isinstance(value, cftime.datetime):
        raise TypeError(f"{value!r} is no date")
    return value


def _from_numbers(values: np.ndarray, units: str, calendar: str) -> list[Any]:
    """Return the times of a CF axis; cftime itself knows no months outside 360-day years."""
    import cftime

    if not np.isfinite(values).all():
        raise ValueError("it has missing values")
    unit = units.split()[0].lower().rstrip("s")
    if unit not in ("month", "year", "common_year"):
        return list(
            np.atleast_1d(cftime.num2date(values, units, calendar, only_use_cftime_datetimes=True))
        )
    if (values != np.round(values)).any():
        values = np.floor(values)  # mid-month stamps such as 0.5 belong to the month they lie in
    start = cftime.num2date(0, f"days since {units.split(' since ')[1]}", calendar)
    months = values.astype(int) * (1 if unit == "month" else 12)
    return [add_months(start, int(count)) for count in months]


def add_months(time: "cftime.datetime", months: int) -> "cftime.datetime":
    """Return the same day and hour some calendar months later.

    Raises:
        ValueError: That month has no such day.
    """
    count = time.year * 12 + time.month - 1 + months
    moved: cftime.datetime = time.replace(year=count // 12, month=count % 12 + 1)
    return moved


def days_since_1970(times: "tuple[cftime.datetime, ...]") -> Float[np.ndarray, " time"]:
    """Return times as days since 1970-01-01 in their own calendar."""
    import cftime

    days = cftime.date2num(list(times), "days since 1970-01-01", calendar=times[0].calendar)
    return np.asarray(days, dtype=np.float64)


def position_in_year(time: "cftime.datetime") -> float:
    """Return how much of the year has gone by, 0 to 1, in the time's own calendar."""
    import cftime

    days = 360 if time.calendar == "360_day" else 365
    if time.calendar not in ("360_day", "noleap", "365_day"):
        leap = time.calendar in ("all_leap", "366_day") or cftime.is_leap_year(
            time.year, time.calendar
        )
        days = 366 if leap else 365
    hours = time.hour + time.minute / 60 + time.second / 3600
    return float((time.dayofyr - 1 + hours / 24) / days)

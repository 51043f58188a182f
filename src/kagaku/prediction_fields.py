"""Field predictions as an xarray Dataset on the input's own grid."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from kagaku.data import Grid, Records, Schema
from kagaku.data.coordinates import add_months
from kagaku.data.lead_times import parse_lead
from kagaku.science_tasks.property import TargetPrediction

if TYPE_CHECKING:
    import cftime

VALID_TIME = "valid_time"
"""For when a prediction holds: the record's own time plus the lead."""

_EVERYDAY = frozenset({"standard", "gregorian", "proleptic_gregorian"})
_DATETIME64_YEARS = range(1678, 2262)


def predictions_dataset(
    schema: Schema, grid: Grid, records: Records, predictions: Mapping[str, TargetPrediction]
) -> xr.Dataset:
    """Return every target: fields on the grid, numbers over time.

    Args:
        schema: What was predicted.
        grid: Where the records came from; gives the coordinates.
        records: One per time step.
        predictions: By target name.
    """
    coordinates = {name: grid.dataset[name] for name in (grid.latitude, grid.longitude)}
    record_dim = grid.time or "record"
    for name, moments in record_times(schema, grid, records).items():
        attributes = {} if name == record_dim else {"long_name": "time that is predicted"}
        coordinates[name] = xr.DataArray(moments, dims=(record_dim,), attrs=attributes)
    variables: dict[str, xr.DataArray] = {}
    for target in schema.targets:
        predicted = predictions[target.name]
        is_field = target.kind == "field"
        dims = (record_dim, grid.latitude, grid.longitude) if is_field else (record_dim,)
        attributes = {"units": target.unit or ""}
        for suffix, values in (
            ("", predicted.prediction.mean),
            ("_lower", predicted.lower),
            ("_upper", predicted.upper),
        ):
            assert values is not None
            variables[target.name + suffix] = xr.DataArray(
                values.astype(np.float32), dims=dims, attrs=attributes
            )
        variables[f"{target.name}_in_domain"] = xr.DataArray(
            predicted.in_domain, dims=(record_dim,)
        )
    return xr.Dataset(variables, coords=coordinates)


def record_times(schema: Schema, grid: Grid, records: Records) -> dict[str, np.ndarray]:
    """Return when each record was taken and, with a lead, for when it predicts, by name.

    NumPy dates in the everyday calendar, cftime dates in any other; empty without a time axis.
    """
    if grid.time is None:
        return {}
    # Record rows of a grid count its time steps from 1.
    taken = [grid.times[row - 1] for row in records.rows.tolist()]
    found = {grid.time: _moments(taken)}
    if schema.lead is not None and (later := _later(taken, schema.lead)) is not None:
        found[VALID_TIME] = _moments(later)
    return found


def _later(times: "Sequence[cftime.datetime]", lead: str) -> "list[cftime.datetime] | None":
    """Return the times plus the lead; None where a calendar does not tell (steps, the 31st)."""
    parsed = parse_lead(lead)
    if parsed.unit == "step":
        return None
    if parsed.unit in ("month", "year"):
        months = parsed.count * (12 if parsed.unit == "year" else 1)
        try:
            return [add_months(time, months) for time in times]
        except ValueError:
            return None
    hours = parsed.count * {"hour": 1, "day": 24, "week": 168}[parsed.unit]
    return [time + timedelta(hours=hours) for time in times]


def _moments(times: "Sequence[cftime.datetime]") -> np.ndarray:
    if all(time.calendar in _EVERYDAY and time.year in _DATETIME64_YEARS for time in times):
        return np.array([np.datetime64(time.isoformat(), "ns") for time in times])
    moments = np.empty(len(times), dtype=object)
    moments[:] = times
    return moments

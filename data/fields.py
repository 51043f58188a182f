"""The records of a grid: one field per time, with its target some lead later."""

from collections.abc import Sequence

import numpy as np

from kagaku.data.coordinates import days_since_1970, position_in_year
from kagaku.data.grids import Grid
from kagaku.data.lead_times import parse_lead, target_times
from kagaku.data.records import Field, Records, TargetValues
from kagaku.data.requests import column_advice
from kagaku.data.schema import Schema, Target
from kagaku.data.units import convert, same_unit
from kagaku.errors import InputError

FIELDS = "fields"
"""Name of a grid's only input: all its chosen variables at one time."""


def variables_of(column: str) -> list[str]:
    """Return the variables of a grid's input, which its column lists.

    Example:
        >>> variables_of("sst, msl")
        ['sst', 'msl']
    """
    return column.split(", ")


def grid_records(grid: Grid, schema: Schema, *, with_targets: bool) -> Records:
    """Return one record per time; one in all where the grid has no time.

    Without targets every time is a record. With targets too: where nothing lies the lead later, the
    target is missing, and the record stays.

    Raises:
        InputError: The schema needs variables that the grid lacks, or units that do not convert.
    """
    names = [name for one in schema.inputs for name in variables_of(one.column)]
    _check_variables(grid, [*names, *(one.column for one in schema.targets if with_targets)])
    days = days_since_1970(grid.times) if grid.time is not None else None
    lead = None if schema.lead is None else parse_lead(schema.lead)
    later = target_times(grid.times, lead) if grid.time is not None else np.zeros(1, dtype=int)
    targets = {
        target.name: _target_values(grid, target, later)
        for target in schema.targets
        if with_targets
    }
    fields = {one.name: _fields(grid, variables_of(one.column), days) for one in schema.inputs}
    return Records(
        schema=schema,
        inputs=fields,
        targets=targets,
        rows=np.arange(1, len(grid) + 1),
        source=grid.source,
        times=days,
        ids=tuple(str(time) for time in grid.times) or None,
    )


def _fields(grid: Grid, names: Sequence[str], days: np.ndarray | None) -> list[Field]:
    """Return the fields of all times."""
    parts = [grid.values(name) for name in names]
    values = parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)
    told, units = _level_names(grid, names)
    return [
        Field(
            values=values[index],
            names=told,
            units=units,
            latitudes=grid.latitudes,
            longitudes=grid.longitudes,
            time=None if days is None else float(days[index]),
            day_of_year=None if days is None else position_in_year(grid.times[index]),
        )
        for index in range(len(grid))
    ]


def _level_names(grid: Grid, names: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return name and unit of every variable, each level of one being a variable of its own."""
    told: list[str] = []
    units: list[str] = []
    for name in names:
        level = grid.level_dimension(name)
        if level is None:
            told.append(grid.cf_name(name))
            units.append(grid.unit(name))
            continue
        coordinate = grid.dataset[level]
        unit = str(coordinate.attrs.get("units", "")).strip()
        for height in np.asarray(coordinate.values).tolist():
            height = f"{height:g}" if isinstance(height, float | int) else str(height)
            told.append(f"{grid.cf_name(name)} at {level} {height} {unit}".rstrip())
            units.append(grid.unit(name))
    if len(set(told)) < len(told):  # two variables of one standard name, such as mean and maximum
        told = [f"{name} ({place})" for place, name in enumerate(told, start=1)]
    return tuple(told), tuple(units)


def _target_values(grid: Grid, target: Target, later: np.ndarray) -> TargetValues:
    """Return the target's values, each the lead after its record."""
    measured = np.asarray(grid.values(target.column), dtype=np.float64)
    if target.kind == "field":
        measured = measured[:, 0]
    values = np.where(
        (later >= 0).reshape(-1, *[1] * (measured.ndim - 1)), measured[np.maximum(later, 0)], np.nan
    )
    if target.unit and target.column_unit and not same_unit(target.unit, target.column_unit):
        values = convert(values, target.column_unit, target.unit)
    return TargetValues(values, np.zeros(len(values), dtype=np.int64))


def _check_variables(grid: Grid, names: Sequence[str]) -> None:
    held = [*grid.fields(), *grid.series()]
    for name in names:
        if name not in held:
            why = grid.unusable.get(name)
            raise InputError(
                f"the variable {name!r} {why}" if why else f"the grid has no variable {name!r}",
                fix=column_advice(name, held),
                where=grid.source,
            )

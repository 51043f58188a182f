"""The schema of a grid: which variables go in, which one is predicted, how far ahead."""

from collections.abc import Sequence

from kagaku.data.fields import FIELDS
from kagaku.data.grids import Grid
from kagaku.data.lead_times import parse_lead, target_times
from kagaku.data.requests import Request, find_request
from kagaku.data.schema import Ignored, Input, Schema, Target
from kagaku.data.units import DIMENSIONLESS, check_convertible, is_unit
from kagaku.errors import InputError

_KINDS = ("regression", "field")


def infer_grid_schema(
    grid: Grid,
    *,
    targets: Sequence[str],
    inputs: Sequence[str] | None = None,
    lead: str | None = None,
) -> Schema:
    """Return what the variables of a grid mean; see `infer_schema`.

    Raises:
        InputError: A variable is unknown or no field, the lead is none or longer than the file, or
            no input is left.
    """
    fields, series = grid.fields(), grid.series()
    wanted = [find_request(text, [*fields, *series], _KINDS, grid.source) for text in targets]
    if lead is not None:
        _check_lead(grid, lead)
    reserved = set() if lead is not None else {request.column for request in wanted}
    if inputs is None:
        chosen = [name for name in fields if name not in reserved]
        reason = "every variable on latitude and longitude"
    else:
        chosen = [find_request(text, fields, ("climate",), grid.source).column for text in inputs]
        reason = "as asked for"
    if clash := sorted(reserved & set(chosen)):
        raise InputError(
            f"{clash[0]!r} is the target at the same time, so it cannot be an input too",
            fix="Give a lead, such as --lead '3 months', or leave it out of the inputs.",
            where=grid.source,
        )
    if not chosen:
        raise InputError(
            "no field is left as an input: the only one is the target",
            fix="Give a lead, such as --lead '3 months', to predict it from itself.",
            where=grid.source,
        )
    used = {*chosen, *(request.column for request in wanted)}
    ignored = [Ignored(name, "was not asked for") for name in fields if name not in used]
    ignored += [
        Ignored(name, "is one number at each time, not a field")
        for name in series
        if name not in used
    ]
    ignored += [Ignored(name, reason) for name, reason in grid.unusable.items()]
    return Schema(
        inputs=(Input(FIELDS, ", ".join(chosen), "climate", None, reason),),
        targets=tuple(_target(grid, request) for request in wanted),
        ignored=tuple(ignored),
        time=grid.time,
        lead=lead,
    )


def _target(grid: Grid, request: Request) -> Target:
    where = f"{grid.source}, variable {request.column!r}"
    kind = "regression" if request.column in grid.series() else "field"
    if request.word not in (None, kind):
        raise InputError(
            f"the target is {'a series' if kind == 'regression' else 'a field'}, so its kind is "
            f"{kind}, not {request.word}",
            fix=f"Leave ': {request.word}' out.",
            where=where,
        )
    if kind == "field" and grid.level_dimension(request.column) is not None:
        raise InputError(
            f"the target has several levels along {grid.level_dimension(request.column)!r}",
            fix="Choose one level first (in xarray: dataset.sel).",
            where=where,
        )
    own = grid.unit(request.column)
    known = own if is_unit(own) else DIMENSIONLESS
    if request.unit is not None and not grid.dataset[request.column].attrs.get("units"):
        known = request.unit
    unit = request.unit or known
    if unit != known:
        try:
            check_convertible(known, unit)
        except InputError as error:
            raise error.at(where) from None
    reason = "one number at each time" if kind == "regression" else "a field at each time"
    told = f"unit {own} from the file" if unit == known else f"converted from {own} as asked for"
    return Target(
        name=request.name,
        column=request.column,
        kind="regression" if kind == "regression" else "field",
        unit=unit,
        column_unit=known,
        reason=f"{reason}; {told}" if is_unit(own) else f"{reason}; {own!r} is no known unit",
    )


def _check_lead(grid: Grid, lead: str) -> None:
    """Check that the lead is one, and that the file reaches that far.

    Raises:
        InputError: It is none, or no time of the file lies that long after another.
    """
    parsed = parse_lead(lead)
    if grid.time is None:
        raise InputError("the grid has no time, so it can have no lead", fix="Leave it out.")
    if (target_times(grid.times, parsed) < 0).all():
        raise InputError(
            f"no time of the file lies {lead} after another one: it goes from {grid.times[0]} to "
            f"{grid.times[-1]} in {len(grid.times)} steps",
            fix="Give a lead that is a multiple of the file's time step.",
            where=grid.source,
        )

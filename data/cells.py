"""From the cells of a table to records: raw values of inputs, arrays of targets, bad cells."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from kagaku.data.bad_rows import BadCell
from kagaku.data.columns import celsius_for_coulomb
from kagaku.data.crystals import CIF_SUFFIX, Crystal, is_cif, read_crystal
from kagaku.data.fields import grid_records
from kagaku.data.grids import Grid, read_grid
from kagaku.data.numbers import is_missing_number, is_number, parse_number, shorten
from kagaku.data.paths import file_in_folder
from kagaku.data.records import Field, Quantity, Records
from kagaku.data.requests import column_advice, find_column
from kagaku.data.schema import Input, Schema
from kagaku.data.table import Table
from kagaku.data.target_cells import parse_target
from kagaku.data.units import check_convertible, convert, is_unit, parse_quantity, split_name
from kagaku.errors import InputError

CellReader = Callable[[Any], Any]


def parse_records(
    table: Table, schema: Schema, *, with_targets: bool
) -> tuple[Records, list[BadCell]]:
    """Return the records of a table, and every cell that cannot be used.

    A bad cell is None (or NaN) in the records; drop its row with `without_bad_rows`, or stop. Empty
    cells are missing, which is no fault, but a row without any input is.

    Args:
        table: The cells.
        schema: What the columns mean.
        with_targets: Whether to read targets, groups and times too; False for prediction.

    Raises:
        InputError: Columns of the schema are missing, or a column's unit is of another kind.
    """
    log = _BadCells(table, list(table.bad_cells))
    columns = _find_columns(table, schema, with_targets)
    inputs = {
        one.name: _parse_column(
            table, columns[one.column], _cell_reader(one, table, columns[one.column]), log
        )
        for one in schema.inputs
    }
    _check_rows_have_input(inputs, schema, log)
    targets = {
        target.name: parse_target(
            target,
            table.cells(columns[target.column]),
            inputs[target.labels] if target.labels is not None else None,
            partial(log.add, target.column),
        )
        for target in schema.targets
        if with_targets
    }
    groups = times = None
    if with_targets and schema.group is not None:
        groups = np.array(table.cells(schema.group), dtype=object)
    if with_targets and schema.time is not None:
        moments = _parse_column(table, schema.time, _read_time, log)
        times = np.array([np.nan if one is None else one for one in moments], dtype=np.float64)
        for record in np.flatnonzero([cell is None for cell in table.cells(schema.time)]):
            missing = InputError("the time is missing", fix="Fill it in, or drop the row.")
            log.add(schema.time, int(record), missing, "")
    records = Records(
        schema=schema,
        inputs=inputs,
        targets=targets,
        rows=table.rows,
        source=table.source,
        groups=groups,
        times=times,
        ids=table.ids,
    )
    return records, sorted(log.cells, key=lambda cell: cell.row)


def records_from_grid(grid: Grid, schema: Schema, *, with_targets: bool) -> Records:
    """Return the records of a grid; see `grid_records`."""
    return grid_records(grid, schema, with_targets=with_targets)


def without_bad_rows(records: Records, cells: Sequence[BadCell]) -> Records:
    """Return the records whose rows have no bad cell, in their order."""
    bad = {cell.row for cell in cells}
    return records.subset(np.flatnonzero([row not in bad for row in records.rows.tolist()]))


@dataclass(frozen=True)
class _BadCells:
    """Collects the bad cells of one table."""

    table: Table
    cells: list[BadCell]

    def add(self, column: str, record: int, error: InputError, cell: Any) -> None:
        """File one cell with what is wrong with it."""
        self.cells.append(
            BadCell(
                file=self.table.source,
                row=int(self.table.rows[record]),
                column=column,
                value=shorten(str(cell)),
                reason=error.what,
                fix=error.fix,
            )
        )


def _find_columns(table: Table, schema: Schema, with_targets: bool) -> dict[str, str]:
    """Return, by the schema's column, the column of this table that holds it.

    For prediction ``temp [K]`` or ``temp`` stands for ``temp [degC]``.

    Raises:
        InputError: Some are missing; shows which were expected and found.
    """
    wanted = [one.column for one in schema.inputs]
    if with_targets:
        wanted += [one.column for one in schema.targets]
        wanted += [name for name in (schema.group, schema.time) if name is not None]
    found: dict[str, str] = {}
    missing: list[str] = []
    for column in wanted:
        if column in table.columns:
            found[column] = column
            continue
        try:
            found[column] = find_column(column, table.columns, table.source)
        except InputError:
            missing.append(column)
    if missing:
        nearest = [column_advice(split_name(name)[0], table.columns) for name in missing]
        advice = [told.partition("? ")[0] + "?" for told in nearest if told.startswith("Did")]
        renamed = f"{' '.join(advice)} " if advice else ""
        raise InputError(
            f"{len(missing)} of the {len(wanted)} columns needed are missing: expected {wanted}, "
            f"found {table.columns[:30]}, missing {missing}",
            fix=f"{renamed}Rename or add the columns; their cells may be empty.",
            where=table.source,
        )
    return found


def _parse_column(table: Table, column: str, read: CellReader, log: _BadCells) -> list[Any]:
    """Return one raw value per record; None where the cell is empty or bad."""
    values: list[Any] = []
    for record, cell in enumerate(table.cells(column)):
        value = None
        if cell is not None:
            try:
                value = read(cell)
            except InputError as error:
                log.add(column, record, error, cell)
        values.append(value)
    return values


def _check_rows_have_input(inputs: Mapping[str, list[Any]], schema: Schema, log: _BadCells) -> None:
    told = {cell.row for cell in log.cells}
    nothing = InputError("the row has no input at all", fix="Fill it in, or drop the row.")
    for record, values in enumerate(zip(*inputs.values(), strict=True)):
        empty = all(value is None for value in values)
        if empty and int(log.table.rows[record]) not in told:
            log.add(schema.inputs[0].column, record, nothing, "")


def _cell_reader(one: Input, table: Table, column: str) -> CellReader:
    """Return the function that reads one cell of an input's modality."""
    if one.modality == "quantity":
        return _quantity_reader(one, table, column)
    if one.modality == "image":
        return lambda cell: file_in_folder(str(cell), table.folder)
    if one.modality == "climate":
        return lambda cell: _read_field(file_in_folder(str(cell), table.folder))
    if one.modality == "material":
        return lambda cell: _read_material(_read_text(cell), table.folder)
    return lambda cell: _read_text(cell)


def _read_material(cell: str, folder: Path) -> str | Crystal:
    """Return a formula as it stands, or the crystal in the CIF file that a cell names or holds."""
    if cell.lower().endswith(CIF_SUFFIX):
        return read_crystal(file_in_folder(cell, folder))
    return read_crystal(cell) if is_cif(cell) else cell


def _read_text(cell: Any) -> str:
    """Return a cell as text; whole numbers that pandas made floats without their ``.0``."""
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return str(cell).strip()


def _quantity_reader(one: Input, table: Table, column: str) -> CellReader:
    """Return a reader that brings numbers from the column's unit to the input's."""
    assert one.unit is not None
    unit = one.unit
    name, heading = split_name(column)
    own = celsius_for_coulomb(name, heading)[0] if heading and is_unit(heading) else unit
    try:
        check_convertible(own, unit)
    except InputError as error:
        raise error.at(f"{table.source}, column {column!r}") from None
    if own == unit:
        scale = None
    else:
        zero, one_more = convert([0.0, 1.0], own, unit)
        # Only straight lines are shortened so; logarithms go the long way for each cell.
        middle = convert([0.5], own, unit)[0]
        straight = np.isclose(middle, (zero + one_more) / 2, rtol=1e-12, atol=1e-300)
        scale = (one_more - zero, zero) if straight else None

    def read(cell: Any) -> Quantity | None:
        if is_missing_number(cell):
            return None
        if isinstance(cell, str) and not is_number(cell):
            number = _with_own_unit(cell, unit)
        elif isinstance(cell, str) and cell.strip()[:1] in "<>≤≥":
            raise InputError(
                "a censored value cannot be an input", fix="Write a number, or leave it empty."
            )
        else:
            number = parse_number(cell)
            if scale is not None:
                number = number * scale[0] + scale[1]
            elif own != unit:
                number = float(convert(number, own, unit))
        if not np.isfinite(number):
            raise InputError("the value is not finite", fix="Correct it, or leave it empty.")
        return Quantity(one.name, float(number), unit)

    return read


def _with_own_unit(cell: str, unit: str) -> float:
    """Return the number of a cell such as ``"25 °C"``, or raise the error about a plain number."""
    try:
        return parse_quantity(cell, unit)
    except InputError as error:
        if error.what.endswith("is not a number"):
            parse_number(cell)
        raise


def _read_field(path: Any) -> Field:
    """Return the field in a grid file that a cell names.

    Raises:
        InputError: The file cannot be read, or holds several times.
    """
    grid = read_grid(path)
    if len(grid) != 1:
        raise InputError(
            f"the file has {len(grid)} times, but a cell stands for one field",
            fix="Give one file per row, or fine-tune on the grid itself.",
        )
    names = ", ".join(grid.fields())
    one = Input("field", names, "climate")
    field: Field = grid_records(grid, Schema(inputs=(one,)), with_targets=False).inputs["field"][0]
    return field


def _read_time(cell: Any) -> float:
    """Return a moment as a number: days since 1970-01-01 for dates, the number itself otherwise.

    Raises:
        InputError: It is neither a number nor a date in ISO order.
    """
    if isinstance(cell, datetime):
        return float(np.datetime64(cell.replace(tzinfo=None), "ms").astype(np.int64) / 86_400_000)
    if isinstance(cell, date):
        return float(np.datetime64(cell, "D").astype(np.int64))
    if is_number(cell):
        return parse_number(cell)
    try:
        return _read_time(datetime.fromisoformat(str(cell).strip()))
    except ValueError:
        raise InputError(
            f"{shorten(str(cell))!r} is neither a number nor a date",
            fix="Write dates as 2024-03-31.",
        ) from None

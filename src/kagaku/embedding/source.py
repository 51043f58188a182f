"""What is embedded: a file, a DataFrame or a list, and what its columns are read as."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from kagaku.data import BadCell, Grid, Records, Schema, Table, grid_records, parse_records, read
from kagaku.data.table import table_from_frame
from kagaku.errors import InputError

LISTED = "value"
"""Name of the one column that a list becomes."""

NAMED = 5
"""Most columns of one modality that are told by name."""


def source_of(data: "str | Path | Sequence[object] | pd.DataFrame") -> Table | Grid:
    """Return the table or grid that a user gave: a file, a DataFrame, or a list of strings.

    Raises:
        InputError: It cannot be read, or a list holds something else.
    """
    if isinstance(data, str | Path):
        return read(data, is_unlabelled=True)
    if isinstance(data, pd.DataFrame):
        return table_from_frame(data)
    values = list(data)
    if not all(isinstance(value, str) for value in values):
        raise InputError(
            "a list of values must hold strings only",
            fix="Give SMILES, sequences or texts, or a DataFrame with named columns.",
        )
    return table_from_frame(pd.DataFrame({LISTED: values}), source="list")


def parse(source: Table | Grid, schema: Schema) -> tuple[Records, list[BadCell]]:
    """Return the records of a table or grid without targets, and the cells that cannot be read."""
    if isinstance(source, Grid):
        return grid_records(source, schema, with_targets=False), []
    return parse_records(source, schema, with_targets=False)


def told_inputs(schema: Schema) -> str:
    """Return what each input is read as, in words: a wrong guess would not show in the vectors."""
    columns: dict[str, list[str]] = {}
    for one in schema.inputs:
        columns.setdefault(one.modality, []).append(one.name)
    told = [f"{_listed(names)} as {modality}" for modality, names in columns.items()]
    return f"Reading {'; '.join(told)}"


def _listed(names: Sequence[str]) -> str:
    more = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {more:,} more" if more > 0 else "")

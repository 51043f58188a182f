"""Splits that a file gives: JSON lists of record indices, or a column of a table."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from kagaku.data.opening import find_file, open_bytes, suffix_of
from kagaku.data.records import Records
from kagaku.data.table import Table
from kagaku.data.tables import read_table
from kagaku.errors import InputError
from kagaku.registry import did_you_mean

_TRAIN = frozenset({"train", "training", "valid", "validation", "val", "dev"})
_TEST = frozenset({"test", "testing"})
_SHAPE = 'The file must be {"train": [0, 1, ...], "test": [...]}.'


def read_split(
    path: Path, name: str | None, records: Records
) -> tuple[np.ndarray, np.ndarray, str]:
    """Return (training indices, test indices, reason in words); validation counts as training.

    Records that the file does not name take part in neither.

    Raises:
        InputError: The file gives no split of these records.
    """
    found = find_file(path)
    if suffix_of(found) == ".json":
        first, second, told = _from_json(found, name)
        positions = _positions(records)
        train, test = (_to_records(side, positions, found.name) for side in (first, second))
    else:
        train, test, told = _from_table(read_table(found), name, records)
    if both := sorted({*train.tolist()} & {*test.tolist()}):
        raise InputError(
            f"{len(both)} records are in train and in test, such as {both[0]}",
            fix="Give each record to one side.",
            where=found.name,
        )
    for side, what in ((train, "train"), (test, "test")):
        if not len(side):
            raise InputError(f"no record is left for {what}", fix=_SHAPE, where=found.name)
    unused = len(records) - len(train) - len(test)
    told += f"; {unused} records are in neither" if unused else ""
    return train, test, told


def _positions(records: Records) -> dict[int, int]:
    """Return the index in ``records`` by position in the file, without rows that were dropped."""
    positions = records.positions
    if positions is None:
        positions = np.arange(len(records))
    return {int(position): index for index, position in enumerate(positions)}


def _to_records(side: list[int], positions: Mapping[int, int], source: str) -> np.ndarray:
    """Return indices in the records; positions of rows dropped as bad are left out.

    Raises:
        InputError: A position lies beyond the file's end, or comes twice.
    """
    if len(set(side)) < len(side):
        raise InputError("an index comes twice", fix="Name each record once.", where=source)
    last = max(positions)
    if side and (max(side) > last or min(side) < 0):
        wrong = max(side) if max(side) > last else min(side)
        raise InputError(
            f"the index {wrong} lies outside the records 0 to {last}",
            fix="Count the records from 0, without the heading; check that the split belongs to "
            "this file.",
            where=source,
        )
    return np.array(sorted(positions[one] for one in side if one in positions), dtype=np.int64)


def _from_json(path: Path, name: str | None) -> tuple[list[int], list[int], str]:
    try:
        with open_bytes(path) as stream:
            content: Any = json.load(stream)
    except InputError:
        raise
    except ValueError as error:
        raise InputError(f"the file is no JSON ({error})", fix=_SHAPE, where=path.name) from None
    if not isinstance(content, dict):
        raise InputError("the file holds no lists by name", fix=_SHAPE, where=path.name)
    named = {key: value for key, value in content.items() if isinstance(value, dict)}
    told = f"as {path.name} gives it"
    if named:
        if name is None and len(named) > 1:
            raise InputError(
                f"the file holds {len(named)} splits: {sorted(named)}",
                fix="Say which one by name.",
                where=path.name,
            )
        name = name or next(iter(named))
        if name not in named:
            raise InputError(
                f"there is no split {name!r}", fix=did_you_mean(name, named), where=path.name
            )
        content, told = named[name], f"{told} ({name})"
    train = [one for key, side in content.items() if key in _TRAIN for one in _indices(side, path)]
    test = [one for key, side in content.items() if key in _TEST for one in _indices(side, path)]
    return train, test, told


def _indices(side: Any, path: Path) -> list[int]:
    if not isinstance(side, list) or not all(
        isinstance(one, int) and not isinstance(one, bool) for one in side
    ):
        raise InputError("a side is no list of whole numbers", fix=_SHAPE, where=path.name)
    return side


def _from_table(
    table: Table, name: str | None, records: Records
) -> tuple[np.ndarray, np.ndarray, str]:
    """Return the sides by row number, from the column that holds the words train and test."""
    words = {
        column: [str(cell).strip().lower() for cell in table.cells(column)]
        for column in table.columns
        if name in (None, column)
    }
    fitting = [
        column
        for column, cells in words.items()
        if _TEST & set(cells) and _TRAIN & set(cells) and set(cells) <= _TRAIN | _TEST | {"none"}
    ]
    if len(fitting) != 1:
        what = f"{len(fitting)} columns hold" if fitting else "no column holds"
        raise InputError(
            f"{what} the words train and test",
            fix=f"Name one of {fitting or table.columns[:20]}, with train, valid or test in each "
            "row.",
            where=table.source,
        )
    side = dict(zip(table.rows.tolist(), words[fitting[0]], strict=True))
    of_record = [side.get(row, "none") for row in records.rows.tolist()]
    train = np.flatnonzero([word in _TRAIN for word in of_record])
    test = np.flatnonzero([word in _TEST for word in of_record])
    return train, test, f"as the column {fitting[0]!r} of {table.source} gives it"

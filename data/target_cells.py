"""From the cells of a target column to its measured values."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from kagaku.data.numbers import (
    is_missing_label,
    is_missing_number,
    is_number,
    parse_number,
    shorten,
    split_censoring,
)
from kagaku.data.records import EXACT, Records, TargetValues
from kagaku.data.schema import Target
from kagaku.data.target_kinds import label_of, no_measured_value, one_class_only, split_labels
from kagaku.data.units import DIMENSIONLESS, convert, parse_quantity, parse_unit
from kagaku.errors import InputError

FEWEST_ROWS = 10
"""Fewest measured rows that anything is learnt from."""

Report = Callable[[int, InputError, Any], None]
"""Takes a record's index, what is wrong with its cell, and the cell."""


def parse_target(
    target: Target, cells: Sequence[Any], sequences: Sequence[Any] | None, report: Report
) -> TargetValues:
    """Return the measured values of one target; see `TargetValues` for their form.

    Args:
        target: What the column means.
        cells: One cell per record; None where empty.
        sequences: For per-token targets, the protein of each record.
        report: Called for every cell that cannot be used.
    """
    n_records = len(cells)
    censoring = np.full(n_records, EXACT, dtype=np.int64)
    if target.kind == "regression":
        return _parse_numbers(target, cells, report)
    if target.kind == "per-token":
        assert sequences is not None
        return TargetValues(_parse_residues(target, cells, sequences, report), censoring)
    index = _class_index(target.classes)
    if target.kind == "multilabel":
        return TargetValues(_parse_label_sets(target, cells, report), censoring)
    values = np.full(n_records, np.nan)
    for record, cell in enumerate(cells):
        if not is_missing_label(cell):
            try:
                values[record] = _find_class(label_of(cell), index, target)
            except InputError as error:
                report(record, error, cell)
    return TargetValues(values, censoring)


def _parse_label_sets(target: Target, cells: Sequence[Any], report: Report) -> np.ndarray:
    """Return 0 and 1 by class, float (record, class); NaN where nothing is written."""
    index = _class_index(target.classes)
    values = np.full((len(cells), len(target.classes)), np.nan)
    for record, cell in enumerate(cells):
        if is_missing_label(cell):
            continue
        try:
            chosen = [_find_class(label, index, target) for label in split_labels(cell)]
        except InputError as error:
            report(record, error, cell)
            continue
        values[record] = 0.0
        values[record, chosen] = 1.0
    return values


def _parse_numbers(target: Target, cells: Sequence[Any], report: Report) -> TargetValues:
    """Return numbers in the target's unit; a flipped logarithm flips the censoring too."""
    unit = target.unit or DIMENSIONLESS
    column_unit = target.column_unit or unit
    values = np.full(len(cells), np.nan)
    censoring = np.full(len(cells), EXACT, dtype=np.int64)
    for record, cell in enumerate(cells):
        if is_missing_number(cell):
            continue
        try:
            bare, censoring[record] = split_censoring(cell)
            values[record] = _number(bare, column_unit)
        except InputError as error:
            censoring[record] = EXACT
            report(record, error, cell)
    read = ~np.isnan(values)
    values = convert(values, column_unit, unit)
    for record in np.flatnonzero(read & ~np.isfinite(values)).tolist():
        no_logarithm = InputError(
            f"the value has no finite counterpart in {unit}",
            fix="Correct it, or leave the cell empty: zero and negative values have no logarithm.",
        )
        report(record, no_logarithm, cells[record])
        values[record], censoring[record] = np.nan, EXACT
    return TargetValues(values, censoring * parse_unit(column_unit).sign * parse_unit(unit).sign)


def _number(cell: Any, unit: str) -> float:
    """Return the number of a cell that may carry its own unit."""
    if isinstance(cell, str) and not is_number(cell):
        try:
            number = parse_quantity(cell, unit)
        except InputError as error:
            if not error.what.endswith("is not a number"):
                raise
            return parse_number(cell)  # tells best how to write it
        if not np.isfinite(number):
            raise InputError(
                f"{shorten(cell)!r} is not a finite number", fix="Correct it, or leave it empty."
            )
        return number
    return parse_number(cell)


def _class_index(classes: Sequence[str]) -> dict[str, int]:
    """Return the index of every class, also by other capitals where that is unambiguous."""
    folded = [name.casefold() for name in classes]
    lower = {name: i for i, name in enumerate(folded) if folded.count(name) == 1}
    return lower | {name: i for i, name in enumerate(classes)}


def _find_class(label: str, index: dict[str, int], target: Target) -> int:
    found = index.get(label, index.get(label.casefold()))
    if found is not None:
        return found
    if label[:1] in "<>≤≥" and is_number(label):
        raise InputError(
            "a censored value cannot be a class", fix="Write one of the classes, or leave it empty."
        )
    listed = [shorten(name, 20) for name in target.classes[:10]]
    raise InputError(
        f"{shorten(label)!r} is not one of the classes", fix=f"The classes are {listed}."
    )


def _parse_residues(
    target: Target, cells: Sequence[Any], sequences: Sequence[Any], report: Report
) -> np.ndarray:
    """Return class indices per residue, an object array (record,) of integer arrays or None."""
    index = {letter: place for place, letter in enumerate(target.classes)}
    values = np.full(len(cells), None, dtype=object)
    for record, (cell, sequence) in enumerate(zip(cells, sequences, strict=True)):
        if cell is None or sequence is None:
            continue
        labels = str(cell).strip()
        n_residues = len("".join(sequence.split()).removesuffix("*"))
        if len(labels) != n_residues:
            wrong = InputError(
                f"{len(labels)} labels for {n_residues} residues",
                fix="Give one letter per residue.",
            )
            report(record, wrong, cell)
        elif strange := sorted(set(labels) - set(index)):
            unknown = InputError(
                f"{strange} are not among the classes",
                fix=f"The classes are {list(target.classes)}.",
            )
            report(record, unknown, cell)
        else:
            values[record] = np.array([index[letter] for letter in labels], dtype=np.int64)
    return values


def check_targets(records: Records) -> None:
    """Check that there is something to learn from.

    Raises:
        InputError: A target has no measured value, one value or class only, or fewer than ten
            measured rows.
    """
    for target in records.schema.targets:
        measured = records.targets[target.name]
        where = f"{records.source}, column {target.column!r}"
        present = measured.present()
        if not present.any():
            raise no_measured_value(where)
        if (n_present := int(present.sum())) < FEWEST_ROWS:
            raise InputError(
                f"the target has {n_present} measured row{'s' if n_present > 1 else ''}, fewer "
                f"than {FEWEST_ROWS}",
                fix="Measure more: from so few rows neither a model nor its error can be learnt.",
                where=where,
            )
        _check_differences(target, measured.subset(np.flatnonzero(present)), where)


def _check_differences(target: Target, measured: TargetValues, where: str) -> None:
    """Refuse a target that is the same in every measured row."""
    if target.kind == "per-token":
        found = set(np.concatenate(measured.values.tolist()).tolist())
    else:
        found = set(np.unique(measured.values[~np.isnan(measured.values)]).tolist())
    if len(found) > 1:
        return
    only = found.pop()
    if target.kind in ("regression", "field"):
        raise InputError(
            f"every measured value of the target is {only:g}",
            fix="Add rows that differ; from one value nothing can be learnt.",
            where=where,
        )
    label = f"{only:g}" if target.kind == "multilabel" else target.classes[int(only)]
    raise one_class_only(label, where)

"""The schema of a file, worked out from its headings and contents."""

from collections.abc import Sequence

from kagaku.data.columns import (
    CELL_MODALITIES,
    Guess,
    celsius_for_coulomb,
    guess_column,
    guess_sequences,
)
from kagaku.data.fasta import SEQUENCE, is_fasta
from kagaku.data.grid_inference import infer_grid_schema
from kagaku.data.grids import Grid
from kagaku.data.leaks import form_of_target
from kagaku.data.requests import Request, find_column, find_request
from kagaku.data.schema import KINDS, Ignored, Input, Kind, Schema, Target
from kagaku.data.table import Table
from kagaku.data.target_kinds import infer_kind, requested_kind
from kagaku.data.units import (
    DIMENSIONLESS,
    carried_unit,
    check_convertible,
    is_unit,
    same_unit,
    split_name,
)
from kagaku.errors import InputError


def infer_schema(
    source: Table | Grid,
    *,
    targets: Sequence[str],
    inputs: Sequence[str] | None = None,
    group: str | None = None,
    time: str | None = None,
    lead: str | None = None,
    is_beginning: bool = False,
) -> Schema:
    """Return what every column of a file means, each with the reason in words.

    Args:
        source: A table or a grid, as read.
        targets: What to predict: ``name``, ``name [unit]``, either with ``: kind`` behind. May be
            empty for embedding.
        inputs: What to predict from: ``name``, ``name [unit]``, either with ``: modality`` behind.
            None takes every column that looks useful.
        group: A column whose equal values must stay on one side of a split.
        time: A column that orders the records in time.
        lead: For grids, how far after the input the target lies, such as ``"3 months"``.
        is_beginning: Whether the table is the first rows of a longer file, so that a column that is
            empty here may be filled below.

    Raises:
        InputError: A column, kind, modality or unit is unknown; a target has no measured value or
            one class only; or no input is left.
    """
    if isinstance(source, Grid):
        for word, given in (("group", group), ("time", time)):
            if given is not None:
                raise InputError(
                    f"a {word} column is for tables, and this is a grid",
                    fix="Leave it out: grids are split by their own time axis.",
                    where=source.source,
                )
        return infer_grid_schema(source, targets=targets, inputs=inputs, lead=lead)
    if lead is not None:
        raise InputError(
            "a lead is for grids, and this is a table", fix="Leave it out.", where=source.source
        )
    columns = source.columns
    wanted = [find_request(text, columns, KINDS, source.source) for text in targets]
    _check_once([request.column for request in wanted], "target", source.source)
    group, time = (name and find_column(name, columns, source.source) for name in (group, time))
    reserved = {request.column: "is a target" for request in reversed(wanted)}
    for column, why in ((group, "groups the rows"), (time, "orders the rows in time")):
        if column is not None:
            reserved.setdefault(column, why)
    if inputs is None:
        chosen, ignored = _all_inputs(
            source, reserved, [request.column for request in wanted], is_beginning=is_beginning
        )
    else:
        chosen, ignored = _asked_inputs(source, inputs, reserved, is_beginning=is_beginning)
    chosen = _unique_names(chosen)
    if not chosen:
        told = "; ".join(f"{one.column!r} {one.reason}" for one in ignored)
        raise InputError(
            f"no column is left as an input ({told or 'every column is a target'})",
            fix="Name the inputs, such as --input smiles.",
            where=source.source,
        )
    sequences = [
        (one.name, source.cells(one.column)) for one in chosen if one.modality == "protein"
    ]
    return Schema(
        inputs=tuple(chosen),
        targets=tuple(_target(source, request, sequences) for request in wanted),
        ignored=tuple(ignored),
        group=group,
        time=time,
    )


def _all_inputs(
    source: Table, reserved: dict[str, str], targets: Sequence[str], *, is_beginning: bool
) -> tuple[list[Input], list[Ignored]]:
    """Return the useful columns as inputs and the rest with reasons, in the file's order."""
    inputs: list[Input] = []
    ignored: list[Ignored] = []
    for column in source.columns:
        if column in reserved:
            if reserved[column] != "is a target":
                ignored.append(Ignored(column, reserved[column]))
            continue
        if source.ids is not None and column in ("id", "description"):
            ignored.append(Ignored(column, "comes from the entry's header; ask for it to use it"))
            continue
        if is_beginning and _is_empty(source, column):
            ignored.append(Ignored(column, f"is empty {_rows_seen(source)}"))
            continue
        guess = _guess(source, column, may_be_constant=not targets)
        leak = form_of_target(source, column, targets) if guess.modality == "quantity" else None
        if guess.modality is None:
            ignored.append(Ignored(column, guess.reason))
        elif leak is not None:
            why = (
                f"rises and falls with the target {leak!r} row by row, so it is another form of it"
            )
            ignored.append(Ignored(column, f"{why}; ask for it to use it"))
        else:
            inputs.append(_input(column, guess))
    return inputs, ignored


def _guess(source: Table, column: str, *, may_be_constant: bool) -> Guess:
    """Return what a column holds; the sequences of a FASTA file are never taken for words."""
    guess = guess_sequences if is_fasta(source) and column == SEQUENCE else guess_column
    return guess(column, source.cells(column), may_be_constant=may_be_constant)


def _input(column: str, guess: Guess) -> Input:
    assert guess.modality is not None
    quantity = guess.modality == "quantity"
    name, unit = split_name(column)
    known = unit is None or is_unit(unit)
    return Input(
        name=name if quantity or known else column,
        column=column,
        modality=guess.modality,
        unit=guess.unit if quantity else None,
        reason=guess.reason,
    )


def _asked_inputs(
    source: Table, inputs: Sequence[str], reserved: dict[str, str], *, is_beginning: bool
) -> tuple[list[Input], list[Ignored]]:
    """Return the inputs that the user named, in their order."""
    requests = [
        find_request(text, source.columns, CELL_MODALITIES, source.source) for text in inputs
    ]
    _check_once([request.column for request in requests], "input", source.source)
    chosen: list[Input] = []
    for request in requests:
        if reason := reserved.get(request.column):
            raise InputError(
                f"the column {request.column!r} {reason}, so it cannot be an input too",
                fix="Leave it out of the inputs.",
                where=source.source,
            )
        chosen.append(_asked_input(source, request, is_beginning=is_beginning))
    taken = {one.column for one in chosen} | set(reserved)
    rest = [column for column in source.columns if column not in taken]
    ignored = [Ignored(column, "was not asked for") for column in rest]
    extra = [Ignored(column, why) for column, why in reserved.items() if why != "is a target"]
    return chosen, ignored + extra


def _is_empty(source: Table, column: str) -> bool:
    return all(cell is None for cell in source.cells(column))


def _rows_seen(source: Table) -> str:
    return f"in the first {len(source):,} rows, which tell what a column holds"


def _asked_input(source: Table, request: Request, *, is_beginning: bool) -> Input:
    # Further down there may be something, and what it is need not be guessed.
    may_be_empty = is_beginning and request.word is not None
    if not may_be_empty and _is_empty(source, request.column):
        what = f"the input {request.column!r} is empty"
        if not is_beginning:
            raise InputError(
                f"{what} in every row", fix="Leave it out, or fill it in.", where=source.source
            )
        raise InputError(
            f"{what} {_rows_seen(source)}",
            fix=f"Say what it holds, such as --input '{request.name}: protein', or leave it out.",
            where=source.source,
        )
    guess = _guess(source, request.column, may_be_constant=True)
    modality = request.word or guess.modality
    if modality is None:
        modality = "quantity" if "number" in guess.reason else "text"
        reason = f"as asked for, though it {guess.reason}"
    else:
        reason = "as asked for" if request.word else guess.reason
    if request.unit is not None and modality != "quantity" and request.word is None:
        raise InputError(
            f"{request.column!r} was given the unit {request.unit!r}, but its cells are no "
            f"numbers ({guess.reason})",
            fix=f"Leave the unit out, or ask for '{request.name}: {modality}'.",
            where=source.source,
        )
    if modality != "quantity":
        return Input(request.name, request.column, modality, None, reason)
    unit = request.unit or guess.unit or DIMENSIONLESS
    if request.unit is not None and not _was_asked(request):
        unit = celsius_for_coulomb(request.name, unit)[0]
    if request.column_unit is not None:
        _check_units(source, request.column, request.column_unit, unit)
    told = f"; {request.told}" if request.told else ""
    return Input(request.name, request.column, modality, unit, f"{reason}{told}")


def _was_asked(request: Request) -> bool:
    return request.told.endswith("as asked for")


def _check_units(source: Table, column: str, column_unit: str, unit: str) -> None:
    heading = celsius_for_coulomb(split_name(column)[0], column_unit)[0]
    try:
        check_convertible(heading, unit)
    except InputError as error:
        raise error.at(f"{source.source}, column {column!r}") from None


def _target(
    source: Table, request: Request, sequences: Sequence[tuple[str, Sequence[object]]]
) -> Target:
    where = f"{source.source}, column {request.column!r}"
    cells = source.cells(request.column)
    if request.word is None:
        found = infer_kind(request.name, cells, sequences, where)
    else:
        kind: Kind = next(known for known in KINDS if known == request.word)
        found = requested_kind(kind, cells, sequences, where)
    if found.kind != "regression":
        return Target(
            request.name,
            request.column,
            found.kind,
            classes=found.classes,
            labels=found.labels,
            reason=found.reason,
        )
    carried = next((unit for cell in cells if (unit := carried_unit(cell)) is not None), None)
    unit = request.unit or carried or DIMENSIONLESS
    column_unit = request.column_unit or unit
    column_unit = celsius_for_coulomb(request.name, column_unit)[0]
    if not _was_asked(request):
        unit = column_unit
    _check_units(source, request.column, column_unit, unit)
    reason = f"{found.reason}; {request.told or 'no unit in the heading'}"
    if not same_unit(column_unit, unit):
        reason += f", converted from {column_unit}"
    return Target(request.name, request.column, "regression", unit, column_unit, reason=reason)


def _check_once(columns: Sequence[str], what: str, source: str) -> None:
    if twice := sorted({column for column in columns if columns.count(column) > 1}):
        raise InputError(
            f"the {what} {twice[0]!r} was named twice", fix="Name it once.", where=source
        )


def _unique_names(inputs: list[Input]) -> list[Input]:
    """Return the inputs, called by their whole heading where two names without unit are equal."""
    names = [one.name for one in inputs]
    return [
        one
        if names.count(one.name) == 1
        else Input(one.column, one.column, one.modality, one.unit, one.reason)
        for one in inputs
    ]

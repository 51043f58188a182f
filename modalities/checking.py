"""From records to tokens: every cell checked first, then statistics, then tokens."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Protocol, TypeVar, runtime_checkable

from kagaku.data.bad_rows import BadCell
from kagaku.data.records import Field, Quantity, Records
from kagaku.data.schema import Schema
from kagaku.errors import InputError
from kagaku.modalities.base import MODALITIES, Modality, Tokens
from kagaku.modalities.packing import RecordTokens

SHOWN_CHARACTERS = 60
"""How much of a bad cell's value is shown."""

Modalities = Mapping[str, Modality[Any]]
"""One instance of each modality that a run uses, by name."""


@runtime_checkable
class Tokenizing(Protocol):
    """Makes the tokens of a value: a modality, or a public model with tokens of its own."""

    def tokenize(self, value: Any, /) -> Tokens:
        """Return the tokens of a checked value."""


Out = TypeVar("Out")


def make_modalities(
    schema: Schema, settings: Mapping[str, Mapping[str, Any]] | None = None
) -> dict[str, Modality[Any]]:
    """Return a fresh, unfitted instance of each modality that the schema's inputs use.

    Args:
        schema: What the columns mean.
        settings: By modality, the settings that differ from the defaults, such as
            ``{"climate": {"patch_cells": 8}}``.

    Raises:
        InputError: A modality or a setting is unknown.
    """
    settings = settings or {}
    for name in settings:
        MODALITIES[name]
    made = {}
    for name in sorted({one.modality for one in schema.inputs}):
        made[name] = MODALITIES[name]()
        if name in settings:
            made[name].load_state({"config": dict(settings[name])})
    return made


def check_records(records: Records, modalities: Modalities) -> tuple[Records, list[BadCell]]:
    """Return the records with every value in canonical form, and every cell that cannot be used.

    A bad cell keeps its value, so the caller has to stop or drop its row before going on.

    Args:
        records: What was read from the file.
        modalities: By name; fitted ones also compare with what training saw.

    Returns:
        The records, and the bad cells in the order of the rows, then of the columns.
    """
    inputs: dict[str, list[Any]] = {}
    bad: list[tuple[int, BadCell]] = []
    for one in records.schema.inputs:
        check = _once_per_text(modalities[one.modality].check)
        checked = list(records.inputs[one.name])
        for record, value in enumerate(checked):
            if value is None:
                continue
            try:
                checked[record] = check(value)
            except InputError as error:
                cell = BadCell(
                    records.source,
                    int(records.rows[record]),
                    one.column,
                    shown(value),
                    error.what,
                    error.fix,
                )
                bad.append((record, cell))
        inputs[one.name] = checked
    bad.sort(key=lambda pair: pair[0])
    return replace(records, inputs=inputs), [cell for _, cell in bad]


def fit_modalities(
    records: Records, settings: Mapping[str, Mapping[str, Any]] | None = None
) -> dict[str, Modality[Any]]:
    """Return one fitted instance of each modality that the records use.

    Args:
        records: Checked training records, and no others: means and spreads are learnt from them.
        settings: As in `make_modalities`.
    """
    modalities = make_modalities(records.schema, settings)
    for name, modality in modalities.items():
        columns = [one.name for one in records.schema.inputs if one.modality == name]
        values = [v for column in columns for v in records.inputs[column] if v is not None]
        if values:
            modality.fit(values)
    return modalities


def tokenize_records(records: Records, modalities: Mapping[str, Tokenizing]) -> list[RecordTokens]:
    """Return each record's tokens by column index (the input's position in the schema).

    Equal texts (a sequence that stands in many rows) share one `Tokens` object: do not write to it.

    Args:
        records: Checked records.
        modalities: By name, fitted.
    """
    tokens: list[dict[int, tuple[str, Tokens]]] = [{} for _ in range(len(records))]
    for column, one in enumerate(records.schema.inputs):
        tokenize = _once_per_text(modalities[one.modality].tokenize)
        for record, value in enumerate(records.inputs[one.name]):
            if value is not None:
                tokens[record][column] = (one.modality, tokenize(value))
    return list(tokens)


def modality_states(modalities: Modalities) -> dict[str, dict[str, Any]]:
    """Return what each modality learnt, by name, as plain JSON values."""
    return {name: modality.state() for name, modality in modalities.items()}


def restore_modalities(states: Mapping[str, Mapping[str, Any]]) -> dict[str, Modality[Any]]:
    """Return the modalities whose `modality_states` these are.

    Raises:
        InputError: A modality is unknown, or its state is damaged or of another version.
    """
    modalities = {}
    for name, state in states.items():
        modalities[name] = MODALITIES[name]()
        try:
            modalities[name].load_state(state)
        except (TypeError, AttributeError, KeyError) as error:
            raise InputError(
                f"the stored state of the {name} modality is damaged ({error})",
                fix="Copy the run folder again, or fine-tune again.",
            ) from None
    return modalities


def shown(value: object) -> str:
    """Return a raw value as a user would recognise it, cut to 60 characters.

    Example:
        >>> shown(Quantity("T", 25.0, "degC"))
        '25.0 degC'
    """
    if isinstance(value, Quantity):
        text = f"{value.value} {value.unit}"
    elif isinstance(value, Field):
        text = f"{', '.join(value.names)} on {' x '.join(map(str, value.values.shape[1:]))} cells"
    else:
        text = str(value)
    text = " ".join(text.split())
    return text if len(text) <= SHOWN_CHARACTERS else text[: SHOWN_CHARACTERS - 3] + "..."


def _once_per_text(function: Callable[[Any], Out]) -> Callable[[Any], Out]:
    """Return the function with a memory of the texts it has seen; errors are not kept."""
    seen: dict[str, Out] = {}

    def remembered(value: Any) -> Out:
        if not isinstance(value, str):
            return function(value)
        if value not in seen:
            seen[value] = function(value)
        return seen[value]

    return remembered

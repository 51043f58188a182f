"""The values that are to be traced: read as any other input, and checked."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from kagaku.data import BadRowsError, Grid, infer_schema, parse_records, without_bad_rows
from kagaku.data.corpora.tracing import indexed_modalities
from kagaku.data.suffixes import GRID_SUFFIXES, IMAGE_SUFFIXES, TABLE_SUFFIXES
from kagaku.embedding.source import LISTED, source_of
from kagaku.errors import InputError
from kagaku.modalities.checking import check_records, make_modalities, shown
from kagaku.modalities.image import Image, ImageConfig
from kagaku.modalities.image_files import read_image
from kagaku.modalities.text import ANY_LENGTH, Text, TextConfig
from kagaku.terminal import Terminal


@dataclass(frozen=True)
class Asked:
    """One value to be traced."""

    row: int
    """Where it stands: the line of a file, the place in a list or DataFrame from 0."""

    column: str
    """The column of a table."""

    modality: str
    """Its modality."""

    value: Any
    """Checked; of an image, its path or pixels."""

    text: str
    """The value as a person would recognise it."""

    def content(self) -> Any:
        """Return what is compared: the pixels of a picture on disk, else the value itself."""
        if self.modality == Image.name and isinstance(self.value, str | Path):
            return read_image(Path(self.value), ImageConfig().max_pixels)
        return self.value


def source_given(values: Sequence[str]) -> Path | Sequence[str]:
    """Return the table that a command's words name, or the words themselves.

    Raises:
        InputError: A word is empty, or looks like a file that is not there.
    """
    if any(not one.strip() for one in values):
        raise InputError("a value is empty", fix="Give something to trace.")
    if len(values) > 1:
        return values
    path = Path(values[0]).expanduser()
    try:
        if path.exists():
            return values if path.suffix.lower() in IMAGE_SUFFIXES else path
    except OSError:  # too long for the name of a file
        return values
    if path.suffix.lower() in (*TABLE_SUFFIXES, *IMAGE_SUFFIXES, *GRID_SUFFIXES):
        raise InputError("there is no such file", fix="Check the path.", where=values[0])
    return values


def read_asked(
    data: "str | Path | Sequence[str] | pd.DataFrame",
    inputs: Sequence[str] | None,
    *,
    skip_bad_rows: bool,
    terminal: Terminal,
) -> list[Asked]:
    """Return the checked values of all columns that can be traced, row by row.

    Args:
        data: A file, a DataFrame, or values.
        inputs: Columns to trace, as in `kagaku.embed`; None takes all that can be traced.
        skip_bad_rows: Leave out rows that cannot be read, instead of stopping.
        terminal: Told how many were left out.

    Raises:
        InputError: A value cannot be read, or no column can be traced.
    """
    source = source_of(data)
    can = indexed_modalities()
    if isinstance(source, Grid):
        raise InputError(
            "fields cannot be traced", fix=f"What can: {', '.join(can)}.", where=source.source
        )
    if inputs is not None and list(source.columns) == [LISTED]:
        inputs = [f"{LISTED}: {one}" if one in can else one for one in inputs]
    schema = infer_schema(source, targets=[], inputs=inputs)
    columns = tuple(one for one in schema.inputs if one.modality in can)
    if not columns:
        told = ", ".join(f"{one.column!r} is read as {one.modality}" for one in schema.inputs)
        raise InputError(
            f"nothing here can be traced: {told}",
            fix=f"What can: {', '.join(can)}. Say what a column holds, such as "
            '--input "name: molecule".',
            where=source.source,
        )
    schema = replace(schema, inputs=columns)
    records, bad = parse_records(source, schema, with_targets=False)
    modalities = make_modalities(schema)
    if Text.name in modalities:
        modalities[Text.name] = Text(TextConfig(max_tokens=ANY_LENGTH))
    checked, more = check_records(records, modalities)
    bad = [*bad, *more]
    if bad and not skip_bad_rows:
        raise BadRowsError(bad, len(records))
    if bad:
        n_bad = len({cell.row for cell in bad})
        terminal.say(f"{n_bad:,} of {len(records):,} rows cannot be read and are left out.")
    good = without_bad_rows(checked, bad)
    return [
        Asked(int(row), one.column, one.modality, value, shown(value))
        for record, row in enumerate(good.rows.tolist())
        for one in columns
        if (value := good.inputs[one.name][record]) is not None
    ]

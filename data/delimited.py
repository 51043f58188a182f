"""Tables as text: CSV, TSV and their relatives, read in bounded memory."""

import csv
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path

import numpy as np
import pandas as pd

from kagaku.data.opening import open_bytes, suffix_of, text_lines
from kagaku.data.table import (
    CHARACTERS_PER_CHUNK,
    LARGEST_CELL,
    Table,
    cell_too_large,
    check_columns,
)
from kagaku.errors import InputError

_USUAL_DELIMITER = {".csv": ",", ".tsv": "\t", ".tab": "\t"}
_DELIMITERS = (",", "\t", ";", "|")
_LINES_LOOKED_AT = 20


def read_delimited(path: Path, rows_per_chunk: int) -> Iterator[Table]:
    """Yield the rows of a delimited text file, a bounded number and size at a time.

    The row number is the one that a spreadsheet shows: blank rows count, though they are no
    records, and a cell with line breaks is still one row.

    Raises:
        InputError: The file is empty, no UTF-8 text, has rows of different length, two columns of
            one name, or a cell above 1 MB.
    """
    with open_bytes(path) as stream:
        lines = text_lines(stream, path.name)
        first = list(islice(lines, _LINES_LOOKED_AT))
        delimiter = _find_delimiter(first, suffix_of(path))
        reader = csv.reader(chain(first, lines), delimiter=delimiter)
        heading, n_read = _next_rows(reader, 1, 0, path.name)
        if not heading:
            raise InputError("the file has no heading", fix="Export it again.", where=path.name)
        columns = check_columns(heading[0][1], path.name)
        n_records = 0
        while True:
            batch, n_read = _next_rows(reader, rows_per_chunk, n_read, path.name)
            if not batch:
                break
            n_records += len(batch)
            yield _table(batch, columns, path)
    if n_records == 0:
        raise InputError(
            "the file has a heading but no rows", fix="Add at least one row.", where=path.name
        )


def _next_rows(
    reader: Iterator[list[str]], count: int, n_read: int, source: str
) -> tuple[list[tuple[int, list[str]]], int]:
    """Return (row number, cells) of the next rows that are not blank, and how many were read."""
    rows: list[tuple[int, list[str]]] = []
    held = 0
    # The limit belongs to the whole process, so it is put back before anybody else reads.
    usual = csv.field_size_limit(LARGEST_CELL)
    try:
        for row in reader:
            n_read += 1
            if any(row) and any(cell.strip() for cell in row):
                rows.append((n_read, row))
                held += sum(map(len, row))
                if len(rows) == count or held >= CHARACTERS_PER_CHUNK:
                    break
    except csv.Error as error:
        if "field larger" in str(error):
            raise cell_too_large(LARGEST_CELL + 1, f"{source}, row {n_read + 1}") from None
        raise InputError(
            f"row {n_read + 1} cannot be read ({error})", fix="Correct it.", where=source
        ) from None
    finally:
        csv.field_size_limit(usual)
    return rows, n_read


def _table(batch: list[tuple[int, list[str]]], columns: list[str], path: Path) -> Table:
    """Return the table of some rows, checking their lengths."""
    for number, row in batch:
        if len(row) > len(columns) and not any(row[len(columns) :]):
            del row[len(columns) :]  # delimiters at the end of the line, as Excel leaves them
        if len(row) != len(columns):
            raise InputError(
                f"row {number} has {len(row)} cells, but the heading has {len(columns)}",
                fix="Look for a missing or surplus delimiter; put a cell that holds one into "
                "double quotes.",
                where=path.name,
            )
    cells = [[cell or None for cell in row] for _, row in batch]
    frame = pd.DataFrame(cells, columns=pd.Index(columns), dtype=object)
    return Table(frame, np.array([number for number, _ in batch]), path.name, path.parent)


def _find_delimiter(lines: list[str], suffix: str) -> str:
    """Return the delimiter that cuts the first lines into the same number of cells, most of them.

    Files called .csv with semicolons are what spreadsheets write where the comma is decimal.
    """
    usual = _USUAL_DELIMITER.get(suffix, ",")
    candidates = (usual, *(other for other in _DELIMITERS if other != usual))

    def n_cells(delimiter: str) -> int:
        try:
            rows = [row for row in csv.reader(lines, delimiter=delimiter) if row]
        except csv.Error:
            return 0
        # The last line looked at may be the first half of a quoted cell.
        widths = {len(row) for row in (rows[:-1] if len(rows) == len(lines) > 2 else rows)}
        return widths.pop() if len(widths) == 1 else 0

    # Every row of "a;1,5" holds one comma too, but rows with commas rarely hold one semicolon each,
    # heading included: so the comma comes last.
    widths = {delimiter: n_cells(delimiter) for delimiter in candidates}
    if usual != "," and widths[usual] > 1:
        return usual
    best = max((one for one in candidates if one != ","), key=widths.__getitem__)
    return best if widths[best] > 1 else usual

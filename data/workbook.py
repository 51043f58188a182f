"""Tables in Excel workbooks."""

import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from kagaku.data.table import Table, check_cell_sizes, check_columns
from kagaku.errors import InputError

LARGEST_UNPACKED = 2_000_000_000
"""Most bytes that a workbook may unpack to; its sheets are compressed XML."""


def read_workbook(path: Path) -> Table:
    """Return the first sheet of an Excel workbook; the first row that is not blank is the heading.

    Cells keep the type that Excel gives them; formulas give the value that was last computed.

    Raises:
        InputError: It is damaged or no .xlsx, or the sheet is empty, has a heading only or two
            columns of one name.
    """
    rows = _rows(path)
    start, heading = next(rows, (0, ()))
    if start == 0:
        raise InputError("the first sheet is empty", fix="Export it again.", where=path.name)
    while heading and heading[-1] is None:
        heading = heading[:-1]
    columns = check_columns(["" if cell is None else str(cell) for cell in heading], path.name)
    numbers: list[int] = []
    cells: list[list[Any]] = []
    for number, row in rows:
        if any(cell is not None for cell in row[len(columns) :]):
            raise InputError(
                f"row {number} has a cell to the right of the heading's {len(columns)} columns",
                fix="Name that column, or clear the cell.",
                where=path.name,
            )
        kept = [_cell(cell) for cell in row[: len(columns)]]
        check_cell_sizes(kept, path.name, number, columns)
        cells.append(kept + [None] * (len(columns) - len(kept)))
        numbers.append(number)
    if not cells:
        raise InputError(
            "the first sheet has a heading but no rows", fix="Add at least one.", where=path.name
        )
    frame = pd.DataFrame(cells, columns=pd.Index(columns), dtype=object)
    return Table(frame, np.array(numbers), path.name, path.parent)


def _cell(cell: Any) -> Any:
    """Return a cell, with Excel's own error values as missing."""
    return None if isinstance(cell, str) and cell in {"#N/A", "#NULL!", ""} else cell


def _rows(path: Path) -> Iterator[tuple[int, tuple[Any, ...]]]:
    """Yield (row number, cells) of every row of the first sheet that is not blank."""
    import openpyxl

    try:
        _check_archive(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # openpyxl warns of styles and validations it drops
            book = openpyxl.load_workbook(path, read_only=True, data_only=True)
            try:
                sheet = book.worksheets[0]
                sheet.reset_dimensions()
                for number, row in enumerate(sheet.iter_rows(values_only=True), start=1):
                    if any(cell is not None for cell in row):
                        yield number, row
            finally:
                book.close()
    except InputError:
        raise
    except Exception as error:  # noqa: BLE001 (zip and XML raise a dozen kinds)
        raise InputError(
            f"the workbook is damaged, cut short or locked ({type(error).__name__})",
            fix="Open it in Excel and save it again as .xlsx without a password, or export CSV.",
            where=path.name,
        ) from None


def _check_archive(path: Path) -> None:
    """Refuse workbooks that unpack to absurd sizes."""
    with zipfile.ZipFile(path) as archive:
        unpacked = sum(entry.file_size for entry in archive.infolist())
    if unpacked > LARGEST_UNPACKED:
        raise InputError(
            f"the workbook unpacks to {unpacked / 1e9:.1f} GB",
            fix="Export it as CSV or Parquet, which are read piece by piece.",
            where=path.name,
        )

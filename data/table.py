"""A table of cells as a file gives them, before anything is read into them."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from kagaku.data.bad_rows import BadCell
from kagaku.errors import InputError

LARGEST_CELL = 1_000_000
"""Most characters in one cell. The longest human protein has 34,350 residues."""

CHARACTERS_PER_CHUNK = 4_000_000
"""After so many characters a piece of a table ends, however few rows it has: some thousand rows of
usual length, and at most `LARGEST_CELL` more where the cells are huge."""

MOST_COLUMNS = 2_000
"""Most columns in one table; a table with more is usually lying on its side."""


@dataclass(frozen=True)
class Table:
    """The cells of one file, row by row."""

    frame: pd.DataFrame
    """One row per record. Cells of text formats are strings (None where empty), without any guess
    at numbers or missing values; Parquet, Excel and DataFrames keep their own types."""

    rows: np.ndarray
    """Row number of each record as the user finds it, integer (record,): 2 for the first row
    below a heading, 1 for the first entry of FASTA or SDF, 0 for the first row of a DataFrame."""

    source: str
    """Name of the file, for messages."""

    folder: Path
    """Folder that paths in cells (images, grids) start from and may not leave."""

    ids: tuple[str, ...] | None = None
    """Identifiers that the file itself gives: FASTA headers, SDF titles."""

    bad_cells: tuple[BadCell, ...] = ()
    """Cells that could not be read at all, such as a broken structure in an SDF file."""

    def __len__(self) -> int:
        return len(self.frame)

    @property
    def columns(self) -> list[str]:
        """Names of the columns, in the file's order."""
        return [str(name) for name in self.frame.columns]

    def cells(self, column: str) -> list[Any]:
        """Return the cells of one column as plain Python values; None where a cell is empty."""
        values = self.frame[column].tolist()
        return [None if _is_empty(value) else value for value in values]


def _is_empty(value: Any) -> bool:
    if isinstance(value, str):
        return not value.strip()
    return value is None or value is pd.NA or value is pd.NaT or value != value


def together(tables: Sequence[Table]) -> Table:
    """Return tables of the same columns as one.

    Args:
        tables: At least one, in their order.
    """
    if len(tables) == 1:
        return tables[0]
    ids = [table.ids for table in tables]
    return Table(
        frame=pd.concat([table.frame for table in tables], ignore_index=True),
        rows=np.concatenate([table.rows for table in tables]),
        source=tables[0].source,
        folder=tables[0].folder,
        ids=tuple(one for some in ids for one in some or ()) if ids[0] is not None else None,
        bad_cells=tuple(cell for table in tables for cell in table.bad_cells),
    )


def table_from_frame(
    frame: pd.DataFrame, *, source: str = "DataFrame", folder: str | Path = "."
) -> Table:
    """Return the table of a pandas DataFrame; row numbers count from 0, its index is left out.

    Raises:
        InputError: It has no rows or no columns, or two columns of one name.
    """
    named = frame.reset_index(drop=True)
    named.columns = pd.Index(check_columns([str(name) for name in frame.columns], source))
    if not len(named):
        raise InputError("the table has no rows", fix="Give at least one row.", where=source)
    return Table(named, np.arange(len(named)), source, Path(folder))


def check_columns(names: Sequence[str], source: str) -> list[str]:
    """Return the names of the columns, cleaned; those without a name are called after their place.

    Raises:
        InputError: There are none, too many, or two of one name.
    """
    cleaned = [
        " ".join(name.split()) or f"unnamed column {place}"
        for place, name in enumerate(names, start=1)
    ]
    if not cleaned:
        raise InputError("the table has no columns", fix="Add a row of names.", where=source)
    if len(cleaned) > MOST_COLUMNS:
        raise InputError(
            f"the table has {len(cleaned):,} columns, more than {MOST_COLUMNS:,}",
            fix="Put one record in each row; perhaps the table has to be transposed. "
            "Keep fingerprints and other computed features out: kagaku computes its own.",
            where=source,
        )
    if twice := sorted({name for name in cleaned if cleaned.count(name) > 1}):
        places = {
            name: [i for i, other in enumerate(cleaned, start=1) if other == name] for name in twice
        }
        told = "; ".join(f"{name!r} (columns {found})" for name, found in places.items())
        raise InputError(
            f"two columns have the same name: {told}",
            fix="Give each column a name of its own.",
            where=source,
        )
    return cleaned


def check_cell_sizes(cells: Iterable[Any], source: str, row: int, columns: Sequence[str]) -> None:
    """Check that no cell of one row is absurdly long.

    Raises:
        InputError: One is longer than `LARGEST_CELL`.
    """
    for column, cell in zip(columns, cells, strict=False):
        if isinstance(cell, str) and len(cell) > LARGEST_CELL:
            raise cell_too_large(len(cell), f"{source}, row {row}, column {column!r}")


Entry = TypeVar("Entry")


def batches(
    entries: Iterable[Entry], most: int, size: Callable[[Entry], int]
) -> Iterator[list[Entry]]:
    """Yield entries in lists of a bounded number, each of which ends at `CHARACTERS_PER_CHUNK`.

    Args:
        entries: In their order.
        most: Most entries in one list.
        size: Gives the characters of an entry.
    """
    batch: list[Entry] = []
    held = 0
    for entry in entries:
        batch.append(entry)
        held += size(entry)
        if len(batch) == most or held >= CHARACTERS_PER_CHUNK:
            yield batch
            batch, held = [], 0
    if batch:
        yield batch


def cell_too_large(length: int, where: str) -> InputError:
    """Return the error about a cell longer than `LARGEST_CELL`."""
    return InputError(
        f"a cell has {length:,} characters, more than {LARGEST_CELL:,}",
        fix="Look for a quotation mark that is never closed, or shorten the cell.",
        where=where,
    )

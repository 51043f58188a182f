"""Cells that cannot be used: collected before any work, shown together, never dropped silently."""

import csv
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

from kagaku.data.whole_files import written_whole
from kagaku.errors import InputError

SHOWN = 20
"""How many bad rows an error lists on screen; all of them go to a file."""


@dataclass(frozen=True)
class BadCell:
    """One cell that cannot be used."""

    file: str
    """Name of the file."""

    row: int
    """Row as the user would find it (a table's header is row 1)."""

    column: str
    """Name of the column, as the file has it."""

    value: str
    """What stands there, cut to a readable length."""

    reason: str
    """What is wrong with it; a clause without a full stop."""

    fix: str
    """What the user can do about it; an imperative sentence."""

    def __str__(self) -> str:
        return f"{self.file}, row {self.row}, column {self.column!r}: {self.reason}. {self.fix}"


class BadRowsError(InputError):
    """Some rows of a file cannot be used; carries every one of them, or as many as were listed.

    Args:
        cells: What is wrong, cell by cell; at least one.
        n_rows: How many rows the file has.
        n_cells: How many bad cells there are, where ``cells`` does not list all.
    """

    def __init__(self, cells: Sequence[BadCell], n_rows: int, n_cells: int | None = None) -> None:
        self.cells, self.n_rows = tuple(cells), n_rows
        every = len(cells) if n_cells is None else n_cells
        least = "at least " if every > len(cells) else ""
        rows = len({cell.row for cell in cells})
        listed = "\n".join(f"  {cell}" for cell in cells[:SHOWN])
        more = f"\n  ... and {every - SHOWN} more" if every > SHOWN else ""
        super().__init__(
            f"{least}{rows} of {n_rows} rows cannot be used:\n{listed}{more}\n",
            fix="Mend them in the file, or go on without them with --skip-bad-rows "
            "(skip_bad_rows=True in Python)",
            where=cells[0].file,
        )


def write_rejected(cells: Sequence[BadCell], path: Path) -> None:
    """Write every bad cell to a CSV file, through a temporary name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(path) as partial, partial.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["file", "row", "column", "value", "reason", "fix"])
        writer.writerows(astuple(cell) for cell in cells)

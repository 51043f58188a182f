"""Folders in place of one table: images with a table, images alone, a table in several files."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from kagaku.data.opening import suffix_of
from kagaku.data.suffixes import (
    BASE_FASTA,
    DELIMITED,
    FASTA,
    IMAGE_SUFFIXES,
    OTHER_FASTA,
    PARQUET,
    PROTEIN_FASTA,
    SDF,
    TABLE_SUFFIXES,
    WORKBOOK,
)
from kagaku.data.table import CHARACTERS_PER_CHUNK, Table, together
from kagaku.errors import InputError

IMAGE_COLUMN = "image"
"""Name of the one column that a folder of images alone becomes."""


def table_in_folder(folder: Path) -> Path:
    """Return the one table in a folder of images.

    Raises:
        InputError: There is none, or there are several.
    """
    tables = tables_in_folder(folder)
    if len(tables) == 1:
        return tables[0]
    if tables:
        raise InputError(
            f"the folder has {len(tables)} tables: {[table.name for table in tables][:10]}",
            fix="Give the path of the one that is meant.",
            where=str(folder),
        )
    raise InputError(
        f"the folder has {len(images_in_folder(folder))} images but no table",
        fix="Add a labels.csv with a column of file names, such as 'image', and one of labels.",
        where=str(folder),
    )


def tables_in_folder(folder: Path) -> list[Path]:
    """Return the tables that lie in a folder itself, by name."""
    files = sorted(
        entry
        for entry in folder.iterdir()
        if entry.is_file() and not entry.name.startswith((".", "~$"))
    )
    tables = [file for file in files if suffix_of(file) in TABLE_SUFFIXES]
    if all(suffix_of(file) == ".txt" for file in files) and not images_in_folder(folder):
        return tables
    # A README.txt or a list of licences beside images or other files is no table.
    return [file for file in tables if suffix_of(file) != ".txt"]


def images_in_folder(folder: Path) -> list[Path]:
    """Return the images of a folder and of those in it, by path."""
    return sorted(
        entry
        for entry in folder.rglob("*")
        if entry.suffix.lower() in IMAGE_SUFFIXES
        # What a system keeps for itself is hidden, or in a folder that an archive of macOS brings.
        and not any(
            part.startswith(".") or part == "__MACOSX" for part in entry.relative_to(folder).parts
        )
        and entry.is_file()
    )


def files_of_one_kind(folder: Path, tables: list[Path]) -> list[Path]:
    """Return the files that one table was cut into, in the order of their names.

    Raises:
        InputError: They are of several formats, so they are not parts of one table.
    """
    # Bases are letters of residues too, so which a file holds is told by its ending if by anything.
    kinds = (DELIMITED, PARQUET, WORKBOOK, PROTEIN_FASTA, BASE_FASTA, OTHER_FASTA, SDF)
    found = {next(kind for kind in kinds if suffix_of(one) in kind) for one in tables}
    if len(found) > 1:
        raise InputError(
            f"the folder has tables of {len(found)} formats: {[one.name for one in tables][:10]}",
            fix="Give the path of the one that is meant, or leave those of one format.",
            where=str(folder),
        )
    return tables


def image_tables(folder: Path, rows_per_chunk: int) -> Iterator[Table]:
    """Yield the paths of a folder's images as tables of one column; row 1 is the first.

    Raises:
        InputError: There is no image.
    """
    paths = [one.relative_to(folder).as_posix() for one in images_in_folder(folder)]
    if not paths:
        raise InputError(
            "the folder has neither a table nor images",
            fix=f"Images end in {list(IMAGE_SUFFIXES)}, tables in {list(TABLE_SUFFIXES)}.",
            where=str(folder),
        )
    for start in range(0, len(paths), rows_per_chunk):
        some = paths[start : start + rows_per_chunk]
        yield Table(
            frame=pd.DataFrame({IMAGE_COLUMN: some}),
            rows=np.arange(start + 1, start + 1 + len(some)),
            source=folder.name,
            folder=folder,
            ids=tuple(some),
        )


def joined(
    files: Iterable[tuple[Path, Iterator[Table]]], folder: Path, rows_per_chunk: int
) -> Iterator[Table]:
    """Yield the tables of several files as those of one, rows counted through.

    Entries of FASTA and SDF may have values that those of another file lack, and values that the
    first file's lack are left out; columns of all other formats must be the same.

    Args:
        files: Each with its tables.
        folder: Where they lie; bad cells are told by its name, since their rows are counted there.
        rows_per_chunk: Most rows in one table; small files share one.

    Raises:
        InputError: A file has other columns than the first.
    """
    held: list[Table] = []
    n_rows = n_letters = 0
    for table in _counted(files, folder):
        if held and (n_rows + len(table) > rows_per_chunk or n_letters >= CHARACTERS_PER_CHUNK):
            yield together(held)
            held, n_rows, n_letters = [], 0, 0
        held.append(table)
        n_rows, n_letters = n_rows + len(table), n_letters + _letters(table)
    if held:
        yield together(held)


def _counted(files: Iterable[tuple[Path, Iterator[Table]]], folder: Path) -> Iterator[Table]:
    """Yield the tables of all files, with the first file's columns and rows counted through."""
    columns: list[str] = []
    last = 0
    for path, tables in files:
        shift: int | None = None
        for table in tables:
            columns = columns or table.columns
            may_vary = suffix_of(path) in (*FASTA, *SDF)
            if set(table.columns) != set(columns) and not may_vary:
                raise InputError(
                    f"its columns are {table.columns[:10]}, and those before it have "
                    f"{columns[:10]}",
                    fix="Leave files of one table in the folder, all with the same columns.",
                    where=str(path),
                )
            if shift is None:
                shift = last + 1 - int(table.rows[0]) if last else 0
            counted = replace(
                table,
                frame=table.frame.reindex(columns=pd.Index(columns)),
                rows=table.rows + shift,
                source=folder.name,
                bad_cells=tuple(
                    replace(one, row=one.row + shift, file=folder.name) for one in table.bad_cells
                ),
            )
            yield counted
        last = int(counted.rows[-1])


def _letters(table: Table) -> int:
    """Return the characters of a table's cells."""
    cells = (cell for name in table.columns for cell in table.frame[name])
    return sum(len(cell) for cell in cells if isinstance(cell, str))

"""Reading tables: one function for every format, whole or piece by piece."""

from collections.abc import Iterator
from pathlib import Path

from kagaku.data.delimited import read_delimited
from kagaku.data.fasta import read_fasta
from kagaku.data.folders import (
    files_of_one_kind,
    image_tables,
    joined,
    table_in_folder,
    tables_in_folder,
)
from kagaku.data.opening import find_file, suffix_of
from kagaku.data.parquet import read_parquet
from kagaku.data.sdf import read_sdf
from kagaku.data.suffixes import DELIMITED, FASTA, PARQUET, SDF, TABLE_SUFFIXES, WORKBOOK
from kagaku.data.table import Table, table_from_frame, together
from kagaku.data.workbook import read_workbook
from kagaku.errors import InputError
from kagaku.registry import did_you_mean

__all__ = ["Table", "read_table", "read_tables", "table_from_frame"]

ROWS_PER_CHUNK = 10_000

_REPLACED = {
    ".xls": "Open it in Excel or LibreOffice and save it as .xlsx.",
    ".ods": "Save it as .xlsx or CSV.",
    ".zip": "Unpack it first.",
    ".smi": "Give the column a heading, such as 'smiles', and save it as .csv.",
    ".mol": "Save it as .sdf.",
    ".pkl": "Save it as Parquet: kagaku never reads pickled files.",
    ".pickle": "Save it as Parquet: kagaku never reads pickled files.",
}


def read_table(path: str | Path, *, is_unlabelled: bool = False) -> Table:
    """Return the whole table of a file, or of a folder of images with one table in it.

    Args:
        path: CSV, TSV, text (each also .gz), Parquet, Excel, FASTA or SDF; or such a folder.
        is_unlabelled: See `read_tables`.

    Raises:
        InputError: The file cannot be read; says why and how to mend it.
    """
    return together(list(read_tables(path, is_unlabelled=is_unlabelled)))


def read_tables(
    path: str | Path, *, rows_per_chunk: int = ROWS_PER_CHUNK, is_unlabelled: bool = False
) -> Iterator[Table]:
    """Yield the table of a file piece by piece, in memory that does not grow with the file.

    Excel workbooks are not made for this and come in one piece.

    Args:
        path: As in `read_table`.
        rows_per_chunk: Most rows in one piece; of text formats, huge cells end it before.
        is_unlabelled: Whether nothing is to be learnt from it. Then a folder may also hold images
            alone, which become a column of paths, or several files of one format and the same
            columns, which are read one after the other, their rows counted through.

    Raises:
        InputError: The file cannot be read; says why and how to mend it.
    """
    if rows_per_chunk < 1:
        raise InputError(f"rows_per_chunk is {rows_per_chunk}", fix="Set it to at least 1.")
    found = find_file(path)
    if not found.is_dir():
        yield from _of_file(found, rows_per_chunk)
    elif is_unlabelled:
        yield from _of_folder(found, rows_per_chunk)
    else:
        yield from _of_file(table_in_folder(found), rows_per_chunk)


def _of_folder(folder: Path, rows_per_chunk: int) -> Iterator[Table]:
    """Yield what a folder without labels holds; see `read_tables`."""
    tables = tables_in_folder(folder)
    if not tables:
        yield from image_tables(folder, rows_per_chunk)
        return
    files = files_of_one_kind(folder, tables)
    if len(files) == 1:
        yield from _of_file(files[0], rows_per_chunk)
    else:
        parts = ((one, _of_file(one, rows_per_chunk)) for one in files)
        yield from joined(parts, folder, rows_per_chunk)


def _of_file(found: Path, rows_per_chunk: int) -> Iterator[Table]:
    suffix = suffix_of(found)
    if suffix in DELIMITED:
        yield from read_delimited(found, rows_per_chunk)
    elif suffix in FASTA:
        yield from read_fasta(found, rows_per_chunk)
    elif suffix in SDF:
        yield from read_sdf(found, rows_per_chunk)
    elif suffix in (*PARQUET, *WORKBOOK) and found.suffix.lower() == ".gz":
        raise InputError(
            f"{suffix} files are compressed already",
            fix="Unpack it with `gunzip` first.",
            where=found.name,
        )
    elif suffix in PARQUET:
        yield from read_parquet(_not_empty(found), rows_per_chunk)
    elif suffix in WORKBOOK:
        yield read_workbook(_not_empty(found))
    else:
        advice = _REPLACED.get(suffix) or did_you_mean(suffix, TABLE_SUFFIXES)
        ending = f"the ending {suffix!r}" if suffix else "a file without ending"
        raise InputError(f"{ending} is no table that kagaku reads", fix=advice, where=found.name)


def _not_empty(path: Path) -> Path:
    if path.stat().st_size == 0:
        raise InputError("the file is empty", fix="Export it again.", where=path.name)
    return path

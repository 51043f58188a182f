"""Reading tables: one function for every format, whole or piece by piece."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from kagaku.data.delimited import read_delimited
from kagaku.data.fasta import read_fasta
from kagaku.data.opening import find_file, suffix_of
from kagaku.data.parquet import read_parquet
from kagaku.data.sdf import read_sdf
from kagaku.data.table import Table, table_from_frame
from kagaku.data.workbook import read_workbook
from kagaku.errors import InputError
from kagaku.registry import did_you_mean

__all__ = ["TABLE_SUFFIXES", "Table", "read_table", "read_tables", "table_from_frame"]

DELIMITED = (".csv", ".tsv", ".tab", ".txt")
PARQUET = (".parquet", ".pq")
WORKBOOK = (".xlsx", ".xlsm")
FASTA = (".fasta", ".fa", ".faa", ".fas", ".fna", ".ffn", ".frn")
SDF = (".sdf", ".sd")
TABLE_SUFFIXES = (*DELIMITED, *PARQUET, *WORKBOOK, *FASTA, *SDF)
"""Endings of the files that hold tables; text formats also with .gz behind."""

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".gif", ".webp")
"""Endings of files that are taken for images."""

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


def read_table(path: str | Path) -> Table:
    """Return the whole table of a file, or of a folder of images with one table in it.

    Args:
        path: CSV, TSV, text (each also .gz), Parquet, Excel, FASTA or SDF; or such a folder.

    Raises:
        InputError: The file cannot be read; says why and how to mend it.
    """
    chunks = list(read_tables(path))
    if len(chunks) == 1:
        return chunks[0]
    ids = [chunk.ids for chunk in chunks]
    return Table(
        frame=pd.concat([chunk.frame for chunk in chunks], ignore_index=True),
        rows=np.concatenate([chunk.rows for chunk in chunks]),
        source=chunks[0].source,
        folder=chunks[0].folder,
        ids=tuple(one for some in ids for one in some or ()) if ids[0] is not None else None,
        bad_cells=tuple(cell for chunk in chunks for cell in chunk.bad_cells),
    )


def read_tables(path: str | Path, *, rows_per_chunk: int = ROWS_PER_CHUNK) -> Iterator[Table]:
    """Yield the table of a file piece by piece, in memory that does not grow with the file.

    Excel workbooks are not made for this and come in one piece.

    Args:
        path: As in `read_table`.
        rows_per_chunk: Most rows in one piece; of text formats, huge cells end it before.

    Raises:
        InputError: The file cannot be read; says why and how to mend it.
    """
    if rows_per_chunk < 1:
        raise InputError(f"rows_per_chunk is {rows_per_chunk}", fix="Set it to at least 1.")
    found = find_file(path)
    if found.is_dir():
        found = _table_in_folder(found)
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


def _table_in_folder(folder: Path) -> Path:
    """Return the one table in a folder of images.

    Raises:
        InputError: There is none, or there are several.
    """
    files = sorted(entry for entry in folder.iterdir() if entry.is_file())
    tables = [
        file
        for file in files
        if suffix_of(file) in TABLE_SUFFIXES
        and not file.name.startswith((".", "~$"))
        # A README.txt or a list of licences beside the images is no table.
        and not (suffix_of(file) == ".txt" and len(files) > 1)
    ]
    if len(tables) == 1:
        return tables[0]
    if tables:
        raise InputError(
            f"the folder has {len(tables)} tables: {[table.name for table in tables][:10]}",
            fix="Give the path of the one that is meant.",
            where=str(folder),
        )
    n_images = sum(entry.suffix.lower() in IMAGE_SUFFIXES for entry in folder.rglob("*"))
    raise InputError(
        f"the folder has {n_images} images but no table",
        fix="Add a labels.csv with a column of file names, such as 'image', and one of labels.",
        where=str(folder),
    )

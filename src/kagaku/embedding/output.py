"""Vectors on disk: Parquet, CSV or NumPy, written piece by piece in memory that does not grow."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Float

from kagaku.embedding.vectors import Embedded
from kagaku.errors import InputError
from kagaku.outputs import check_apart, check_ending

WRITABLE = (".parquet", ".csv", ".npy")

EMBEDDING = "embedding"
"""The column of vectors."""

ROW_GROUP_BYTES = 8_000_000
"""About how many bytes of vectors stand in one row group of a Parquet file: what is in memory at
once, here and in whoever reads it. To join a million vectors of width 64 took 88 MB; with groups of
32 MB it took 147, in the same time."""


def check_output(source: Path, output: Path) -> None:
    """Refuse an output that cannot be written, before any work.

    Raises:
        InputError: The ending is none that can be written, no file can be made there, or it is
            the input itself, lies in it, or is a folder.
    """
    check_ending(output, WRITABLE, "vectors")
    if output.is_dir():
        raise InputError("this is a folder", fix="Name a file in it.", where=str(output))
    check_apart(source, output)


def vectors_table(embedded: Embedded) -> pa.Table:
    """Return rows, ids where there are any, and vectors as lists of a fixed size; null where bad.

    One column of lists and not one column per number: vectors come back whole, null says that
    there is none, and a Parquet file with a thousand columns is slow to open.
    """
    dim = embedded.vectors.shape[1]
    values = pa.array(
        np.where(embedded.is_bad[:, None], np.float32(0), embedded.vectors).ravel(),
        type=pa.float32(),
    )
    columns = {"row": pa.array(embedded.rows, type=pa.int64())}
    if embedded.ids is not None:
        columns["id"] = pa.array(embedded.ids, type=pa.string())
    columns[EMBEDDING] = pa.FixedSizeListArray.from_arrays(
        values, dim, mask=pa.array(embedded.is_bad)
    )
    return pa.table(columns)


def vectors_of(table: pa.Table) -> Float[np.ndarray, "record dim"]:
    """Return the vectors of such a table, float32; NaN where there is none."""
    column = table[EMBEDDING].combine_chunks()
    dim = column.type.list_size
    vectors = np.full((len(column), dim), np.nan, dtype=np.float32)
    # flatten() leaves the nulls out, whatever stands behind them.
    there = column.is_valid().to_numpy(zero_copy_only=False)
    vectors[there] = column.flatten().to_numpy(zero_copy_only=False).reshape(-1, dim)
    return vectors


def write_vectors(tables: Iterable[pa.Table], n_rows: int, output: Path) -> None:
    """Write tables of vectors as one file, through a temporary name.

    Args:
        tables: In order, at least one; few of them are in memory at once.
        n_rows: How many rows they have together.
        output: Its ending is one of `WRITABLE`.
    """
    output.parent.mkdir(parents=True, exist_ok=True)
    partial = output.with_name(f"{output.stem}.partial{output.suffix}")
    if output.suffix == ".parquet":
        write_parquet(tables, partial)
    elif output.suffix == ".csv":
        _write_csv(tables, partial)
    else:
        _write_npy(tables, n_rows, partial)
    partial.replace(output)


def write_parquet(tables: Iterable[pa.Table], path: Path) -> None:
    """Write tables into row groups of about `ROW_GROUP_BYTES`."""
    writer: pq.ParquetWriter | None = None
    try:
        for table in _gathered(tables):
            if writer is None:
                # Numbers of an embedding hardly repeat: a dictionary would only cost time.
                writer = pq.ParquetWriter(path, table.schema, use_dictionary=False)
            writer.write_table(table, row_group_size=len(table))
    finally:
        if writer is not None:
            writer.close()


def _gathered(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """Yield tables of about `ROW_GROUP_BYTES`, from smaller ones."""
    held: list[pa.Table] = []
    for table in tables:
        held.append(table)
        if sum(one.nbytes for one in held) >= ROW_GROUP_BYTES:
            yield pa.concat_tables(held)
            held = []
    if held:
        yield pa.concat_tables(held)


def _write_csv(tables: Iterable[pa.Table], path: Path) -> None:
    with path.open("w", newline="", encoding="utf-8") as stream:
        for number, table in enumerate(tables):
            vectors = vectors_of(table)
            frame = pd.DataFrame(vectors, columns=[f"e{i}" for i in range(vectors.shape[1])])
            for place, name in enumerate(table.column_names[:-1]):
                frame.insert(place, name, table[name].to_numpy())
            frame.to_csv(stream, index=False, header=number == 0)


def _write_npy(tables: Iterable[pa.Table], n_rows: int, path: Path) -> None:
    """Write the header, then the vectors one table after the other.

    A memory map would do too, but its pages count as memory of the process.
    """
    with path.open("wb") as stream:
        for number, table in enumerate(tables):
            vectors = vectors_of(table)
            if number == 0:
                shape = (n_rows, vectors.shape[1])
                header = {"descr": "<f4", "fortran_order": False, "shape": shape}
                np.lib.format.write_array_header_1_0(stream, header)
            stream.write(vectors.astype("<f4").tobytes())

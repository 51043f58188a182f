"""Tables in Parquet files, read in bounded memory."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from kagaku.data.table import LARGEST_CELL, Table, cell_too_large, check_columns
from kagaku.errors import InputError

READ_BYTES = 2**20
"""Bytes of a column that are read at a time. Without it a row group is read as a whole, and most
writers put a million rows into one."""


def read_parquet(path: Path, rows_per_chunk: int) -> Iterator[Table]:
    """Yield the rows of a Parquet file, a bounded number at a time; row 2 is the first.

    Raises:
        InputError: The file is damaged or no Parquet, has no rows, two columns of one name, or a
            cell above 1 MB.
    """
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path, pre_buffer=False, buffer_size=READ_BYTES) as file:
            names = file.schema_arrow.names
            kept = [name for name in names if not name.startswith("__index_level_")]
            columns = check_columns(kept, path.name)
            if file.metadata.num_rows == 0:
                raise InputError(
                    "the file has no rows", fix="Export it again with some.", where=path.name
                )
            start = 2
            for batch in file.iter_batches(batch_size=rows_per_chunk, columns=kept):
                for name, cells in zip(columns, batch.columns, strict=True):
                    if pa.types.is_string(cells.type) or pa.types.is_large_string(cells.type):
                        longest = pc.max(pc.binary_length(cells)).as_py() or 0
                        if longest > LARGEST_CELL:
                            raise cell_too_large(longest, f"{path.name}, column {name!r}")
                frame = (
                    pa.Table.from_batches([batch])
                    .rename_columns(columns)
                    .to_pandas(ignore_metadata=True, integer_object_nulls=True)
                )
                yield Table(
                    frame=frame,
                    rows=np.arange(start, start + len(frame)),
                    source=path.name,
                    folder=path.parent,
                )
                start += len(frame)
    except (pa.ArrowException, OSError) as error:
        raise InputError(
            f"the Parquet file is damaged or cut short ({shorten_first_line(error)})",
            fix="Write or copy it again.",
            where=path.name,
        ) from None


def shorten_first_line(error: Exception) -> str:
    """Return the first line of an error's text, cut to a readable length."""
    return str(error).partition("\n")[0][:120]

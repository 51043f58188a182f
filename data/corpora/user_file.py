"""A corpus source from a user's own file: any table or grid that kagaku reads."""

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from kagaku.data.cells import parse_records
from kagaku.data.corpora.raw import RawSample
from kagaku.data.fields import grid_records
from kagaku.data.grids import read_grid
from kagaku.data.inference import infer_schema
from kagaku.data.opening import find_file
from kagaku.data.reading import is_grid
from kagaku.data.records import Records
from kagaku.data.schema import Schema
from kagaku.data.tables import read_tables

DIGEST_PIECE = 1 << 20


def file_schema(path: Path, inputs: Sequence[str] | None) -> Schema:
    """Return what the columns of a file mean, told from its first rows.

    Args:
        path: The file.
        inputs: The columns to take, as in fine-tuning; None takes what looks useful.

    Raises:
        InputError: The file cannot be read, or no column is left.
    """
    found = find_file(path)
    if is_grid(found):
        return infer_schema(read_grid(found), targets=(), inputs=inputs)
    return infer_schema(next(iter(read_tables(found))), targets=(), inputs=inputs)


def read_file(path: Path, schema: Schema) -> Iterator[RawSample]:
    """Yield the samples of a file, piece by piece; cells that cannot be used are left out.

    Args:
        path: A table or grid.
        schema: What its columns mean.
    """
    found = find_file(path)
    if is_grid(found):
        yield from _samples(grid_records(read_grid(found), schema, with_targets=False))
        return
    for table in read_tables(found):
        records, _ = parse_records(table, schema, with_targets=False)
        yield from _samples(records)


def file_version(path: Path) -> str:
    """Return what tells one state of a file from another: its checksum."""
    found = find_file(path)
    files = sorted(one for one in found.rglob("*") if one.is_file()) if found.is_dir() else [found]
    digest = hashlib.sha256()
    for file in files:
        with file.open("rb") as stream:
            while piece := stream.read(DIGEST_PIECE):
                digest.update(piece)
    return f"sha256 {digest.hexdigest()[:16]}"


def _samples(records: Records) -> Iterator[RawSample]:
    for record in range(len(records)):
        inputs: dict[str, Any] = {
            name: values[record] for name, values in records.inputs.items()
            if values[record] is not None
        }  # fmt: skip
        yield RawSample(f"row/{int(records.rows[record])}", inputs)

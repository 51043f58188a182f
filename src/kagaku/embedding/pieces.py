"""The pieces that a long file is embedded in: cut the same way every time, and each one's work."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from kagaku.computing import Computing
from kagaku.data import Schema, Table, parse_records, read_tables, without_bad_rows
from kagaku.embedding.encoders import checked_for, checksum_of, encoder_of
from kagaku.embedding.vectors import Embedded, with_bad_rows
from kagaku.embedding.windows import Moved, embed_records
from kagaku.errors import InputError
from kagaku.modalities.checking import restore_modalities
from kagaku.models.extending import extended
from kagaku.models.public import PublicEncoder
from kagaku.science_tasks.public_embeddings import FrozenEncoder

ROWS = 2_048
"""Most rows in one piece, and in memory at once."""

CHARACTERS = 1_000_000
"""Most characters of input in one piece, unless one row has more. A stop loses one piece at most:
a minute or two of one core with `kagaku-tiny`."""

# An image has 1,024 tokens at most by default; a field's cells are in memory from its reading on.
COST_OF_FILE = {"image": 1_000, "climate": 16_000}
"""What a path in a cell counts for, in characters."""


_LOADING = Lock()
"""A Dask worker may have several threads: they load one encoder, one after the other, since random
weights come from a generator that all threads share."""


@dataclass(frozen=True)
class Piece:
    """Some rows of a file, in a row."""

    number: int
    """Its place among the pieces, from 0."""

    table: Table
    """The columns that are embedded, and no others."""


@dataclass(frozen=True)
class EmbeddingJob:
    """What a worker needs to know to embed a piece; small, since it travels with each."""

    schema: Schema
    """What the columns mean."""

    states: Mapping[str, Mapping[str, Any]]
    """See `modality_states`."""

    model: str | None
    """See `encoder_of`; a folder as an absolute path."""

    checksum: str
    """See `checksum_of`."""

    computing: Computing
    """On which device, and in which precision."""


def first_rows(source: Path) -> tuple[Table, bool]:
    """Return the rows at the start of a file, which tell its schema, and whether more follow."""
    tables = iter(read_tables(source, rows_per_chunk=ROWS, is_unlabelled=True))
    return next(tables), next(tables, None) is not None


def pieces(source: Path, schema: Schema) -> Iterator[Piece]:
    """Yield a file as pieces of bounded size, in order, the same every time.

    Args:
        source: As in `read_tables`.
        schema: What the columns mean; other columns are left out.
    """
    number = 0
    for table in read_tables(source, rows_per_chunk=ROWS, is_unlabelled=True):
        kept = [one.column for one in schema.inputs if one.column in table.frame]
        lean = replace(table, frame=table.frame[kept], folder=table.folder.resolve())
        for start, stop in _cuts(_costs(lean, schema)):
            yield Piece(number, _part(lean, start, stop))
            number += 1


def _costs(table: Table, schema: Schema) -> np.ndarray:
    """Return how much each row counts, in characters."""
    costs = np.zeros(len(table), dtype=np.int64)
    for one in schema.inputs:
        if one.column in table.frame:
            fixed = COST_OF_FILE.get(one.modality)
            cells = table.frame[one.column]
            costs += [len(str(cell)) for cell in cells] if fixed is None else fixed
    return costs


def _cuts(costs: np.ndarray) -> Iterator[tuple[int, int]]:
    """Yield (first row, row behind the last) of each piece."""
    start = used = 0
    for row, cost in enumerate(costs.tolist()):
        if row > start and (row - start >= ROWS or used + cost > CHARACTERS):
            yield start, row
            start, used = row, 0
        used += cost
    yield start, len(costs)


def _part(table: Table, start: int, stop: int) -> Table:
    if (start, stop) == (0, len(table)):
        return table
    rows = table.rows[start:stop]
    its_own = set(rows.tolist())
    return replace(
        table,
        frame=table.frame.iloc[start:stop],
        rows=rows,
        ids=None if table.ids is None else table.ids[start:stop],
        bad_cells=tuple(cell for cell in table.bad_cells if cell.row in its_own),
    )


def embed_piece(
    job: EmbeddingJob,
    piece: Piece,
    *,
    encoder: FrozenEncoder | None = None,
    moved: Moved | None = None,
) -> tuple[int, Embedded]:
    """Return a piece's number and vectors; here, or in a worker process that knows the job only.

    Args:
        job: What is embedded, and with what.
        piece: The rows; those that cannot be used get an empty vector.
        encoder: The job's, where it is loaded and placed already.
        moved: Told after each batch of (records done, tokens done).

    Raises:
        InputError: The worker finds other weights under the model's name, or no GPU.
    """
    if encoder is None:
        with _LOADING:
            read = frozenset(one.modality for one in job.schema.inputs)
            encoder = _encoder(job.model, job.checksum, read, job.computing)
    modalities = restore_modalities(job.states)
    records, bad = parse_records(piece.table, job.schema, with_targets=False)
    checked, bad = checked_for(encoder, records, bad, modalities)
    good = without_bad_rows(checked, bad) if bad else checked
    with job.computing.running(encoder):
        vectors, tokens = embed_records(encoder, good, modalities, moved or _nothing)
    return piece.number, with_bad_rows(checked, vectors, bad, tokens)


@lru_cache(maxsize=1)
def _encoder(
    model: str | None, checksum: str, modalities: frozenset[str], computing: Computing
) -> FrozenEncoder:
    """Return an encoder that reads some modalities, on its device; it stays for the next piece."""
    encoder, _ = encoder_of(model)
    if checksum_of(encoder) != checksum:
        raise InputError(
            f"a worker has other weights under the name {model or 'of the default'!r}",
            fix="Install the same kagaku on every machine, and share the model's folder.",
        )
    if not isinstance(encoder, PublicEncoder):
        encoder = extended(encoder, modalities)
    computing.place(encoder)
    return encoder


def _nothing(done: int, tokens: int) -> None:
    del done, tokens

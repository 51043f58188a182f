"""Sequences in FASTA files."""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from kagaku.data.opening import open_bytes, text_lines
from kagaku.data.table import (
    LARGEST_CELL,
    MOST_COLUMNS,
    Table,
    batches,
    cell_too_large,
    check_columns,
)
from kagaku.errors import InputError

# "OS=Homo sapiens OX=9606": a value goes on to the next key.
_KEY_VALUE = re.compile(r"(?<!\S)(?P<key>[A-Za-z_]\w*)=(?P<value>.*?)(?=\s+[A-Za-z_]\w*=|$)")
SEQUENCE = "sequence"
"""The column of the sequences."""

_OWN = ("id", SEQUENCE, "description")


def read_fasta(path: Path, rows_per_chunk: int) -> Iterator[Table]:
    """Yield the entries of a FASTA file, a bounded number and size at a time.

    Columns are ``id`` (the header's first word), ``sequence``, ``description`` (the rest), and one
    for every ``key=value`` that any header has. The file is read twice, so that all chunks have
    the same columns.

    Raises:
        InputError: The file is empty or no FASTA.
    """
    keys: dict[str, None] = {}
    for title, _ in _entries(path):
        keys.update(dict.fromkeys(match["key"] for match in _KEY_VALUE.finditer(title)))
        if len(keys) > MOST_COLUMNS:
            break
    others = [key for key in keys if key not in _OWN]
    columns = check_columns([*_OWN, *others], path.name)
    entries = enumerate(_entries(path), start=1)
    for batch in batches(entries, rows_per_chunk, lambda one: len(one[1][0]) + len(one[1][1])):
        rows = [_cells(title, sequence, others) for _, (title, sequence) in batch]
        yield Table(
            frame=pd.DataFrame(rows, columns=pd.Index(columns), dtype=object),
            rows=np.array([number for number, _ in batch]),
            source=path.name,
            folder=path.parent,
            ids=tuple(row[0] or "" for row in rows),
        )


def is_fasta(table: Table) -> bool:
    """Return whether a table has come from a FASTA file, whole or as a piece."""
    return table.ids is not None and table.columns[: len(_OWN)] == list(_OWN)


def _cells(title: str, sequence: str, keys: list[str]) -> list[str | None]:
    """Return the cells of one entry."""
    name, _, rest = title.partition(" ")
    found = {match["key"]: match["value"].strip() for match in _KEY_VALUE.finditer(rest)}
    description = _KEY_VALUE.sub("", rest).strip()
    cells = [name, sequence, description, *(found.get(key) for key in keys)]
    return [cell or None for cell in cells]


def _entries(path: Path) -> Iterator[tuple[str, str]]:
    """Yield (header without >, sequence) of every entry."""
    from Bio.SeqIO.FastaIO import SimpleFastaParser

    with open_bytes(path) as stream:
        yield from SimpleFastaParser(_checked_lines(text_lines(stream, path.name), path.name))


def _checked_lines(lines: Iterator[str], source: str) -> Iterator[str]:
    """Pass on the lines from the first header on, keeping an eye on the sequences' lengths."""
    n_entries = length = 0
    for number, line in enumerate(lines, start=1):
        if line.startswith(">"):
            n_entries += 1
            length = 0
        elif n_entries:
            length += len(line)
        elif line.strip():
            raise InputError(
                f"line {number}, {line.strip()[:20]!r}, stands before the first header",
                fix="A FASTA entry starts with a line '>name'.",
                where=source,
            )
        if length > LARGEST_CELL:
            raise cell_too_large(length, f"{source}, entry {n_entries}")
        yield line
    if n_entries == 0:
        raise InputError(
            "the file has no entry", fix="A FASTA entry starts with a line '>name'.", where=source
        )

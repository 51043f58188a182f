"""What a long job's input was like: the file itself, and the files that its cells name."""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from kagaku.data import Schema, Table
from kagaku.data.crystals import CIF_SUFFIX
from kagaku.data.paths import file_in_folder
from kagaku.data.requests import find_column
from kagaku.data.schema import Input
from kagaku.errors import InputError

HEAD_BYTES = 1_000_000
"""How much of a file is compared by content."""

OF_FILES = ("image", "climate")
"""Modalities whose cells name files; a material's may."""


def input_state(source: Path) -> dict[str, Any]:
    """Return a file's name, size and time, and a digest of its head; for a folder, all files'."""
    digest = hashlib.sha256()
    states = _states(source)
    for told in states:
        digest.update(json.dumps(told).encode())
    if source.is_file():
        with source.open("rb") as stream:
            digest.update(stream.read(HEAD_BYTES))
    n_bytes = sum(n_bytes for _, n_bytes, _ in states)
    return {"name": source.name, "bytes": n_bytes, "digest": digest.hexdigest()}


def _states(path: Path) -> list[tuple[str, int, int]]:
    """Return (name, bytes, time of the last change in ns) of a file, or of all in a folder."""
    files = [one for one in path.rglob("*") if one.is_file()] if path.is_dir() else [path]
    found = [(one, one.stat()) for one in sorted(files)]
    return [
        (str(one.relative_to(path.parent)), state.st_size, state.st_mtime_ns)
        for one, state in found
    ]


class NamedFiles:
    """Sizes and times of the files that a table's cells name, piece by piece, as one digest.

    A changed image is a changed input, though the table that names it is the same.

    Args:
        schema: What the columns mean.
    """

    def __init__(self, schema: Schema) -> None:
        self._inputs = [one for one in schema.inputs if one.modality in (*OF_FILES, "material")]
        self._digest = hashlib.sha256()

    @property
    def digest(self) -> str:
        """Of all files so far; empty where the table has no column that could name any."""
        return self._digest.hexdigest() if self._inputs else ""

    def add(self, table: Table) -> None:
        """Take in the files that the next rows name."""
        for one in self._inputs:
            for cell in _paths(one, table):
                try:
                    told = _states(file_in_folder(cell, table.folder))
                except (InputError, OSError):
                    told = []  # it may be there the next time
                self._digest.update(json.dumps([cell, told]).encode())

    def add_all(self, tables: Iterable[Table]) -> "NamedFiles":
        """Take in a whole input, and return this; reads nothing where no column names files."""
        for table in tables if self._inputs else ():
            self.add(table)
        return self


def _paths(one: Input, table: Table) -> list[str]:
    """Return the cells of an input that name files."""
    try:
        column = find_column(one.column, table.columns, table.source)
    except InputError:
        return []  # told elsewhere
    cells = [str(cell) for cell in table.cells(column) if cell is not None]
    is_path = one.modality in OF_FILES
    return [cell for cell in cells if is_path or cell.lower().endswith(CIF_SUFFIX)]

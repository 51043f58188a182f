"""Molecules in SDF files."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from kagaku.data.bad_rows import BadCell
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

_END = "$$$$"
# "> <logS> (1)"; source: CTFile formats, BIOVIA, chapter "SDfiles".
_PROPERTY = re.compile(r">[^<\n]*<(?P<name>[^>\n]+)>[^\n]*")


def read_sdf(path: Path, rows_per_chunk: int) -> Iterator[Table]:
    """Yield the entries of an SDF file, a bounded number and size at a time.

    Columns are ``smiles`` (from the structure, stereo marks kept) and one for every property that
    any entry has; the title line is the record's id. A structure that RDKit cannot read becomes a
    bad cell. The file is read twice, so that all chunks have the same columns.

    Raises:
        InputError: The file is empty or no SDF.
    """
    properties: dict[str, None] = {}
    n_entries = 0
    for entry in _entries(path):
        n_entries += 1
        properties.update(dict.fromkeys(_properties(entry)))
        if len(properties) > MOST_COLUMNS:
            break
    if n_entries == 0:
        raise InputError(
            "the file has no entry", fix="An SDF entry ends with a line '$$$$'.", where=path.name
        )
    others = [name for name in properties if name != "smiles"]
    columns = check_columns(["smiles", *others], path.name)
    entries = enumerate(_entries(path), start=1)
    for batch in batches(entries, rows_per_chunk, lambda one: len(one[1])):
        yield _table(batch, columns, others, path)


def _table(
    batch: list[tuple[int, str]], columns: list[str], properties: list[str], path: Path
) -> Table:
    cells: list[list[str | None]] = []
    bad: list[BadCell] = []
    for number, entry in batch:
        smiles, problem = _smiles(entry)
        if smiles is None:
            title = entry.partition("\n")[0].strip()
            bad.append(
                BadCell(
                    file=path.name,
                    row=number,
                    column="smiles",
                    value=title or f"entry {number}",
                    reason=f"the structure cannot be read ({problem})",
                    fix="Export the structure again, or drop the entry.",
                )
            )
        found = _properties(entry)
        cells.append([smiles, *(found.get(name) for name in properties)])
    return Table(
        frame=pd.DataFrame(cells, columns=pd.Index(columns), dtype=object),
        rows=np.array([number for number, _ in batch]),
        source=path.name,
        folder=path.parent,
        ids=tuple(entry.partition("\n")[0].strip() for _, entry in batch),
        bad_cells=tuple(bad),
    )


def _entries(path: Path) -> Iterator[str]:
    """Yield the text of every entry, without its last line ``$$$$``."""
    with open_bytes(path) as stream:
        lines: list[str] = []
        size = n_entries = 0
        for line in text_lines(stream, path.name):
            if line.rstrip() == _END:
                n_entries += 1
                yield "".join(lines)
                lines, size = [], 0
                continue
            lines.append(line.rstrip("\r\n") + "\n")
            size += len(line)
            if size > 16 * LARGEST_CELL:
                raise cell_too_large(size, f"{path.name}, entry {n_entries + 1}")
        if "".join(lines).strip():
            yield "".join(lines)


def _smiles(entry: str) -> tuple[str | None, str]:
    """Return (isomeric SMILES, ""), or (None, why the structure cannot be read)."""
    from rdkit import Chem, rdBase

    with rdBase.BlockLogs():
        molecule: Any = Chem.MolFromMolBlock(entry, sanitize=False)
        if molecule is None:
            return None, "its table of atoms and bonds is damaged"
        if problems := Chem.DetectChemistryProblems(molecule):
            return None, problems[0].Message()
        molecule = Chem.MolFromMolBlock(entry)
        if molecule is None or not molecule.GetNumAtoms():
            return None, "it has no atoms"
        if molecule.GetNumConformers() and molecule.GetConformer().Is3D():
            Chem.AssignStereochemistryFrom3D(molecule)
        return Chem.MolToSmiles(molecule), ""


def _properties(entry: str) -> dict[str, str | None]:
    """Return the entry's properties by name; several lines of one value stay several lines."""
    parts = _PROPERTY.split(entry)
    return {
        " ".join(name.split()): value.strip() or None
        for name, value in zip(parts[1::2], parts[2::2], strict=True)
    }

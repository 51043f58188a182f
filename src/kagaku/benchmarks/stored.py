"""Files of benchmarks: what a folder found, and tables with tabs between their cells."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from kagaku.data.whole_files import write_whole
from kagaku.errors import InputError

SCORES_FILE = "scores.json"
"""What the folder of a benchmark says, for programs; the page is made from it."""


def stored_scores(folder: Path) -> dict[str, Any]:
    """Return the content of a folder's ``scores.json``.

    Args:
        folder: What ``kagaku benchmark`` wrote.

    Raises:
        InputError: The folder holds no benchmark.
    """
    path = folder / SCORES_FILE
    if not path.is_file():
        raise InputError(
            f"{folder} holds no benchmark",
            fix=f"Name a folder that kagaku benchmark wrote, with its {SCORES_FILE}.",
        )
    stored: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return stored


def read_cells(path: Path, columns: Sequence[str], what: str) -> list[list[str]]:
    """Return the cells of a table below its heading.

    Args:
        path: The table.
        columns: What its heading must be.
        what: What its rows tell of, such as ``"minutes"``.

    Raises:
        InputError: The file is no such table.
    """
    heading, *lines = path.read_text(encoding="utf-8").splitlines() or [""]
    rows = [line.split("\t") for line in lines]
    if heading.split("\t") != list(columns) or any(len(one) != len(columns) for one in rows):
        raise InputError(
            f"the file is no table of {what}",
            fix=f"Its columns are {', '.join(columns)}, with tabs between them.",
            where=str(path),
        )
    return rows


def write_cells(rows: Iterable[Sequence[str]], columns: Sequence[str], path: Path) -> None:
    """Write a table with its heading, whole or not at all."""
    lines = ["\t".join(row) for row in (columns, *rows)]
    write_whole("\n".join(lines) + "\n", path)

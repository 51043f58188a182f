"""Parts that all sections of a card are made with: stored figures, numbers and tables."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kagaku.data.corpora.manifest import Manifest, SourceInfo
from kagaku.errors import InputError
from kagaku.models.checkpoint import WEIGHTS_FILE
from kagaku.provenance import sha256


def shown(value: float) -> str:
    """Return a number as a table shows it: counts whole, others with four digits.

    Example:
        >>> shown(10000.0), shown(0.123456)
        ('10,000', '0.1235')
    """
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.4g}"


def trained_sources(manifest: Manifest, summary: Mapping[str, Any]) -> list[SourceInfo]:
    """Return the sources that were trained on."""
    return [one for one in manifest.sources if summary["epochs"].get(one.name)]


def markdown_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown; bars in its cells are escaped."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(
        "| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines
    )


def of_these_weights(folder: Path, name: str) -> dict[str, Any]:
    """Return what a file says of the weights in the folder; empty if it is not there."""
    if not (folder / name).is_file():
        return {}
    stored = read_json(folder / name)
    is_of_these = stored.get("weights") == sha256(folder / WEIGHTS_FILE)
    return stored if is_of_these else {"other": True}


def read_json(path: Path) -> dict[str, Any]:
    """Return what a JSON file of a release holds.

    Raises:
        InputError: It is missing or damaged.
    """
    try:
        stored: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(
            f"the file cannot be read ({error})", fix="Make the release again.", where=str(path)
        ) from None
    return stored

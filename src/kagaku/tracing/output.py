"""What was found, as a table, a file, or on screen."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from kagaku.bases import DEFAULT
from kagaku.data.corpora.tracing import Match
from kagaku.frames import write_frame
from kagaku.modalities.checking import shown
from kagaku.outputs import check_ending
from kagaku.terminal import Terminal
from kagaku.tracing.verb import Found, Traced

ENDINGS = (".csv", ".parquet")
"""What traces can be written as."""

TOLD_IN_FULL = 3
"""Most values of which every match is printed; of more, the nearest one of each."""

SHOWN_VALUES = 40
"""Most values that are printed at all."""

SHOWN_STEPS = 3
"""Most steps of one sample that are printed."""


def to_frame(traced: Sequence[Traced]) -> pd.DataFrame:
    """Return one row per match; a value without any has one row, too."""
    rows: list[dict[str, Any]] = []
    for one in traced:
        start = {
            "row": one.asked.row,
            "column": one.asked.column,
            "modality": one.asked.modality,
            "value": one.asked.text,
            "trained_on": one.known,
        }
        if not one.found:
            rows.append(start)
        for rank, found in enumerate(one.found, start=1):
            match = found.match
            rows.append(
                {
                    **start,
                    "rank": rank,
                    "is_same": match.is_same,
                    "share": match.likeness.share,
                    "likeness": match.likeness.told,
                    "found": _text_of(match),
                    "source": match.sample.source,
                    "id": match.sample.id,
                    "input": match.input,
                    "licence": found.licence,
                    "origin": found.origin,
                    "steps": None if found.steps is None else list(found.steps),
                }
            )
    columns = ["row", "column", "modality", "value", "trained_on", "rank", "is_same", "share"]
    columns += ["likeness", "found", "source", "id", "input", "licence", "origin", "steps"]
    return pd.DataFrame(rows, columns=columns)


def write_traces(traced: Sequence[Traced], output: Path) -> None:
    """Write the rows of `to_frame` through a temporary name."""
    frame = to_frame(traced)
    if output.suffix == ".csv":
        frame["steps"] = [_listed(one) for one in frame["steps"]]
    write_frame(frame, output)


def show_traces(traced: Sequence[Traced], weights: str | None, terminal: Terminal) -> None:
    """Print what was found: a few values in full, of more the nearest sample of each."""
    name = weights or DEFAULT
    if not any(one.found for one in traced):
        rows = [
            [one.asked.text, one.asked.modality, one.known or "cannot be told"]
            for one in traced[:SHOWN_VALUES]
        ]
        terminal.table("Training data", ["value", "read as", f"{name} was trained on it"], rows)
    elif len(traced) <= TOLD_IN_FULL:
        for one in traced:
            told = f"; {name} was trained on it: {one.known}" if one.known else ""
            terminal.table(
                f"{one.asked.text} ({one.asked.modality}{told})",
                ["likeness", "sample", "where from", "licence", "shown at step"],
                [_row(found) for found in one.found],
            )
    else:
        terminal.table(
            "The nearest training sample of each value",
            ["value", "trained on it", "likeness", "sample", "licence", "shown at step"],
            [
                [one.asked.text, one.known or "", *_short(one.found)]
                for one in traced[:SHOWN_VALUES]
            ],
        )
    if len(traced) > SHOWN_VALUES:
        terminal.say(f"{len(traced) - SHOWN_VALUES:,} more values: --output writes them all.")


def check_traces_output(output: Path | None) -> None:
    """Refuse, before any work, a file that traces cannot be written to."""
    if output is not None:
        check_ending(output, ENDINGS, "traces")


def _row(found: Found) -> list[str]:
    match = found.match
    sample = f"{match.sample.id}: {_text_of(match)}"
    return [match.likeness.told, sample, found.origin, found.licence, _steps(found.steps)]


def _short(found: Sequence[Found]) -> list[str]:
    if not found:
        return ["nothing near", "", "", ""]
    how, sample, _, licence, steps = _row(found[0])
    return [how, sample, licence, steps]


def _steps(steps: tuple[int, ...] | None) -> str:
    if steps is None:
        return "?"
    if not steps:
        return "never"
    dots = f", ... ({len(steps)} times)" if len(steps) > SHOWN_STEPS else ""
    return ", ".join(map(str, steps[:SHOWN_STEPS])) + dots


def _listed(steps: object) -> str | None:
    return " ".join(map(str, steps)) if isinstance(steps, list) else None


def _text_of(match: Match) -> str:
    value = match.sample.inputs[match.input]
    if isinstance(value, np.ndarray):
        return " x ".join(map(str, value.shape[:2])) + " pixels"
    return shown(value)

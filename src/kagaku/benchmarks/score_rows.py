"""Scores of finished benchmarks as rows of a table that can be kept, merged and read again."""

from collections.abc import Iterable
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Any

from kagaku.benchmarks.stored import SCORES_FILE, read_cells, stored_scores, write_cells
from kagaku.errors import InputError
from kagaku.science_tasks.benchmark.measures import COVERAGE


@dataclass(frozen=True)
class ScoreRow:
    """The leading score of one method on one task; numbers that are not there are None."""

    task: str
    """Name of the task, or of a family of tasks."""

    method: str
    """Name of the method."""

    role: str
    """``"baseline"``, ``"judged"``, ``"reference"``, or empty for any other."""

    base: str
    """Name of the weights that it read; empty if it read none."""

    splits: str
    """Official splits that were answered, with commas between."""

    n_seeds: int
    """Seeds of each."""

    measure: str
    """What leads the task's measures."""

    score: float | None
    """Its mean over splits and seeds, in the task's unit."""

    low: float | None
    """Lower end of the 95% interval over resampled test items."""

    high: float | None
    """Upper end."""

    coverage: float | None
    """Share of test items within their intervals or sets, which promise 0.9."""

    other: str
    """The best plain baseline; empty where there was none to compare with."""

    difference: float | None
    """The score less that one's, on the same items."""

    difference_low: float | None
    """Lower end of its 95% interval."""

    difference_high: float | None
    """Upper end."""

    verdict: str
    """Whether it is better than that one, worse, or no different."""

    code: str
    """First letters of the fingerprint of kagaku's code; several states are joined by commas."""


COLUMNS = tuple(one.name for one in fields(ScoreRow))

_WHOLE = {"n_seeds"}
_NUMBERS = {"score", "low", "high", "coverage", "difference", "difference_low", "difference_high"}


def rows_of_folder(folder: Path) -> list[ScoreRow]:
    """Return what a benchmark's folder found, but quick looks.

    Args:
        folder: What ``kagaku benchmark`` wrote.

    Raises:
        InputError: The folder holds no benchmark, or one of an older version.
    """
    tasks = stored_scores(folder)["tasks"].values()
    whole = [found for found in tasks if found["quick"] is None]
    if old := [found["task"] for found in whole if "judged" not in found]:
        raise InputError(
            f"the scores of {', '.join(old)} are of an older version",
            fix="Run kagaku benchmark on the folder again: kept answers are scored anew.",
            where=str(folder / SCORES_FILE),
        )
    return [
        _row(found, method) for found in whole for method in found["methods"] if method["scores"]
    ]


def _row(found: dict[str, Any], method: dict[str, Any]) -> ScoreRow:
    measure = found["measures"][0]["name"]
    score = method["scores"].get(measure, {})
    versus = method["versus_baseline"] or {}
    role = "baseline" if method["is_baseline"] else ""
    if method.get("is_for_reference"):
        role = "reference"
    elif method["name"] == found["judged"]:
        role = "judged"
    n_splits = len(method["splits"])
    return ScoreRow(
        task=found["task"],
        method=method["name"],
        role=role,
        base=method["base"] or "",
        splits=",".join(method["splits"]),
        n_seeds=max(1, method["n_runs"] // max(1, n_splits)),
        measure=measure,
        score=score.get("mean"),
        low=score.get("low"),
        high=score.get("high"),
        coverage=method["scores"].get(COVERAGE.name, {}).get("mean"),
        other=versus.get("other", ""),
        difference=versus.get("difference"),
        difference_low=versus.get("low"),
        difference_high=versus.get("high"),
        verdict=versus.get("verdict", ""),
        code=",".join(one[:8] for one in method["made_by"]),
    )


def read_rows(path: Path) -> list[ScoreRow]:
    """Return the rows of a table of scores.

    Raises:
        InputError: The file is none.
    """
    rows = read_cells(path, COLUMNS, "scores")
    try:
        return [ScoreRow(**dict(map(_value, COLUMNS, row))) for row in rows]
    except ValueError as error:
        raise InputError(
            f"the table holds what is no number ({error})",
            fix="Make it anew: python scripts/score_page.py FOLDER...",
            where=str(path),
        ) from None


def _value(name: str, cell: str) -> tuple[str, Any]:
    if name in _WHOLE:
        return name, int(cell)
    if name in _NUMBERS:
        return name, float(cell) if cell else None
    return name, cell


def write_rows(rows: Iterable[ScoreRow], path: Path) -> None:
    """Write a table of scores, five digits of each number."""
    write_cells((list(map(_cell, astuple(one))) for one in rows), COLUMNS, path)


def _cell(value: object) -> str:
    if value is None:
        return ""
    return f"{value:.5g}" if isinstance(value, float) else str(value)


def merged(old: Iterable[ScoreRow], new: Iterable[ScoreRow]) -> list[ScoreRow]:
    """Return old rows with those of newly measured tasks in their place, in order of task.

    All rows of a task come from one folder, since differences between its methods are told.
    """
    fresh = list(new)
    measured = {one.task for one in fresh}
    kept = [one for one in old if one.task not in measured]
    return sorted([*kept, *fresh], key=lambda one: one.task)

"""How the method was chosen, and what the choosing itself costs, in plain values and words."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kagaku.science_tasks.selection import Selection


def named(members: Sequence[str]) -> str:
    """Return what answers, in words: a candidate, or the mean of several."""
    return members[0] if len(members) == 1 else f"the mean of {' and '.join(members)}"


def finite(value: float) -> float | None:
    """Return a number as JSON has it: None for one that is not finite."""
    return float(value) if np.isfinite(value) else None


def candidate_rows(selection: Selection, skipped: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return the table that the winner was chosen from, best first, then what was not tried."""
    rows: list[dict[str, Any]] = [
        {
            "name": row.name,
            "score": finite(row.score),
            "standard_error": finite(row.standard_error),
            "seconds": row.seconds,
            "chosen": row.name == selection.best,
            "note": row.note,
        }
        for row in selection.rows
    ]
    empty = {"score": None, "standard_error": None, "seconds": None, "chosen": False}
    return [*rows, *({"name": name, **empty, "note": why} for name, why in skipped.items())]


def chosen_reason(selection: Selection) -> str:
    """Return why the winner won, in words."""
    if selection.margin is None or selection.runner_up is None:
        return "the only candidate"
    difference, lower, upper = selection.margin
    certain = "clearly" if upper < 0 else "not clearly"
    return (
        f"lowest {selection.metric} in cross-validation on training rows, {certain} ahead of "
        f"{selection.runner_up} ({difference:+.3g}, 95% interval {lower:+.3g} to {upper:+.3g})"
    )


def own_score(selection: Selection) -> float:
    """Return the winner's own cross-validated score, by which it was chosen."""
    return next(row.score for row in selection.rows if row.name == selection.best)


def choosing(selection: Selection, unit: str | None = None) -> dict[str, Any] | None:
    """Return the score with the choosing included, beside the winner's own; None with one fold.

    Args:
        selection: The comparison.
        unit: Unit of the target, for the words.
    """
    crossed = selection.cross_fitted
    if crossed is None:
        return None
    told = f" {unit}" if selection.metric == "RMSE" and unit else ""
    n_alike = sum(set(fold.members) == set(selection.members) for fold in crossed.folds)
    own = own_score(selection)
    return {
        "score": finite(crossed.score),
        "standard_error": finite(crossed.standard_error),
        "own_score": finite(own),
        "n_alike": n_alike,
        "folds": [
            {"chosen": named(fold.members), "score": finite(fold.score)} for fold in crossed.folds
        ],
        "sentence": f"With the choosing included, cross-validation gives {selection.metric} "
        f"{crossed.score:.3g}{told}; the winner's own {own:.3g} had a part in its being chosen. "
        f"{n_alike} of {len(crossed.folds)} folds would have been predicted by the same choice.",
    }

"""Measures of numbers that answers hold already: means, shares of counts, F1 from counts."""

from collections.abc import Sequence
from functools import partial

import numpy as np
import pandas as pd
from jaxtyping import Float

from kagaku.science_tasks.benchmark.measures import ASKED, HITS, Measure, Parts
from kagaku.science_tasks.metric_functions import mean_of_defined


def mean_of(
    column: str,
    name: str,
    *,
    unit: str | None = None,
    smaller_is_better: bool = False,
    ideal: float | None = None,
) -> Measure:
    """Return the mean of a column over items, such as the share of hits among the first ten."""
    return Measure(
        name,
        lambda answers: float(answers[column].mean()),
        unit,
        smaller_is_better,
        (column,),
        Parts(partial(_column_and_count, column), lambda sums: sums[0] / sums[1]),
        ideal=ideal,
    )


def _column_and_count(column: str, answers: pd.DataFrame) -> np.ndarray:
    values = answers[column].to_numpy(np.float64)
    known = ~np.isnan(values)
    return np.stack([np.where(known, values, 0.0), known], axis=1)


def _columns(columns: Sequence[str], answers: pd.DataFrame) -> np.ndarray:
    found: np.ndarray = answers[list(columns)].to_numpy(np.float64)
    return found


def root_mean_of(column: str, name: str, *, unit: str | None = None) -> Measure:
    """Return the root of the mean of a column of squared errors, one per item."""
    return Measure(
        name,
        lambda answers: float(np.sqrt(answers[column].mean())),
        unit,
        True,
        (column,),
        Parts(partial(_column_and_count, column), lambda sums: np.sqrt(sums[0] / sums[1])),
    )


def share_of_counts(name: str, hits: str = HITS, asked: str = ASKED) -> Measure:
    """Return the ratio of two summed columns of counts, such as right residues to all residues."""

    def compute(answers: pd.DataFrame) -> float:
        total = float(answers[asked].sum())
        return float(answers[hits].sum()) / total if total else float("nan")

    parts = Parts(partial(_columns, (hits, asked)), lambda sums: sums[0] / sums[1])
    return Measure(name, compute, columns=(hits, asked), parts=parts)


def f1_of_counts(name: str = "F1") -> Measure:
    """Return micro F1 from the columns ``hits``, ``guessed`` and ``wanted``, counts per item.

    Items are sentences and what is counted are entities, so that resampling keeps sentences whole.
    """

    def compute(answers: pd.DataFrame) -> float:
        total = answers["guessed"].sum() + answers["wanted"].sum()
        return 2 * float(answers["hits"].sum()) / float(total) if total else float("nan")

    columns = ("hits", "guessed", "wanted")
    parts = Parts(partial(_columns, columns), lambda sums: 2 * sums[0] / (sums[1] + sums[2]))
    return Measure(name, compute, columns=columns, parts=parts)


def macro_f1_of_counts(kinds: Sequence[str], name: str = "macro F1") -> Measure:
    """Return the mean over kinds of F1, from ``hits_KIND``, ``guessed_KIND`` and ``wanted_KIND``.

    A kind that nobody wants and nobody guesses is left out; one that is only guessed counts 0.
    """
    columns = {one: tuple(f"{c}_{one}" for c in ("hits", "guessed", "wanted")) for one in kinds}

    def compute(answers: pd.DataFrame) -> float:
        scores = []
        for hits, guessed, wanted in columns.values():
            if total := float(answers[guessed].sum() + answers[wanted].sum()):
                scores.append(2 * float(answers[hits].sum()) / total)
        return float(np.mean(scores)) if scores else float("nan")

    flat = tuple(one for kind in columns.values() for one in kind)
    return Measure(name, compute, columns=flat, parts=Parts(partial(_columns, flat), mean_of_f1))


def mean_of_f1(sums: Float[np.ndarray, "part resample"]) -> Float[np.ndarray, " resample"]:
    """Return the mean F1 of kinds from three sums each: hits, guessed and wanted."""
    return mean_of_defined(2 * sums[0::3] / (sums[1::3] + sums[2::3]))

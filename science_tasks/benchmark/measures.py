"""Measures of answers: one number from a frame with one row per test item."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pandas as pd

from kagaku.science_tasks.metric_functions import (
    BINARY,
    MULTICLASS,
    MULTILABEL,
    REGRESSION,
    SUMS,
)
from kagaku.science_tasks.resampling import Metric

TRUTH, GIVEN, LOW, HIGH = "truth", "given", "low", "high"
"""Columns of answers: what was measured, what was predicted, and the ends of its interval."""

CHANCE = "p_"
"""Answers about classes have one column per class: this, then the class's index from 0."""

TRUE_LABEL = "t_"
"""Answers about several labels have one column of truth per label: this, then its index from 0."""

HITS, ASKED = "hits", "asked"
"""Answers about tokens: how many of a record's were right, and how many were asked."""

SQUARED_ERROR = "squared_error"
"""Answers about fields: the area-weighted mean squared error of each, in squared units."""

Compute = Callable[[pd.DataFrame], float]


@dataclass(frozen=True)
class Parts:
    """A score in two steps, for those that are functions of sums over items.

    All resamples of such a score are one matrix product, far faster than scoring each of them.
    """

    of: Callable[[pd.DataFrame], np.ndarray]
    """Gives the parts of each item, (item, part)."""

    total: Callable[[np.ndarray], np.ndarray]
    """Gives the score of summed parts, (part, resample) -> (resample,)."""


@dataclass(frozen=True)
class Measure:
    """One score of one method on one test part."""

    name: str
    """The metric's usual name."""

    compute: Compute
    """Gives the score of answers; NaN where it is not defined for them."""

    unit: str | None = None
    """The target's unit for errors; None for dimensionless scores."""

    smaller_is_better: bool = False
    """Which way is up."""

    columns: tuple[str, ...] = (TRUTH, GIVEN)
    """What the answers must hold for it; a method whose answers lack one is not scored by it."""

    parts: Parts | None = None
    """The same score by sums, where that is possible; the tests hold the two together."""

    def of(self, answers: pd.DataFrame) -> float:
        """Return the score of answers; NaN where there are none or their columns are lacking."""
        return float(self.compute(answers)) if self.can_score(answers) else float("nan")

    def can_score(self, answers: pd.DataFrame) -> bool:
        """Return whether answers hold the columns that are read, and any item."""
        return len(answers) > 0 and set(self.columns) <= set(answers.columns)

    def where(self, name: str, rows: Callable[[pd.DataFrame], pd.Series]) -> "Measure":
        """Return the same measure on some of the items, such as those on activity cliffs."""
        parts = self.parts and Parts(partial(_parts_on_rows, self.parts, rows), self.parts.total)
        return replace(self, name=name, compute=partial(_on_rows, self, rows), parts=parts)


def _on_rows(
    measure: Measure, rows: Callable[[pd.DataFrame], pd.Series], answers: pd.DataFrame
) -> float:
    return measure.of(answers[rows(answers).to_numpy(dtype=bool)])


def _parts_on_rows(
    parts: Parts, rows: Callable[[pd.DataFrame], pd.Series], answers: pd.DataFrame
) -> np.ndarray:
    chosen = rows(answers).to_numpy(dtype=bool)
    found: np.ndarray = parts.of(answers) * chosen[:, None]
    return found


def _pair(metric: Metric, answers: pd.DataFrame) -> float:
    both = answers[[TRUTH, GIVEN]].to_numpy(dtype=np.float64)
    both = both[~np.isnan(both).any(axis=1)]
    return metric(both[:, 0], both[:, 1]) if len(both) else float("nan")


def _chances(metric: Metric, answers: pd.DataFrame) -> float:
    return metric(*_tables(answers))


def numbered_columns(answers: pd.DataFrame, prefix: str) -> list[str]:
    """Return the columns of this prefix and a number, by the number."""
    names = [one for one in answers.columns if one.removeprefix(prefix).isdigit()]
    return sorted(names, key=lambda one: int(one.removeprefix(prefix)))


def of_numbers(
    name: str, metric: Metric, *, unit: str | None = None, smaller_is_better: bool = False
) -> Measure:
    """Return a measure of numbers by a metric of (truth, prediction); missing ones are left out."""
    return Measure(name, partial(_pair, metric), unit, smaller_is_better)


def regression(names: Sequence[str], unit: str | None) -> tuple[Measure, ...]:
    """Return measures of numbers by their usual names: RMSE, MAE, R2, Spearman, Kendall."""
    return tuple(
        Measure(
            one,
            partial(_pair, REGRESSION[one]),
            unit if one in {"RMSE", "MAE"} else None,
            one in {"RMSE", "MAE"},
            parts=_summed(one, _numbers),
        )
        for one in names
    )


def _numbers(answers: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    return answers[TRUTH].to_numpy(np.float64), answers[GIVEN].to_numpy(np.float64)


def _tables(answers: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    names = numbered_columns(answers, CHANCE)
    return answers[TRUTH].to_numpy(np.float64), answers[names].to_numpy(np.float64)


def _summed(
    name: str, pair: Callable[[pd.DataFrame], tuple[np.ndarray, np.ndarray]]
) -> Parts | None:
    """Return the parts of a metric that sums over records tell, without records not measured."""
    if name not in SUMS:
        return None
    parts, total = SUMS[name]

    def of(answers: pd.DataFrame) -> np.ndarray:
        truth, given = pair(answers)
        known = ~np.isnan(truth) & ~np.isnan(given.reshape(len(given), -1)).any(axis=1)
        some = parts(truth[known], given[known])
        found = np.zeros((len(truth), some.shape[1]))
        found[known] = some
        return found

    return Parts(of, total)


def binary(names: Sequence[str]) -> tuple[Measure, ...]:
    """Return measures of two classes: ROC-AUC, average precision, MCC, accuracy, Brier."""
    return tuple(_of_classes(one, BINARY[one]) for one in names)


def multiclass(names: Sequence[str]) -> tuple[Measure, ...]:
    """Return measures of several classes: accuracy, macro F1, MCC, log loss."""
    return tuple(_of_classes(one, MULTICLASS[one]) for one in names)


def _of_classes(name: str, metric: Metric) -> Measure:
    smaller = name in {"Brier", "log loss"}
    columns = (TRUTH, f"{CHANCE}0", f"{CHANCE}1")
    parts = _summed(name, _tables)
    return Measure(name, partial(_chances, metric), None, smaller, columns, parts)


def multilabel(names: Sequence[str]) -> tuple[Measure, ...]:
    """Return measures of several labels at once, missing ones left out: macro ROC-AUC, macro F1."""
    return tuple(
        Measure(
            one,
            partial(_labels, MULTILABEL[one]),
            None,
            one == "log loss",
            (f"{TRUE_LABEL}0", f"{CHANCE}0"),
        )
        for one in names
    )


def _labels(metric: Metric, answers: pd.DataFrame) -> float:
    truth = answers[numbered_columns(answers, TRUE_LABEL)].to_numpy(np.float64)
    return metric(truth, answers[numbered_columns(answers, CHANCE)].to_numpy(np.float64))


def mean_of(
    column: str, name: str, *, unit: str | None = None, smaller_is_better: bool = False
) -> Measure:
    """Return the mean of a column over items, such as the share of hits among the first ten."""
    return Measure(
        name,
        lambda answers: float(answers[column].mean()),
        unit,
        smaller_is_better,
        (column,),
        Parts(partial(_column_and_count, column), lambda sums: sums[0] / sums[1]),
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

    return Measure(name, compute, columns=tuple(one for kind in columns.values() for one in kind))


def _inside(answers: pd.DataFrame) -> float:
    known = answers[[TRUTH, LOW, HIGH]].dropna()
    inside = (known[LOW] <= known[TRUTH]) & (known[TRUTH] <= known[HIGH])
    return float(inside.mean()) if len(known) else float("nan")


def _inside_and_count(answers: pd.DataFrame) -> np.ndarray:
    truth, low, high = _columns((TRUTH, LOW, HIGH), answers).T
    known = ~(np.isnan(truth) | np.isnan(low) | np.isnan(high))
    return np.stack([known & (low <= truth) & (truth <= high), known], axis=1).astype(np.float64)


COVERAGE = Measure(
    "coverage",
    _inside,
    columns=(TRUTH, LOW, HIGH),
    parts=Parts(_inside_and_count, lambda sums: sums[0] / sums[1]),
)
"""How often the truth lay within its interval: neither up nor down is better, but the confidence
that was asked for."""

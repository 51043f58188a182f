"""Measures of answers: one number from a frame with one row per test item."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pandas as pd

from kagaku.science_tasks.metric_functions import BINARY, MULTICLASS, MULTILABEL, REGRESSION
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

    def of(self, answers: pd.DataFrame) -> float:
        """Return the score of answers; NaN where there are none or their columns are lacking."""
        if not len(answers) or not set(self.columns) <= set(answers.columns):
            return float("nan")
        return float(self.compute(answers))

    def where(self, name: str, rows: Callable[[pd.DataFrame], pd.Series]) -> "Measure":
        """Return the same measure on some of the items, such as those on activity cliffs."""
        return replace(self, name=name, compute=partial(_on_rows, self, rows))


def _on_rows(
    measure: Measure, rows: Callable[[pd.DataFrame], pd.Series], answers: pd.DataFrame
) -> float:
    return measure.of(answers[rows(answers).to_numpy(dtype=bool)])


def _pair(metric: Metric, answers: pd.DataFrame) -> float:
    both = answers[[TRUTH, GIVEN]].to_numpy(dtype=np.float64)
    both = both[~np.isnan(both).any(axis=1)]
    return metric(both[:, 0], both[:, 1]) if len(both) else float("nan")


def _chances(metric: Metric, answers: pd.DataFrame) -> float:
    names = numbered_columns(answers, CHANCE)
    return metric(answers[TRUTH].to_numpy(np.float64), answers[names].to_numpy(np.float64))


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
        )
        for one in names
    )


def binary(names: Sequence[str]) -> tuple[Measure, ...]:
    """Return measures of two classes: ROC-AUC, average precision, MCC, accuracy, Brier."""
    return tuple(_of_classes(one, BINARY[one]) for one in names)


def multiclass(names: Sequence[str]) -> tuple[Measure, ...]:
    """Return measures of several classes: accuracy, macro F1, MCC, log loss."""
    return tuple(_of_classes(one, MULTICLASS[one]) for one in names)


def _of_classes(name: str, metric: Metric) -> Measure:
    smaller = name in {"Brier", "log loss"}
    columns = (TRUTH, f"{CHANCE}0", f"{CHANCE}1")
    return Measure(name, partial(_chances, metric), None, smaller, columns)


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
        name, lambda answers: float(answers[column].mean()), unit, smaller_is_better, (column,)
    )


def root_mean_of(column: str, name: str, *, unit: str | None = None) -> Measure:
    """Return the root of the mean of a column of squared errors, one per item."""
    return Measure(
        name, lambda answers: float(np.sqrt(answers[column].mean())), unit, True, (column,)
    )


def share_of_counts(name: str, hits: str = HITS, asked: str = ASKED) -> Measure:
    """Return the ratio of two summed columns of counts, such as right residues to all residues."""

    def compute(answers: pd.DataFrame) -> float:
        total = float(answers[asked].sum())
        return float(answers[hits].sum()) / total if total else float("nan")

    return Measure(name, compute, columns=(hits, asked))


def f1_of_counts(name: str = "F1") -> Measure:
    """Return micro F1 from the columns ``hits``, ``guessed`` and ``wanted``, counts per item.

    Items are sentences and what is counted are entities, so that resampling keeps sentences whole.
    """

    def compute(answers: pd.DataFrame) -> float:
        total = answers["guessed"].sum() + answers["wanted"].sum()
        return 2 * float(answers["hits"].sum()) / float(total) if total else float("nan")

    return Measure(name, compute, columns=("hits", "guessed", "wanted"))


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


COVERAGE = Measure("coverage", _inside, columns=(TRUTH, LOW, HIGH))
"""How often the truth lay within its interval: neither up nor down is better, but the confidence
that was asked for."""

"""Measures of answers: one number from a frame with one row per test item."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pandas as pd

from kagaku.science_tasks.metric_functions import (
    BINARY,
    LABEL_SUMS,
    MULTICLASS,
    MULTILABEL,
    REGRESSION,
    SUMS,
)
from kagaku.science_tasks.rank_metrics import (
    RANKED_CLASSES,
    RANKED_LABELS,
    RANKED_NUMBERS,
    Counts,
    Ranked,
    Scores,
)
from kagaku.science_tasks.resampling import Metric, Sums

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

Pair = Callable[[pd.DataFrame], tuple[np.ndarray, np.ndarray]]
"""Gives truth and prediction of answers, item by item."""


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

    ranked: Callable[[pd.DataFrame], Scores] | None = None
    """The same score of many resamples from how often each holds each item, for scores that look
    at the items' order; the tests hold the two together."""

    ideal: float | None = None
    """The best value, where neither way is up: 0 for a bias."""

    is_of_set: bool = False
    """Whether it belongs to the answers as a whole, so that resampled items say nothing of it."""

    needs: str = ""
    """What has to be installed for it beside kagaku, as pip is told; empty for nothing."""

    def of(self, answers: pd.DataFrame) -> float:
        """Return the score of answers; NaN where there are none or their columns are lacking."""
        return float(self.compute(answers)) if self.can_score(answers) else float("nan")

    def can_score(self, answers: pd.DataFrame) -> bool:
        """Return whether answers hold the columns that are read, and any item."""
        return len(answers) > 0 and set(self.columns) <= set(answers.columns)

    def where(self, name: str, rows: Callable[[pd.DataFrame], pd.Series]) -> "Measure":
        """Return the same measure on some of the items, such as those on activity cliffs."""
        parts = self.parts and Parts(partial(_parts_on_rows, self.parts, rows), self.parts.total)
        ranked = self.ranked and partial(_ranked_on_rows, self.ranked, rows)
        compute = partial(_on_rows, self, rows)
        return replace(self, name=name, compute=compute, parts=parts, ranked=ranked)


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


def _ranked_on_rows(
    ranked: Callable[[pd.DataFrame], Scores],
    rows: Callable[[pd.DataFrame], pd.Series],
    answers: pd.DataFrame,
) -> Scores:
    chosen = rows(answers).to_numpy(dtype=bool)
    scores = ranked(answers[chosen])
    return lambda counts: scores(counts[chosen])


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
    name: str,
    metric: Metric,
    *,
    unit: str | None = None,
    smaller_is_better: bool = False,
    sums: Sums | None = None,
    ranked: Ranked | None = None,
) -> Measure:
    """Return a measure of numbers by a metric of (truth, prediction); missing ones are left out.

    Args:
        name: The metric's usual name.
        metric: Computes it.
        unit: The unit of errors.
        smaller_is_better: Which way is up.
        sums: The same by sums over items, where that is possible.
        ranked: The same by counts of items, where order is looked at.
    """
    return Measure(
        name,
        partial(_pair, metric),
        unit,
        smaller_is_better,
        parts=_summed(sums, _numbers),
        ranked=_ordered(ranked, _numbers),
    )


def regression(names: Sequence[str], unit: str | None) -> tuple[Measure, ...]:
    """Return measures of numbers by their usual names: RMSE, MAE, R2, Spearman, Kendall."""
    return tuple(
        of_numbers(
            one,
            REGRESSION[one],
            unit=unit if one in {"RMSE", "MAE"} else None,
            smaller_is_better=one in {"RMSE", "MAE"},
            sums=SUMS.get(one),
            ranked=RANKED_NUMBERS.get(one),
        )
        for one in names
    )


def _numbers(answers: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    return answers[TRUTH].to_numpy(np.float64), answers[GIVEN].to_numpy(np.float64)


def _tables(answers: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    names = numbered_columns(answers, CHANCE)
    return answers[TRUTH].to_numpy(np.float64), answers[names].to_numpy(np.float64)


def _known(truth: np.ndarray, given: np.ndarray) -> np.ndarray:
    """Return which records have any truth, and all of a prediction."""
    unknown = np.isnan(truth).all(axis=tuple(range(1, truth.ndim)))
    not_given = np.isnan(given).any(axis=tuple(range(1, given.ndim)))
    return np.asarray(~(unknown | not_given))


def _summed(sums: Sums | None, pair: Pair) -> Parts | None:
    """Return the parts of a metric that sums over records tell, without records not measured."""
    if sums is None:
        return None
    parts, total = sums

    def of(answers: pd.DataFrame) -> np.ndarray:
        truth, given = pair(answers)
        known = _known(truth, given)
        some = parts(truth[known], given[known])
        found = np.zeros((len(truth), some.shape[1]))
        found[known] = some
        return found

    return Parts(of, total)


def _ordered(ranked: Ranked | None, pair: Pair) -> Callable[[pd.DataFrame], Scores] | None:
    """Return a metric that counts of records tell, without records not measured."""
    return None if ranked is None else partial(_scores_of_known, ranked, pair)


def _scores_of_known(ranked: Ranked, pair: Pair, answers: pd.DataFrame) -> Scores:
    truth, given = pair(answers)
    known = _known(truth, given)
    if not known.any():
        return _undefined
    scores = ranked(truth[known], given[known])
    return lambda counts: scores(counts[known])


def _undefined(counts: Counts) -> np.ndarray:
    return np.full(counts.shape[1], np.nan)


def binary(names: Sequence[str]) -> tuple[Measure, ...]:
    """Return measures of two classes: ROC-AUC, average precision, MCC, accuracy, Brier."""
    return tuple(_of_classes(one, BINARY[one]) for one in names)


def multiclass(names: Sequence[str]) -> tuple[Measure, ...]:
    """Return measures of several classes: accuracy, macro F1, MCC, log loss."""
    return tuple(_of_classes(one, MULTICLASS[one]) for one in names)


def _of_classes(name: str, metric: Metric) -> Measure:
    smaller = name in {"Brier", "log loss"}
    columns = (TRUTH, f"{CHANCE}0", f"{CHANCE}1")
    parts, ranked = _summed(SUMS.get(name), _tables), _ordered(RANKED_CLASSES.get(name), _tables)
    return Measure(name, partial(_chances, metric), None, smaller, columns, parts, ranked)


def multilabel(names: Sequence[str]) -> tuple[Measure, ...]:
    """Return measures of several labels at once, missing ones left out: macro ROC-AUC, macro F1."""
    return tuple(
        Measure(
            one,
            partial(_labels, MULTILABEL[one]),
            None,
            one == "log loss",
            (f"{TRUE_LABEL}0", f"{CHANCE}0"),
            _summed(LABEL_SUMS.get(one), _label_tables),
            _ordered(RANKED_LABELS.get(one), _label_tables),
        )
        for one in names
    )


def _labels(metric: Metric, answers: pd.DataFrame) -> float:
    return metric(*_label_tables(answers))


def _label_tables(answers: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    truth = answers[numbered_columns(answers, TRUE_LABEL)].to_numpy(np.float64)
    return truth, answers[numbered_columns(answers, CHANCE)].to_numpy(np.float64)


def _inside(answers: pd.DataFrame) -> float:
    known = answers[[TRUTH, LOW, HIGH]].dropna()
    inside = (known[LOW] <= known[TRUTH]) & (known[TRUTH] <= known[HIGH])
    return float(inside.mean()) if len(known) else float("nan")


def _inside_and_count(answers: pd.DataFrame) -> np.ndarray:
    truth, low, high = answers[[TRUTH, LOW, HIGH]].to_numpy(np.float64).T
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

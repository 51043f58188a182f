"""What results amount to: scores over splits and seeds, and paired differences with intervals."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from kagaku.science_tasks.benchmark.draws import Draws
from kagaku.science_tasks.benchmark.measures import COVERAGE, TRUTH, Measure
from kagaku.science_tasks.benchmark.results import Result
from kagaku.science_tasks.benchmark.task import Task
from kagaku.science_tasks.resampling import BOOTSTRAPS, central

Verdict = Literal["better", "no different", "worse"]


@dataclass(frozen=True)
class Summary:
    """One measure of one method over its splits and seeds."""

    method: str
    """Name of the method."""

    measure: str
    """Name of the measure."""

    mean: float
    """Mean over splits and seeds."""

    spread: float
    """Standard deviation over them; NaN if there is one only."""

    low: float
    """Lower end of the 95% interval of the mean over resampled test items."""

    high: float
    """Upper end."""

    n_runs: int
    """Splits times seeds."""


@dataclass(frozen=True)
class Paired:
    """One method against another on the same test items."""

    method: str
    """Whose score comes first."""

    other: str
    """Whose score is taken off."""

    measure: str
    """What is compared."""

    difference: float
    """Mean over splits and seeds of score minus the other's score."""

    low: float
    """Lower end of its 95% interval over resampled test items."""

    high: float
    """Upper end."""

    verdict: Verdict
    """``"no different"`` where the interval holds 0."""

    def sentence(self, unit: str | None = None) -> str:
        """Return the verdict in words, with the figures."""
        words = {
            "better": f"{self.method} is better than {self.other}",
            "worse": f"{self.method} is worse than {self.other}: use that one instead",
            "no different": f"{self.method} is not clearly different from {self.other}",
        }[self.verdict]
        of = f" {unit}" if unit else ""
        figures = f"{self.measure} {self.difference:+.3g}{of}"
        if np.isnan(self.low):
            return f"{words} ({figures}, of which no interval can be given)."
        return f"{words} ({figures}, 95% interval {self.low:+.3g} to {self.high:+.3g})."


ROUNDING = 1e-12
"""Differences of scores below this are 0."""

Runs = Mapping[tuple[str, int], pd.DataFrame]
"""Answers by split and seed."""


def runs_of(results: Sequence[Result], method: str) -> dict[tuple[str, int], pd.DataFrame]:
    """Return the answers of one method by split and seed."""
    return {(one.split, one.seed): one.answers for one in results if one.method == method}


def summarise(task: Task, results: Sequence[Result]) -> list[Summary]:
    """Return every measure of every method, methods in the task's order."""
    found = []
    for method in task.methods:
        runs = runs_of(results, method)
        for measure in (*task.measures, COVERAGE) if runs else ():
            scores = np.array([measure.of(answers) for answers in runs.values()])
            if np.isnan(scores).all():
                continue
            low, high = _interval(measure, [(1.0, runs)], task.group)
            spread = float(np.nanstd(scores, ddof=1)) if len(scores) > 1 else float("nan")
            found.append(
                Summary(
                    method, measure.name, float(np.nanmean(scores)), spread, low, high, len(scores)
                )
            )
    return found


def compare_runs(
    measure: Measure,
    first: Runs,
    second: Runs,
    names: tuple[str, str],
    *,
    group: str | None = None,
) -> Paired | None:
    """Return the paired comparison of two methods on the splits and seeds that both have.

    Each split's items are resampled once for both methods and all seeds, so that what is hard for
    both cancels, and the same items asked with several seeds do not count as new ones.

    Args:
        measure: What is compared.
        first: Answers of one method.
        second: Answers of the other.
        names: What they are called.
        group: A column of the answers whose equal values are resampled together.

    Returns:
        None if they share no split and seed, or the measure is not defined for both.
    """
    shared = [one for one in first if one in second and _same_items(first[one], second[one])]
    if not shared:
        return None

    found = float(np.mean([measure.of(first[one]) - measure.of(second[one]) for one in shared]))
    if np.isnan(found):
        return None
    low, high = _interval(
        measure,
        [(1.0, {one: first[one] for one in shared}), (-1.0, {one: second[one] for one in shared})],
        group,
    )
    # Sums over splits of what is equal differ by rounding, which is no difference.
    found, low, high = (0.0 if abs(one) < ROUNDING else one for one in (found, low, high))
    verdict: Verdict = "no different"
    if np.isfinite(low) and np.isfinite(high) and (low > 0 or high < 0):
        verdict = "better" if (found < 0) == measure.smaller_is_better else "worse"
    return Paired(*names, measure.name, found, low, high, verdict)


def _same_items(first: pd.DataFrame, second: pd.DataFrame) -> bool:
    """Return whether two methods were asked the same: as many items, with the same truth."""
    if len(first) != len(second):
        return False
    if TRUTH not in first or TRUTH not in second:
        return True
    ours, theirs = (one[TRUTH].reset_index(drop=True) for one in (first, second))
    return bool(((ours == theirs) | (ours.isna() & theirs.isna())).all())


def _share_groups(splits: Mapping[str, pd.DataFrame], group: str) -> bool:
    """Return whether any group stands in two splits."""
    if any(group not in one for one in splits.values()):
        return False
    groups = [label for one in splits.values() for label in one[group].unique()]
    return len(set(groups)) < len(groups)


def best_baseline(task: Task, results: Sequence[Result]) -> str | None:
    """Return the plain baseline with the best mean score of the leading measure.

    Means over other splits say nothing about each other, so only baselines count that have answered
    the most splits.
    """
    sign = 1 if task.leading.smaller_is_better else -1
    scored = []
    for method in task.baselines:
        runs = runs_of(results, method)
        values = [task.leading.of(one) for one in runs.values()]
        if values and not np.isnan(values).any():
            n_splits = len({split for split, _ in runs})
            scored.append((-n_splits, sign * float(np.mean(values)), method))
    return min(scored)[-1] if scored else None


def _interval(
    measure: Measure, signed: Sequence[tuple[float, Runs]], group: str | None
) -> tuple[float, float]:
    """Return the central 95% of a signed sum of mean scores of resampled items.

    Each split is resampled once, for all its seeds and for both sides of a difference; splits that
    ask of the same groups are resampled together.
    """
    if measure.is_of_set:
        return float("nan"), float("nan")
    rng = np.random.default_rng(0)
    splits: dict[str, pd.DataFrame] = {}
    for (split, _), answers in signed[0][1].items():
        splits.setdefault(split, answers)
    if group is not None and _share_groups(splits, group):
        draws = Draws.together(splits, group, rng)
    else:
        draws = {split: Draws.of(answers, group, rng) for split, answers in splits.items()}
    if any(one.n_groups < 2 for one in draws.values()):
        return float("nan"), float("nan")
    values = np.zeros(BOOTSTRAPS)
    for sign, runs in signed:
        for (split, _), answers in runs.items():
            values += sign * draws[split].scores(measure, answers) / len(runs)
    return central(values)

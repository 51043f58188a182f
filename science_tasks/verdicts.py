"""What a comparison means, in one sentence that does not flatter."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from kagaku.data.records import EXACT, TargetValues
from kagaku.data.schema import Kind, Target
from kagaku.science_tasks.candidates import uses_embeddings
from kagaku.science_tasks.metrics import (
    BINARY,
    MULTICLASS,
    MULTILABEL,
    SMALLER_IS_BETTER,
    Metric,
    paired_difference,
    root_mean_square_error,
)
from kagaku.science_tasks.prediction import Prediction
from kagaku.science_tasks.selection import Selection

Verdict = Literal["better", "no better", "worse"]


@dataclass(frozen=True)
class Difference:
    """The model against its best baseline on the held-out records."""

    baseline: str
    """Name of the best baseline."""

    metric: str
    """What was compared."""

    difference: float
    """Model minus baseline; whether lower is better depends on the metric."""

    lower: float
    """Lower end of the 95% interval over paired resamples of records."""

    upper: float
    """Upper end of the interval."""

    verdict: Verdict
    """``"no better"`` where the interval holds 0."""

    sentence: str
    """The verdict in words."""


def compare(
    metric: str,
    own: Prediction,
    others: Mapping[str, Prediction],
    own_scores: Mapping[str, Mapping[str, Any]],
    baselines: Sequence[Mapping[str, Any]],
    truth: TargetValues,
    target: Target,
    seed: int,
) -> Difference | None:
    """Return the paired comparison with the best baseline; None if nothing can be compared.

    Args:
        metric: The leading metric.
        own: The model's predictions of the measured held-out records.
        others: The baselines' predictions of the same records.
        own_scores: The model's scores by metric.
        baselines: Name and scores of each baseline.
        truth: Measured values of the same records.
        target: What is predicted.
        seed: Fixes the resampling.
    """
    sign = 1.0 if metric in SMALLER_IS_BETTER else -1.0
    scored = [
        (sign * one["test"][metric]["value"], one["name"])
        for one in baselines
        if metric in one["test"] and one["test"][metric]["value"] is not None
    ]
    if not scored or own_scores.get(metric, {}).get("value") is None:
        return None
    _, name = min(scored)
    rows, mine, theirs, score = _paired(metric, own, others[name], truth, target.kind)
    difference, lower, upper = paired_difference(score, rows, mine, theirs, seed=seed)
    verdict: Verdict = "no better"
    if np.isfinite(lower) and np.isfinite(upper) and (lower > 0 or upper < 0):
        verdict = "better" if sign * difference < 0 else "worse"
    unit = f" {target.unit}" if metric == "RMSE" and target.unit else ""
    interval = f"{metric} {difference:+.3g}{unit}, 95% interval {lower:+.3g} to {upper:+.3g}"
    words = {
        "better": f"Better than the best simple baseline, {name}",
        "worse": f"Worse than the best simple baseline, {name}: use that one instead",
        "no better": f"Not clearly better than the best simple baseline, {name}",
    }
    return Difference(
        name, metric, difference, lower, upper, verdict, f"{words[verdict]} ({interval})."
    )


def _paired(
    metric: str, own: Prediction, other: Prediction, truth: TargetValues, kind: Kind
) -> tuple[np.ndarray, np.ndarray, np.ndarray, Metric]:
    """Return truth, both predictions and the score, with one row per record (or token)."""
    if kind in {"regression", "field"}:
        assert own.mean is not None
        assert other.mean is not None
        kept = truth.censoring == EXACT
        values = truth.values[kept].astype(np.float64)
        if kind == "regression":
            return values, own.mean[kept], other.mean[kept], root_mean_square_error
        return values, own.mean[kept], other.mean[kept], _field_error
    assert own.probabilities is not None
    assert other.probabilities is not None
    if kind == "per-token":
        labels = np.concatenate([one for one in truth.values if one is not None])
        known = ~np.isnan(labels.astype(np.float64))
        return (
            labels[known],
            own.probabilities[known],
            other.probabilities[known],
            MULTICLASS[metric],
        )
    table = {"binary": BINARY, "multiclass": MULTICLASS, "multilabel": MULTILABEL}[kind]
    return truth.values, own.probabilities, other.probabilities, table[metric]


def _field_error(truth: np.ndarray, given: np.ndarray) -> float:
    return float(np.sqrt(np.nanmean(np.square(truth - given))))


def learned_sentence(selection: Selection, unit: str | None = None) -> str:
    """Return whether embeddings helped in cross-validation; empty if none were tried."""
    singles = [row for row in selection.rows if np.isfinite(row.score) and row.name != "blend"]
    learned = [row for row in singles if uses_embeddings(row.name)]
    classical = [row for row in singles if not uses_embeddings(row.name)]
    if not learned or not classical:
        return ""
    with_them, without = (min(rows, key=lambda row: row.score) for rows in (learned, classical))
    told = f" {unit}" if selection.metric == "RMSE" and unit else ""
    figures = (
        f"{selection.metric} {with_them.score:.3g}{told} ({with_them.name}) against "
        f"{without.score:.3g}{told} ({without.name})"
    )
    gain = without.score - with_them.score
    noise = np.nanmax([with_them.standard_error, without.standard_error, 0.0])
    if gain > noise:
        return f"Embeddings helped in cross-validation: {figures}."
    if gain > 0:
        return f"Embeddings made no clear difference in cross-validation: {figures}."
    return f"Embeddings did not help in cross-validation: {figures}."


def coverage_note(measured: float, lower: float, upper: float, confidence: float) -> str:
    """Return what the measured coverage means; never empty."""
    if not np.isfinite(measured):
        return "Coverage could not be measured: no exact held-out values."
    told = f"{confidence:.0%} intervals held {measured:.1%} of the held-out values"
    if lower <= confidence <= upper or abs(measured - confidence) <= 0.02:
        return f"{told}, as promised within sampling error ({lower:.1%} to {upper:.1%})."
    if measured < confidence:
        return (
            f"{told}, fewer than promised ({lower:.1%} to {upper:.1%}): the held-out rows differ "
            "from the training rows. Trust intervals less for records out of domain."
        )
    return f"{told}, more than promised ({lower:.1%} to {upper:.1%}): they are wider than needed."

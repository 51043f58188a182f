"""Scores and coverage of calibrated answers for records that were held out."""

from typing import Any

import numpy as np
from scipy.stats import binomtest

from kagaku.data.records import Records, TargetValues
from kagaku.data.schema import Target
from kagaku.science_tasks.choosing import finite
from kagaku.science_tasks.labels import labelled_input
from kagaku.science_tasks.metrics import Score, score_intervals, score_prediction, score_sets
from kagaku.science_tasks.prediction import Prediction
from kagaku.science_tasks.property import TargetPrediction
from kagaku.science_tasks.verdicts import coverage_note


def measured_part(answers: TargetPrediction, values: TargetValues, target: Target) -> Prediction:
    """Return the predictions of the records (or of their tokens) that have a measured value."""
    present, prediction = values.present(), answers.prediction
    if target.kind != "per-token":
        return prediction.subset(np.flatnonzero(present))
    assert answers.token_counts is not None
    return prediction.subset(np.flatnonzero(np.repeat(present, answers.token_counts)))


def scores_of(
    answers: TargetPrediction, records: Records, target: Target, seed: int
) -> list[Score]:
    """Return the metrics of answers for all of some records, where they were measured."""
    values = records.targets[target.name]
    return score_prediction(
        measured_part(answers, values, target),
        values.subset(np.flatnonzero(values.present())),
        target.kind,
        unit=target.unit,
        latitudes=latitudes_of(records, target),
        seed=seed,
    )


def coverage_of(
    predicted: TargetPrediction, values: TargetValues, target: Target, confidence: float, seed: int
) -> dict[str, Any]:
    """Return how often intervals or sets held the truth, and how wide they were."""
    kept = np.flatnonzero(values.present())
    truth = values.subset(kept)
    if target.kind in {"regression", "field"}:
        assert predicted.lower is not None
        assert predicted.upper is not None
        scores = score_intervals(
            predicted.lower[kept], predicted.upper[kept], truth, unit=target.unit, seed=seed
        )
    elif target.kind == "multilabel":
        return _label_coverage(predicted, values, confidence)
    elif target.kind == "per-token":
        assert predicted.sets is not None
        assert predicted.token_counts is not None
        rows = np.flatnonzero(np.repeat(values.present(), predicted.token_counts))
        labels = np.concatenate([*truth.values, np.zeros(0)]).astype(np.float64)
        flat = TargetValues(labels, np.zeros(len(labels), dtype=np.int64))
        scores = score_sets(predicted.sets[rows], flat, seed=seed)
    else:
        assert predicted.sets is not None
        scores = score_sets(predicted.sets[kept], truth, seed=seed)
    held, width = scores
    lower, upper = held.low, held.high
    if target.kind not in {"field", "per-token"}:  # whose cells are not independent
        lower, upper = share_interval(held.value, held.n_records)
    return {
        "confidence": confidence,
        "measured": finite(held.value),
        "lower": finite(lower),
        "upper": finite(upper),
        "mean_width": finite(width.value),
        "note": coverage_note(held.value, lower, upper, confidence),
    }


def share_interval(share: float, n_rows: int) -> tuple[float, float]:
    """Return the 95% Wilson interval of a share of independent rows.

    Unlike resampling it does not shrink to nothing where every row was held, or none.
    """
    if not n_rows or not np.isfinite(share):
        return float("nan"), float("nan")
    found = binomtest(round(share * n_rows), n_rows).proportion_ci(method="wilson")
    return float(found.low), float(found.high)


def _label_coverage(
    predicted: TargetPrediction, values: TargetValues, confidence: float
) -> dict[str, Any]:
    """Return how often a label that is present is among those that may be present."""
    assert predicted.sets is not None
    positive = values.values == 1
    n_positive = int(positive.sum())
    share = float(predicted.sets[positive].mean()) if n_positive else float("nan")
    lower, upper = share_interval(share, n_positive)
    return {
        "confidence": confidence,
        "measured": finite(share),
        "lower": finite(lower),
        "upper": finite(upper),
        "mean_width": finite(float(predicted.sets.sum(axis=1).mean())),
        "note": coverage_note(share, lower, upper, confidence),
    }


def latitudes_of(held_out: Records, target: Target) -> np.ndarray | None:
    """Return the latitudes of a field target's rows, in degrees north; None for other kinds."""
    if target.kind != "field":
        return None
    name = labelled_input(target, held_out.schema)
    assert name is not None
    fields = [one for one in held_out.inputs[name] if one is not None]
    latitudes: np.ndarray = fields[0].latitudes
    return latitudes

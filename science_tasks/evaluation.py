"""How a fitted property model does on held-out records, beside its baselines, in plain values."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.stats import binomtest

from kagaku.data.records import Records, TargetValues
from kagaku.data.schema import Target
from kagaku.science_tasks.choosing import candidate_rows, choosing, chosen_reason, finite, named
from kagaku.science_tasks.fitting import PropertyFit, TargetFit
from kagaku.science_tasks.labels import labelled_input
from kagaku.science_tasks.metrics import (
    SMALLER_IS_BETTER,
    Score,
    score_intervals,
    score_prediction,
    score_sets,
)
from kagaku.science_tasks.prediction import Prediction
from kagaku.science_tasks.property import TargetPrediction
from kagaku.science_tasks.verdicts import Difference, compare, coverage_note, learned_sentence

LEADING_METRIC = {
    "regression": "RMSE",
    "field": "RMSE",
    "binary": "ROC-AUC",
    "multiclass": "accuracy",
    "multilabel": "macro ROC-AUC",
    "per-token": "accuracy",
}
"""The metric that the verdict of each kind is about."""


@dataclass
class Evaluation:
    """Held-out results."""

    targets: dict[str, dict[str, Any]]
    """By target name, what metrics.json holds about it."""

    predictions: dict[str, TargetPrediction]
    """By target name, the calibrated predictions of the held-out records."""


def evaluate(fit: PropertyFit, test_index: np.ndarray, *, seed: int = 0) -> Evaluation:
    """Return the scores of the model and of its baselines on held-out records.

    Args:
        fit: What was fitted, with all records.
        test_index: The held-out records.
        seed: Fixes the resampling behind the intervals.
    """
    held_out = fit.records.subset(test_index)
    predictions = fit.model.predict(held_out)
    targets = {
        name: _evaluate_target(one, held_out, test_index, predictions[name], seed)
        for name, one in fit.targets.items()
    }
    return Evaluation(targets, predictions)


def _evaluate_target(
    fit: TargetFit,
    held_out: Records,
    test_index: np.ndarray,
    predicted: TargetPrediction,
    seed: int,
) -> dict[str, Any]:
    target = fit.target
    values = held_out.targets[target.name]
    kept = np.flatnonzero(values.present())
    truth = values.subset(kept)
    latitudes = _latitudes(held_out, target)
    own = _measured_part(predicted.prediction, predicted, values, target)
    others = {name: one.predict(test_index[kept]) for name, one in fit.baselines.items()}

    def scores(given: Prediction) -> list[Score]:
        return score_prediction(
            given, truth, target.kind, unit=target.unit, latitudes=latitudes, seed=seed
        )

    metric = LEADING_METRIC[target.kind]
    own_scores = _as_json(scores(own))
    baselines = [{"name": name, "test": _as_json(scores(one))} for name, one in others.items()]
    difference = compare(metric, own, others, own_scores, baselines, truth, target, seed)
    coverage = _coverage(predicted, values, target, fit.model.calibration.confidence, seed)
    return {
        "kind": target.kind,
        "unit": target.unit,
        "classes": list(target.classes),
        "n_train": fit.n_train,
        "n_test": len(kept),
        "n_censored": int((values.censoring != 0).sum()),
        "chosen": named(fit.selection.members),
        "chosen_reason": chosen_reason(fit.selection),
        "metric": metric,
        "lower_is_better": metric in SMALLER_IS_BETTER,
        "selection_metric": fit.selection.metric,
        "candidates": candidate_rows(fit.selection, fit.skipped),
        "choosing": choosing(fit.selection, target.unit),
        "test": own_scores,
        "baselines": baselines,
        "versus_best_baseline": _difference_json(difference),
        "learned": {"sentence": learned_sentence(fit.selection, target.unit)},
        "coverage": coverage,
        "in_domain_share": float(predicted.in_domain.mean()) if len(test_index) else None,
    }


def _measured_part(
    prediction: Prediction, predicted: TargetPrediction, values: TargetValues, target: Target
) -> Prediction:
    """Return the predictions of the records (or of their tokens) that have a measured value."""
    present = values.present()
    if target.kind != "per-token":
        return prediction.subset(np.flatnonzero(present))
    assert predicted.token_counts is not None
    return prediction.subset(np.flatnonzero(np.repeat(present, predicted.token_counts)))


def _coverage(
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


def _latitudes(held_out: Records, target: Target) -> np.ndarray | None:
    if target.kind != "field":
        return None
    name = labelled_input(target, held_out.schema)
    assert name is not None
    fields = [one for one in held_out.inputs[name] if one is not None]
    latitudes: np.ndarray = fields[0].latitudes
    return latitudes


def _as_json(scores: Sequence[Score]) -> dict[str, dict[str, Any]]:
    return {
        one.name: {
            "value": finite(one.value),
            "lower": finite(one.low),
            "upper": finite(one.high),
        }
        for one in scores
    }


def _difference_json(difference: Difference | None) -> dict[str, Any]:
    if difference is None:
        return {
            "baseline": None,
            "metric": None,
            "difference": None,
            "lower": None,
            "upper": None,
            "verdict": "no better",
            "sentence": "Too few held-out rows to compare with the baselines.",
        }
    return asdict(difference)

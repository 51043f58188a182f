"""How a fitted property model does on held-out records, beside its baselines, in plain values."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from kagaku.data.records import Records
from kagaku.science_tasks.choosing import candidate_rows, choosing, chosen_reason, finite, named
from kagaku.science_tasks.cliff_scores import cliff_scores
from kagaku.science_tasks.fitting import PropertyFit
from kagaku.science_tasks.held_out_scores import coverage_of, latitudes_of, measured_part
from kagaku.science_tasks.metrics import (
    SMALLER_IS_BETTER,
    Score,
    score_prediction,
)
from kagaku.science_tasks.nested_evaluation import nested_results
from kagaku.science_tasks.prediction import Prediction
from kagaku.science_tasks.property import TargetPrediction
from kagaku.science_tasks.target_fitting import TargetFit
from kagaku.science_tasks.verdicts import Difference, compare, learned_sentence

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
        name: {
            **_evaluate_target(one, held_out, test_index, predictions[name], seed),
            "cliffs": cliff_scores(one.target, fit.records, test_index, predictions[name]),
            "nested": nested_results(fit, one.target, seed),
        }
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
    latitudes = latitudes_of(held_out, target)
    own = measured_part(predicted, values, target)
    others = {name: one.predict(test_index[kept]) for name, one in fit.baselines.items()}

    def scores(given: Prediction) -> list[Score]:
        return score_prediction(
            given, truth, target.kind, unit=target.unit, latitudes=latitudes, seed=seed
        )

    metric = LEADING_METRIC[target.kind]
    own_scores = _as_json(scores(own))
    baselines = [{"name": name, "test": _as_json(scores(one))} for name, one in others.items()]
    difference = compare(metric, own, others, own_scores, baselines, truth, target, seed)
    coverage = coverage_of(predicted, values, target, fit.model.calibration.confidence, seed)
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

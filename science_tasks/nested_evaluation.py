"""What nested cross-validation found about one target, in plain values and a sentence."""

from typing import Any

import numpy as np

from kagaku.data.records import Records
from kagaku.data.schema import Target
from kagaku.science_tasks.candidate_scores import Scorer, standard_error
from kagaku.science_tasks.candidates import row_weights
from kagaku.science_tasks.choosing import finite, named, own_score
from kagaku.science_tasks.fitting import PropertyFit
from kagaku.science_tasks.held_out_scores import coverage_of, measured_part, scores_of
from kagaku.science_tasks.metrics import Score
from kagaku.science_tasks.nested import OuterFold, joined_answers
from kagaku.science_tasks.property import TargetPrediction
from kagaku.science_tasks.selection import Selection


def nested_results(fit: PropertyFit, target: Target, seed: int) -> dict[str, Any] | None:
    """Return the nested scores of a target; None where they were not asked for.

    Args:
        fit: What was fitted, with its outer folds.
        target: Which target.
        seed: Fixes the resampling behind the intervals.
    """
    if not fit.nested:
        return None
    one = fit.targets[target.name]
    answers = joined_answers(fit.nested, target.name)
    index = np.concatenate([fold.index for fold in fit.nested])
    some = fit.records.subset(index)
    pooled = scores_of(answers, some, target, seed)
    by_fold = [
        scores_of(fold.answers[target.name], fit.records.subset(fold.index), target, seed)
        for fold in fit.nested
    ]
    own = _selection_scores(fit, target)
    confidence = one.model.calibration.confidence
    found = {
        "selection_metric": one.selection.metric,
        "score": finite(_selection_score(answers, fit.records, index, target)),
        "standard_error": finite(standard_error(own)),
        "scores": {score.name: _with_error(score, by_fold) for score in pooled},
        "coverage": coverage_of(answers, some.targets[target.name], target, confidence, seed),
        "n_alike": sum(_is_alike(fold, target, one.selection) for fold in fit.nested),
        "folds": [
            {
                "chosen": named(fold.chosen[target.name]),
                "n_train": fold.n_train,
                "n_test": len(fold.index),
                "score": finite(score),
                "seconds": fold.seconds,
            }
            for fold, score in zip(fit.nested, own, strict=True)
        ],
    }
    return {**found, "sentence": _sentence(found, one.selection, target)}


def _is_alike(fold: OuterFold, target: Target, selection: Selection) -> bool:
    return set(fold.chosen[target.name]) == set(selection.members)


def _selection_scores(fit: PropertyFit, target: Target) -> list[float]:
    """Return the score that candidates are chosen by, of each outer fold."""
    return [
        _selection_score(fold.answers[target.name], fit.records, fold.index, target)
        for fold in fit.nested
    ]


def _selection_score(
    answers: TargetPrediction, records: Records, index: np.ndarray, target: Target
) -> float:
    """Return RMSE or log loss of answers for the records at ``index``, as in the selection."""
    values = records.targets[target.name]
    weights = row_weights(records, target) if target.kind == "field" else None
    part = measured_part(answers, values.subset(index), target)
    kept = index[values.subset(index).present()]
    return Scorer(values, target.kind, weights).score(part, kept)


def _with_error(score: Score, by_fold: list[list[Score]]) -> dict[str, float | None]:
    """Return a pooled score with its interval and the standard error over folds."""
    values = [one.value for scores in by_fold for one in scores if one.name == score.name]
    return {
        "value": finite(score.value),
        "lower": finite(score.low),
        "upper": finite(score.high),
        "standard_error": finite(standard_error(values)),
    }


def _sentence(found: dict[str, Any], selection: Selection, target: Target) -> str:
    """Return what the figures mean."""
    unit = f" {target.unit}" if selection.metric == "RMSE" and target.unit else ""
    n_folds = len(found["folds"])
    told = (
        f"Nested cross-validation repeated the whole fit in {n_folds} folds, so that each training "
        f"row was predicted by a model whose choosing and calibrating never saw it: "
        f"{selection.metric} {_digits(found['score'])} ± {_digits(found['standard_error'])}{unit}, "
        f"where the winner's own cross-validated {selection.metric} is "
        f"{_digits(own_score(selection))}."
    )
    coverage = found["coverage"]
    if coverage["measured"] is not None:
        what = "intervals" if target.kind in {"regression", "field"} else "sets"
        told += (
            f" The {coverage['confidence']:.0%} {what} held {coverage['measured']:.1%} of the "
            f"values."
        )
    return f"{told} {found['n_alike']} of {n_folds} folds chose the same as this run."


def _digits(value: float | None) -> str:
    return "unknown" if value is None or not np.isfinite(value) else f"{value:.3g}"

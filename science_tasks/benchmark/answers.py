"""Predictions of records as answers: a frame with one row per test item."""

from collections.abc import Callable

import numpy as np
import pandas as pd

from kagaku.data import area_weights
from kagaku.data.records import EXACT
from kagaku.data.schema import Kind
from kagaku.science_tasks.benchmark.cases import PropertyCase
from kagaku.science_tasks.benchmark.measures import (
    ASKED,
    CHANCE,
    GIVEN,
    HIGH,
    HITS,
    LOW,
    SQUARED_ERROR,
    TRUE_LABEL,
    TRUTH,
)
from kagaku.science_tasks.prediction import Prediction


def answers_of(
    case: PropertyCase,
    prediction: Prediction,
    *,
    lower: np.ndarray | None = None,
    upper: np.ndarray | None = None,
    in_domain: np.ndarray | None = None,
) -> pd.DataFrame:
    """Return the answers to a case.

    Args:
        case: Whose test records were predicted.
        prediction: Of the test records, in order.
        lower: Lower ends of intervals, of regression targets.
        upper: Upper ends.
        in_domain: Whether each record is like the training records.
    """
    frame = _BY_KIND[case.target.kind](case, prediction)
    if case.target.kind == "regression" and lower is not None and upper is not None:
        frame[LOW], frame[HIGH] = lower, upper
    if in_domain is not None:
        frame["in_domain"] = in_domain
    for name, column in (case.extra or {}).items():
        frame[name] = column[case.rows.test]
    return frame


def _numbers(case: PropertyCase, prediction: Prediction) -> pd.DataFrame:
    assert prediction.mean is not None
    measured = case.records.targets[case.target.name].subset(case.rows.test)
    truth = np.where(measured.censoring == EXACT, measured.values.astype(np.float64), np.nan)
    return pd.DataFrame({TRUTH: truth, GIVEN: prediction.mean.astype(np.float64)})


def _classes(case: PropertyCase, prediction: Prediction) -> pd.DataFrame:
    assert prediction.probabilities is not None
    truth = case.records.targets[case.target.name].values[case.rows.test]
    columns = {f"{CHANCE}{i}": one for i, one in enumerate(prediction.probabilities.T)}
    return pd.DataFrame({TRUTH: truth, **columns})


def _labels(case: PropertyCase, prediction: Prediction) -> pd.DataFrame:
    assert prediction.probabilities is not None
    truth = case.records.targets[case.target.name].values[case.rows.test]
    columns = {f"{TRUE_LABEL}{i}": one for i, one in enumerate(truth.T)}
    columns |= {f"{CHANCE}{i}": one for i, one in enumerate(prediction.probabilities.T)}
    return pd.DataFrame(columns)


def _tokens(case: PropertyCase, prediction: Prediction) -> pd.DataFrame:
    assert prediction.probabilities is not None
    labels = case.records.targets[case.target.name].values[case.rows.test]
    counts = np.array([0 if one is None else len(one) for one in labels])
    given = np.split(prediction.probabilities.argmax(axis=1), np.cumsum(counts)[:-1])
    right = [
        0 if truth is None else int((truth == guess).sum())
        for truth, guess in zip(labels, given, strict=True)
    ]
    asked = [0 if one is None else int((~np.isnan(one.astype(np.float64))).sum()) for one in labels]
    return pd.DataFrame({HITS: right, ASKED: asked})


def _fields(case: PropertyCase, prediction: Prediction) -> pd.DataFrame:
    assert prediction.mean is not None
    truth = case.records.targets[case.target.name].values[case.rows.test].astype(np.float64)
    squared = np.square(truth - prediction.mean)
    known = ~np.isnan(squared)
    (grid, *_) = [one.name for one in case.records.schema.inputs if one.modality == "climate"]
    field = next(one for one in case.records.inputs[grid] if one is not None)
    weights = np.where(known, area_weights(field.latitudes)[None, :, None], 0.0)
    total = (weights * np.where(known, squared, 0.0)).sum(axis=(1, 2))
    return pd.DataFrame({SQUARED_ERROR: total / weights.sum(axis=(1, 2))})


_BY_KIND: dict[Kind, Callable[[PropertyCase, Prediction], pd.DataFrame]] = {
    "regression": _numbers,
    "binary": _classes,
    "multiclass": _classes,
    "multilabel": _labels,
    "per-token": _tokens,
    "field": _fields,
}

"""Predictions as a table: one row per record, in the order of the input."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from kagaku.data import Target
from kagaku.science_tasks.property import TargetPrediction

SET_SEPARATOR, LABEL_SEPARATOR = "|", ";"
"""Between the members of a prediction set; between the labels of a multilabel answer."""


def predictions_frame(
    targets: Sequence[Target], predictions: Mapping[str, TargetPrediction], *, abstain: bool = False
) -> pd.DataFrame:
    """Return the columns of every target but fields.

    Regression: ``logS``, ``logS_lower``, ``logS_upper``, ``logS_in_domain``. Classes: the label,
    ``_set`` (all labels that the confidence level cannot rule out), ``_p_<class>``, ``_in_domain``.

    Args:
        targets: What was predicted.
        predictions: By target name.
        abstain: Leave the answer empty for records unlike the training data, and for classes
            where the set does not settle on one label.
    """
    columns: dict[str, Any] = {}
    for target in targets:
        if target.kind != "field":
            columns |= target_columns(target, predictions[target.name], abstain=abstain)
    return pd.DataFrame(columns)


def target_columns(
    target: Target, predicted: TargetPrediction, *, abstain: bool = False
) -> dict[str, Any]:
    """Return the columns of one target, by name."""
    if target.kind == "regression":
        columns = _numbers(target, predicted)
        unsettled = ~predicted.in_domain
    elif target.kind == "per-token":
        columns = _token_labels(target, predicted)
        unsettled = ~predicted.in_domain
    else:
        columns, unsettled = _labels(target, predicted)
    if abstain:
        columns[f"{target.name}_abstained"] = unsettled
        empty = np.nan if target.kind == "regression" else None
        for name in (target.name, f"{target.name}_lower", f"{target.name}_upper"):
            if name in columns:
                columns[name] = pd.Series(columns[name]).mask(unsettled, empty)
    columns[f"{target.name}_in_domain"] = predicted.in_domain
    return columns


def _numbers(target: Target, predicted: TargetPrediction) -> dict[str, Any]:
    return {
        target.name: predicted.prediction.mean,
        f"{target.name}_lower": predicted.lower,
        f"{target.name}_upper": predicted.upper,
    }


def _labels(target: Target, predicted: TargetPrediction) -> tuple[dict[str, Any], np.ndarray]:
    """Return the columns of a class target, and which records have no single settled answer."""
    probabilities, sets = predicted.prediction.probabilities, predicted.sets
    assert probabilities is not None
    assert sets is not None
    names = np.array(target.classes, dtype=object)
    if target.kind == "multilabel":
        answers = [LABEL_SEPARATOR.join(names[row >= 0.5]) for row in probabilities]
        unsettled = ~predicted.in_domain
    else:
        answers = list(names[probabilities.argmax(axis=1)])
        unsettled = ~predicted.in_domain | (sets.sum(axis=1) != 1)
    columns: dict[str, Any] = {
        target.name: answers,
        f"{target.name}_set": [SET_SEPARATOR.join(names[row]) for row in sets],
    }
    for index, name in enumerate(target.classes):
        columns[f"{target.name}_p_{name}"] = probabilities[:, index]
    return columns, unsettled


def _token_labels(target: Target, predicted: TargetPrediction) -> dict[str, Any]:
    probabilities, counts = predicted.prediction.probabilities, predicted.token_counts
    assert probabilities is not None
    assert counts is not None
    names = np.array(target.classes, dtype=object)
    best, confidence = names[probabilities.argmax(axis=1)], probabilities.max(axis=1)
    ends = np.cumsum(counts)
    spans = [slice(end - count, end) for end, count in zip(ends, counts, strict=True)]
    return {
        target.name: ["".join(best[span]) for span in spans],
        f"{target.name}_confidence": [
            float(confidence[span].mean()) if span.stop > span.start else np.nan for span in spans
        ],
    }

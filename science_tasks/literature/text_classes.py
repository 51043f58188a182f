"""What classifiers of texts share: classes of a case, folds with all of them, and their score."""

import warnings
from typing import Any, Literal

import numpy as np
from jaxtyping import Float, Int
from sklearn.metrics import accuracy_score, f1_score
from sklearn.model_selection import StratifiedKFold

from kagaku.science_tasks.benchmark.cases import PropertyCase

FOLDS = 3
"""Folds of the training rows in which terms and penalty are compared."""

Scoring = Literal["macro F1", "accuracy"]
"""What folds compare by."""


def measured_classes(
    case: PropertyCase,
) -> tuple[Int[np.ndarray, " learnt"], Int[np.ndarray, " learnt"]]:
    """Return the rows to learn from whose class is known, and their classes."""
    learnt = case.measured_rows()
    return learnt, case.measured.values[learnt].astype(np.int64)


def all_classes(model: Any, features: Any, n_classes: int) -> Float[np.ndarray, "text class"]:
    """Return what a fitted classifier says of every class, 0 for those that it never saw."""
    chances = np.zeros((features.shape[0], n_classes))
    chances[:, model.classes_] = model.predict_proba(features)
    return chances


def stratified_sides(
    classes: Int[np.ndarray, " text"], seed: int
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return the rows to fit to and those held out in each of at most `FOLDS` folds."""
    counts = np.bincount(classes)
    n_folds = int(np.clip(counts[counts > 0].min(), 2, FOLDS))
    with warnings.catch_warnings():
        # A class of a single text cannot stand in every fold; the split is as good as it gets.
        warnings.filterwarnings("ignore", message="The least populated class")
        folds = StratifiedKFold(n_folds, shuffle=True, random_state=seed)
        return list(folds.split(np.zeros(len(classes)), classes))


def class_score(scoring: Scoring, truth: np.ndarray, given: np.ndarray) -> float:
    """Return the score of guessed classes."""
    if scoring == "accuracy":
        return float(accuracy_score(truth, given))
    return float(f1_score(truth, given, average="macro", zero_division=0.0))

"""Logistic regressions as plain arrays: one row of weights and an intercept for each class seen."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from scipy import sparse
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression

from kagaku.science_tasks.class_labels import prior, spread_classes


def shares_alone(
    classes: Int[np.ndarray, " known"], n_classes: int, n_columns: int
) -> dict[str, Any]:
    """Return a problem that answers with the share of each class, where nothing can be fitted."""
    return {
        "seen": np.arange(n_classes),
        "weights": np.zeros((n_classes, n_columns)),
        "intercepts": np.log(prior(classes, n_classes)),
        "n_classes": n_classes,
    }


def as_problem(
    model: LogisticRegression, seen: Int[np.ndarray, " seen"], n_classes: int
) -> dict[str, Any]:
    """Return a fitted model as a problem.

    Args:
        model: Fitted to the place in ``seen`` of each record's class.
        seen: The classes that stand in training, in order.
        n_classes: How many there are.
    """
    weights, intercepts = model.coef_, model.intercept_
    if len(seen) == 2:  # scikit-learn keeps the second class alone
        weights = np.concatenate([np.zeros_like(weights), weights])
        intercepts = np.concatenate([np.zeros(1), intercepts])
    return {"seen": seen, "weights": weights, "intercepts": intercepts, "n_classes": n_classes}


def probabilities_of(
    rows: Float[np.ndarray, "record column"] | sparse.csr_matrix, problem: Mapping[str, Any]
) -> Float[np.ndarray, "record choice"]:
    """Return the probability of each class, those never seen included."""
    scores = rows @ problem["weights"].T + problem["intercepts"]
    return spread_classes(softmax(scores, axis=1), problem["seen"], problem["n_classes"])

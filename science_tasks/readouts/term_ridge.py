"""Ridge regression of numbers on the sparse weighted terms of texts."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy import sparse
from sklearn.linear_model import Ridge
from sklearn.model_selection import KFold

from kagaku.science_tasks.censoring import resolve_bounds

PENALTIES = np.logspace(-2, 2, 13)
"""Penalties that are tried; the terms of a text have a squared length of 2 at most."""

TUNING_ROWS = 2_000
"""Most texts on which the penalty is chosen, by leaving each out in turn in closed form."""

FOLDS = 3
"""Of more texts than that, those that a bound is judged by are predicted in so many folds."""


@dataclass(frozen=True)
class TermRidge:
    """A fitted regression."""

    weights: Float[np.ndarray, " term"]
    """Of each kept term, float32, in the target's unit."""

    intercept: float
    """What is predicted of a text without a known term, in the target's unit."""

    noise: float
    """Root mean square of errors on texts that were left out, in the target's unit."""

    def predict(
        self, rows: sparse.csr_matrix
    ) -> tuple[Float[np.ndarray, " text"], Float[np.ndarray, " text"]]:
        """Return mean and spread for rows of weighted terms."""
        mean = self.intercept + np.asarray(rows @ self.weights.astype(np.float64)).ravel()
        return mean, np.full(rows.shape[0], self.noise)

    def state(self) -> dict[str, Any]:
        """Return what was learnt."""
        return {"weights": self.weights, "intercept": self.intercept, "noise": self.noise}


def fit_term_ridge(
    rows: sparse.csr_matrix,
    values: Float[np.ndarray, " text"],
    censoring: Int[np.ndarray, " text"],
    seed: int,
) -> TermRidge:
    """Return a ridge regression whose penalty minimises the leave-one-out error.

    Args:
        rows: Weighted terms, sparse (text, term).
        values: Measured values, or bounds, in the target's unit.
        censoring: Which are bounds; they are replaced by what to expect beyond them.
        seed: Fixes on which texts of many the penalty is chosen.
    """

    def out_of_sample(given: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if len(given) <= TUNING_ROWS:
            _, errors = best_penalty(rows, given - given.mean())
            return given - errors, np.full(len(given), _rms(errors, given))
        mean = np.zeros(len(given))
        for train, held in KFold(FOLDS, shuffle=True, random_state=seed).split(given):
            one = _fit(rows[train], given[train], seed)
            mean[held], spread = one.predict(rows[held])
        return mean, np.full(len(given), float(spread[0]))

    return _fit(rows, resolve_bounds(values, censoring, out_of_sample), seed)


def best_penalty(
    rows: sparse.csr_matrix, residual: Float[np.ndarray, " text"]
) -> tuple[float, Float[np.ndarray, " text"]]:
    """Return the penalty of the least leave-one-out error, and these errors.

    Args:
        rows: Weighted terms of few texts, sparse (text, term).
        residual: Values less their mean.
    """
    gram = np.asarray((rows @ rows.T).todense(), dtype=np.float64)
    strengths, vectors = (one.numpy() for one in torch.linalg.eigh(torch.from_numpy(gram)))
    rotated, squares = vectors.T @ residual, np.square(vectors)
    best, found, errors = np.inf, float(PENALTIES[0]), residual
    for penalty in PENALTIES:
        inverse = 1 / (np.maximum(strengths, 0.0) + penalty)
        left_out = (vectors @ (inverse * rotated)) / (squares @ inverse)
        if (error := float(np.square(left_out).mean())) < best:
            best, found, errors = error, float(penalty), left_out
    return found, errors


def _fit(rows: sparse.csr_matrix, values: np.ndarray, seed: int) -> TermRidge:
    intercept = float(values.mean())
    residual = values - intercept
    if not rows.shape[1]:
        nothing = np.zeros(0, dtype=np.float32)
        return TermRidge(nothing, intercept, _rms(residual, values))
    few = np.random.default_rng(seed).permutation(len(values))[:TUNING_ROWS]
    penalty, errors = best_penalty(rows[few], residual[few])
    model = Ridge(alpha=penalty, fit_intercept=False, solver="sparse_cg", tol=1e-5)
    weights = model.fit(rows.astype(np.float64), residual).coef_
    return TermRidge(
        # There are a hundred thousand terms: half the digits take half the room in a run.
        weights=np.ascontiguousarray(weights, dtype=np.float32),
        intercept=intercept,
        noise=_rms(errors, values),
    )


def _rms(errors: np.ndarray, values: np.ndarray) -> float:
    """Return the root mean square of errors, never nothing beside the values."""
    least = 1e-9 * (float(np.abs(values).max()) or 1.0)
    return max(float(np.sqrt(np.square(errors).mean())), least)

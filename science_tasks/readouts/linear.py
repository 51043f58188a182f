"""Ridge and logistic regression: fast, hard to fool, and the yardstick for the rest."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import StratifiedKFold

from kagaku.data.records import TargetValues
from kagaku.data.schema import Kind
from kagaku.science_tasks.censoring import resolve_bounds
from kagaku.science_tasks.class_labels import (
    join_problems,
    label_problems,
)
from kagaku.science_tasks.design_matrix import DesignMatrix
from kagaku.science_tasks.features import FeatureBlock
from kagaku.science_tasks.prediction import Prediction
from kagaku.science_tasks.readouts.logistic import as_problem, probabilities_of, shares_alone
from kagaku.science_tasks.readouts.readout import READOUTS, Readout

PENALTIES = np.logspace(-4, 4, 33)
"""Ridge penalties tried, relative to the mean squared singular value."""

STRENGTHS = (1e-3, 1e-2, 1e-1, 1.0)
"""Inverse penalties of the logistic regression tried."""

COMPONENTS = 512
"""Most principal directions kept by the ridge; they bound the size on disk."""

TUNING_ROWS = 2_000
"""Most rows on which the penalty of the logistic regression is chosen."""

LOGISTIC_COMPONENTS = 256
"""Most principal directions of the logistic regression, fewer with many classes; its cost grows
with the square of directions times classes."""


@dataclass
class Directions:
    """The principal directions of the training matrix."""

    centre: Float[np.ndarray, " column"]
    """Mean of each column."""

    axes: Float[np.ndarray, "column component"]
    """Orthonormal directions, the strongest first."""

    strengths: Float[np.ndarray, " component"]
    """Squared singular value of each direction."""

    def strongest(self, count: int) -> "Directions":
        """Return the first ``count`` directions."""
        return Directions(self.centre, self.axes[:, :count].copy(), self.strengths[:count].copy())

    def project(
        self, matrix: Float[np.ndarray, "record column"]
    ) -> tuple[Float[np.ndarray, "record component"], Float[np.ndarray, " record"]]:
        """Return coordinates along the directions, and the squared length outside of them."""
        centred = matrix.astype(np.float64) - self.centre
        along = centred @ self.axes
        outside = np.square(centred).sum(axis=1) - np.square(along).sum(axis=1)
        return along, np.maximum(outside, 0.0)


def principal_directions(matrix: Float[np.ndarray, "record column"]) -> Directions:
    """Return at most `COMPONENTS` principal directions, through the smaller Gram matrix."""
    centre = matrix.astype(np.float64).mean(axis=0) if matrix.size else np.zeros(matrix.shape[1])
    centred = matrix.astype(np.float64) - centre
    n_records, n_columns = centred.shape
    if min(n_records, n_columns) == 0:
        return Directions(centre, np.zeros((n_columns, 0)), np.zeros(0))
    wide = n_columns > n_records
    gram = centred @ centred.T if wide else centred.T @ centred
    # By torch: scipy's eigh with a subset of 812 rows took 0.7 s on two idle cores and 12 s on busy
    # ones, where its threads spin; torch's takes 0.14 s on both.
    every, axes_of_all = torch.linalg.eigh(torch.from_numpy(gram))
    strengths, vectors = every[-COMPONENTS:].numpy(), axes_of_all[:, -COMPONENTS:].numpy()
    real = strengths > 1e-9 * max(float(strengths[-1]), 1e-30)
    strengths, vectors = strengths[real][::-1], vectors[:, real][:, ::-1]
    axes = centred.T @ vectors / np.sqrt(strengths) if wide else vectors
    return Directions(centre, np.ascontiguousarray(axes), np.ascontiguousarray(strengths))


@READOUTS.register("linear")
class LinearReadout(Readout):
    """Ridge regression; logistic regression for classes.

    The ridge penalty minimises the leave-one-out error, which has a closed form. The spread is the
    leave-one-out error times the square root of one plus the leverage, so it grows for records
    unlike the training ones. The logistic penalty minimises the log loss in three folds.
    """

    name: ClassVar[str] = "linear"
    kinds: ClassVar[frozenset[Kind]] = frozenset(
        {"regression", "binary", "multiclass", "multilabel"}
    )

    def fit(
        self,
        blocks: Sequence[FeatureBlock],
        target: TargetValues,
        kind: Kind,
        n_classes: int,
        *,
        seed: int,
    ) -> None:
        """Fit; see `Readout.fit`."""
        self.kind = kind
        self.design = DesignMatrix()
        matrix = self.design.fit(blocks)
        self.directions = principal_directions(matrix)
        along, _ = self.directions.project(matrix)
        if kind == "regression":
            self._fit_ridge(along, target)
            return
        self.problems = []
        self.directions = self.directions.strongest(LOGISTIC_COMPONENTS // max(1, n_classes // 4))
        along = along[:, : len(self.directions.strengths)]
        for rows, classes, count in label_problems(target.values, kind, n_classes):
            self.problems.append(_fit_logistic(along[rows], classes, count, seed))

    def _fit_ridge(self, along: np.ndarray, target: TargetValues) -> None:
        def out_of_sample(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            left_out = self._solve(along, values)
            return left_out, np.full(len(values), self.noise)

        self._solve(along, resolve_bounds(target.values, target.censoring, out_of_sample))

    def _solve(self, along: np.ndarray, values: np.ndarray) -> np.ndarray:
        """Choose the penalty, keep the coefficients, and return leave-one-out predictions."""
        strengths = self.directions.strengths
        self.intercept = float(values.mean())
        residual = values - self.intercept
        if not len(strengths):
            self.penalty, self.coefficients = 1.0, np.zeros(0)
            self.noise = max(float(values.std()), 1e-9)
            return np.full(len(values), self.intercept)
        scale = float(strengths.mean())
        unit = along / np.sqrt(strengths)
        rotated, squares = unit.T @ residual, np.square(unit)
        best = np.inf
        for penalty in PENALTIES * scale:
            shrink = strengths / (strengths + penalty)
            leverage = squares @ shrink + 1 / len(values)
            errors = (residual - unit @ (shrink * rotated)) / np.maximum(1 - leverage, 1e-6)
            if (error := float(np.square(errors).mean())) < best:
                best, left_out, self.penalty = error, values - errors, float(penalty)
        self.coefficients = along.T @ residual / (strengths + self.penalty)
        self.noise = max(float(np.sqrt(best)), 1e-9 * max(1.0, float(np.abs(values).max())))
        return np.asarray(left_out)

    def predict(self, blocks: Sequence[FeatureBlock]) -> Prediction:
        """Return mean and spread, or probabilities; see `Readout.predict`."""
        along, outside = self.directions.project(self.design.transform(blocks))
        if self.kind == "regression":
            shrunk = np.square(along) / (self.directions.strengths + self.penalty)
            leverage = shrunk.sum(axis=1) + outside / self.penalty
            return Prediction(
                mean=self.intercept + along @ self.coefficients,
                spread=self.noise * np.sqrt(1 + leverage),
            )
        tables = [probabilities_of(along, one) for one in self.problems]
        return Prediction(probabilities=join_problems(tables, self.kind))

    def state(self) -> dict[str, Any]:
        """Return the fitted model."""
        state: dict[str, Any] = {
            "kind": self.kind,
            "design": self.design.state(),
            "centre": self.directions.centre,
            "axes": self.directions.axes,
            "strengths": self.directions.strengths,
        }
        if self.kind != "regression":
            return {**state, "problems": self.problems}
        return {
            **state,
            "intercept": self.intercept,
            "penalty": self.penalty,
            "noise": self.noise,
            "coefficients": self.coefficients,
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Restore what `state` gave."""
        self.kind = state["kind"]
        self.design = DesignMatrix()
        self.design.load_state(state["design"])
        self.directions = Directions(state["centre"], state["axes"], state["strengths"])
        if self.kind != "regression":
            self.problems = list(state["problems"])
            return
        self.intercept, self.penalty = state["intercept"], state["penalty"]
        self.noise, self.coefficients = state["noise"], state["coefficients"]


def _fit_logistic(
    along: np.ndarray, classes: np.ndarray, n_classes: int, seed: int
) -> dict[str, Any]:
    """Return one fitted logistic problem as plain arrays, one row of weights per class seen."""
    seen, codes = np.unique(classes, return_inverse=True)
    if len(seen) < 2 or not along.shape[1]:
        return shares_alone(classes, n_classes, along.shape[1])
    scale = max(float(np.sqrt(np.square(along).sum(axis=1).mean())), 1e-12)
    scaled = along / scale * np.sqrt(along.shape[1])
    model = _logistic(_best_strength(scaled, codes, seed), len(seen)).fit(scaled, codes)
    problem = as_problem(model, seen, n_classes)
    weights = problem["weights"] * (np.sqrt(along.shape[1]) / scale)
    return {**problem, "weights": np.ascontiguousarray(weights)}


def _best_strength(scaled: np.ndarray, codes: np.ndarray, seed: int) -> float:
    few = np.random.default_rng(seed).permutation(len(codes))[:TUNING_ROWS]
    scaled, codes = scaled[few], np.unique(codes[few], return_inverse=True)[1]
    smallest = int(np.bincount(codes).min())
    if smallest < 3:
        return 0.01
    folds = list(StratifiedKFold(3, shuffle=True, random_state=seed).split(scaled, codes))
    labels = np.unique(codes)

    def loss(strength: float) -> float:
        total = 0.0
        for train, test in folds:
            model = _logistic(strength, len(labels)).fit(scaled[train], codes[train])
            table = model.predict_proba(scaled[test])
            total += float(log_loss(codes[test], table, labels=labels)) * len(test)
        return total

    return min(STRENGTHS, key=loss)


def _logistic(strength: float, n_classes: int) -> LogisticRegression:
    # With few classes, Newton steps need few passes where L-BFGS needs hundreds; with many, their
    # matrix of directions times classes costs more than all those passes.
    if n_classes <= 3:
        return LogisticRegression(C=strength, solver="newton-cholesky", max_iter=100, tol=1e-4)
    return LogisticRegression(C=strength, solver="lbfgs", max_iter=2_000, tol=1e-3)

"""Gradient-boosted trees by LightGBM: strong on many rows and on mixed, unscaled columns."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import lightgbm
import numpy as np
from jaxtyping import Float
from sklearn.model_selection import KFold

from kagaku.data.records import TargetValues
from kagaku.data.schema import Kind
from kagaku.science_tasks.censoring import resolve_bounds
from kagaku.science_tasks.class_labels import (
    join_problems,
    label_problems,
    prior,
    spread_classes,
)
from kagaku.science_tasks.design_matrix import DesignMatrix
from kagaku.science_tasks.features import FeatureBlock
from kagaku.science_tasks.prediction import Prediction
from kagaku.science_tasks.readouts.readout import READOUTS, Readout

FEWEST_ROWS = 10
"""Below this there is nothing to split: the mean or the class shares are predicted."""

MOST_ROUNDS, PATIENCE, FOLDS = 2_000, 20, 3
"""Boosting stops when the held-out loss has not fallen for `PATIENCE` rounds; the final model runs
the median of the rounds that the folds needed."""

FEWEST_LEAVES, MOST_LEAVES, ROWS_PER_LEAF = 15, 63, 80
"""A tree has a leaf for every so many rows, within bounds: a fold and the whole, which is little
larger, get about the same trees."""

SMALL = 5_000_000
"""Cells below which one thread is used: on small data threads mostly wait for each other, and on a
busy machine thirty times as long."""


def _threads(matrix: np.ndarray) -> int:
    return 1 if matrix.size < SMALL else 2


def _parameters(objective: str, matrix: np.ndarray, seed: int) -> dict[str, Any]:
    n_rows, n_columns = matrix.shape
    # Shallow, strongly sampled trees: with some hundred rows and some thousand columns the
    # variance between fits is the larger part of the error.
    return {
        "objective": objective,
        "learning_rate": 0.08,
        "num_leaves": min(max(n_rows // ROWS_PER_LEAF, FEWEST_LEAVES), MOST_LEAVES),
        "min_data_in_leaf": max(3, min(20, n_rows // 100)),
        "feature_fraction": 0.3 if n_columns > 100 else 0.8,
        "bagging_fraction": 0.8,
        "bagging_freq": 1,
        "lambda_l2": 1.0,
        "max_bin": 63,
        "seed": seed,
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": _threads(matrix),
        "verbosity": -1,
    }


@READOUTS.register("trees")
class TreesReadout(Readout):
    """Gradient-boosted trees, stored in LightGBM's own text format.

    The number of rounds comes from three inner folds. Their held-out residuals also train a second,
    small model of the absolute error, which gives the spread. Censored values are replaced by
    their expectation under the held-out predictions, once.
    """

    name: ClassVar[str] = "trees"
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
        if kind == "regression":
            self.problems = [_fit_regression(matrix, target, seed)]
        else:
            self.problems = [
                _fit_classes(matrix[rows], classes, count, seed)
                for rows, classes, count in label_problems(target.values, kind, n_classes)
            ]
        self._load_boosters()

    def _load_boosters(self) -> None:
        # Predictions always come from the text, so that a stored model predicts the same bits.
        self._boosters = [
            {
                key: lightgbm.Booster(model_str=problem[key])
                for key in ("model", "error_model")
                if problem.get(key)
            }
            for problem in self.problems
        ]

    def predict(self, blocks: Sequence[FeatureBlock]) -> Prediction:
        """Return mean and spread, or probabilities; see `Readout.predict`."""
        matrix = self.design.transform(blocks)
        pairs = list(zip(self.problems, self._boosters, strict=True))
        if self.kind == "regression":
            (problem, boosters) = pairs[0]
            mean = np.full(len(matrix), problem["mean"])
            spread = np.full(len(matrix), problem["error"])
            if "model" in boosters and len(matrix):
                mean = mean + boosters["model"].predict(matrix, num_threads=_threads(matrix))
                raw = boosters["error_model"].predict(matrix, num_threads=_threads(matrix))
                spread = spread * np.clip(raw, 0.3, 3.0)
            return Prediction(mean=mean, spread=spread)
        tables = [_probabilities(matrix, problem, boosters) for problem, boosters in pairs]
        return Prediction(probabilities=join_problems(tables, self.kind))

    def state(self) -> dict[str, Any]:
        """Return the trees as LightGBM's text, and what surrounds them."""
        return {"kind": self.kind, "design": self.design.state(), "problems": self.problems}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Restore what `state` gave."""
        self.kind, self.problems = state["kind"], list(state["problems"])
        self.design = DesignMatrix()
        self.design.load_state(state["design"])
        self._load_boosters()


def _fit_regression(matrix: np.ndarray, target: TargetValues, seed: int) -> dict[str, Any]:
    measured = target.values.astype(np.float64)
    if len(measured) < FEWEST_ROWS or not matrix.shape[1]:
        return {"mean": float(measured.mean()), "error": max(float(measured.std()), 1e-9)}

    def out_of_sample(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        held_out, _ = _held_out(matrix, values, "regression", 1, seed)
        error = max(float(np.sqrt(np.square(held_out[:, 0] - values).mean())), 1e-9)
        return held_out[:, 0], np.full(len(values), error)

    values = resolve_bounds(measured, target.censoring, out_of_sample, rounds=1)
    mean = float(values.mean())
    centred = values - mean
    held_out, rounds = _held_out(matrix, centred, "regression", 1, seed)
    errors = np.abs(held_out[:, 0] - centred)
    scale = max(float(errors.mean()), 1e-12)
    # The mean absolute error of a Gaussian is sqrt(2 / pi) of its standard deviation.
    return {
        "mean": mean,
        "error": scale * float(np.sqrt(np.pi / 2)),
        "model": _train(matrix, centred, "regression", 1, rounds, seed).model_to_string(),
        "error_model": _train(matrix, errors / scale, "regression", 1, 30, seed).model_to_string(),
    }


def _fit_classes(
    matrix: np.ndarray, classes: np.ndarray, n_classes: int, seed: int
) -> dict[str, Any]:
    seen, codes = np.unique(classes, return_inverse=True)
    shared = {"seen": seen, "n_classes": n_classes, "prior": prior(classes, n_classes)}
    if len(seen) < 2 or len(codes) < FEWEST_ROWS or not matrix.shape[1]:
        return shared
    objective = "binary" if len(seen) == 2 else "multiclass"
    _, rounds = _held_out(matrix, codes, objective, len(seen), seed)
    booster = _train(matrix, codes, objective, len(seen), rounds, seed)
    return {**shared, "model": booster.model_to_string()}


def _probabilities(
    matrix: np.ndarray, problem: Mapping[str, Any], boosters: Mapping[str, lightgbm.Booster]
) -> Float[np.ndarray, "record choice"]:
    if "model" not in boosters or not len(matrix):
        return np.broadcast_to(problem["prior"], (len(matrix), problem["n_classes"])).copy()
    table = np.asarray(boosters["model"].predict(matrix, num_threads=_threads(matrix)))
    if table.ndim == 1:
        table = np.stack([1 - table, table], axis=1)
    return spread_classes(table, problem["seen"], problem["n_classes"])


def _train(
    matrix: np.ndarray, values: np.ndarray, objective: str, n_classes: int, rounds: int, seed: int
) -> lightgbm.Booster:
    parameters = _parameters(objective, matrix, seed)
    if objective == "multiclass":
        parameters["num_class"] = n_classes
    return lightgbm.train(
        parameters, _dataset(matrix, values, parameters), num_boost_round=max(rounds, 1)
    )


def _dataset(
    matrix: np.ndarray, values: np.ndarray, parameters: Mapping[str, Any]
) -> lightgbm.Dataset:
    return lightgbm.Dataset(matrix, values, params=dict(parameters), free_raw_data=False)


def _held_out(
    matrix: np.ndarray, values: np.ndarray, objective: str, n_classes: int, seed: int
) -> tuple[Float[np.ndarray, "record output"], int]:
    """Return held-out predictions of inner folds, and the number of rounds to run."""
    parameters = _parameters(objective, matrix, seed)
    if objective == "multiclass":
        parameters["num_class"] = n_classes
    held_out = np.zeros((len(values), n_classes if objective == "multiclass" else 1))
    rounds = []
    for train, test in KFold(FOLDS, shuffle=True, random_state=seed).split(matrix):
        fold = _dataset(matrix[train], values[train], parameters)
        booster = lightgbm.train(
            parameters,
            fold,
            num_boost_round=MOST_ROUNDS,
            valid_sets=[fold.create_valid(matrix[test], values[test], params=dict(parameters))],
            callbacks=[lightgbm.early_stopping(PATIENCE, verbose=False)],
        )
        rounds.append(booster.best_iteration)
        predicted = np.asarray(booster.predict(matrix[test], num_threads=_threads(matrix)))
        held_out[test] = predicted.reshape(len(test), -1)
    return held_out, int(np.median(rounds))

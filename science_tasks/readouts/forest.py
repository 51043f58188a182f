"""Random forests: fitted by scikit-learn, stored and evaluated as plain arrays of nodes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

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

LARGE = 1_000_000
"""Cells above which regression trees look at fewer columns per split."""

CHUNK = 512
"""Records that walk down the trees at a time."""


@dataclass(frozen=True)
class Trees:
    """The nodes of all trees, one tree after the other."""

    roots: np.ndarray
    """Index of the first node of each tree, integer (tree,)."""

    feature: np.ndarray
    """Column that each node asks about, integer (node,); -1 at a leaf."""

    threshold: np.ndarray
    """A record goes left where its value is at most this, float64 (node,)."""

    left: np.ndarray
    """Node on the left, integer (node,); a leaf points to itself."""

    right: np.ndarray
    """Node on the right, integer (node,); a leaf points to itself."""

    value: np.ndarray
    """Mean, or class shares, of the training records of each node, float64 (node, output)."""

    @classmethod
    def of(cls, estimators: Sequence[Any]) -> "Trees":
        """Return the nodes of fitted scikit-learn trees."""
        parts = [one.tree_ for one in estimators]
        counts = np.array([part.node_count for part in parts])
        roots = np.concatenate([[0], np.cumsum(counts)[:-1]]).astype(np.int64)
        offset = np.repeat(roots, counts)
        own = np.arange(int(counts.sum()))
        left = np.concatenate([part.children_left for part in parts])
        right = np.concatenate([part.children_right for part in parts])
        leaf = left < 0
        return cls(
            roots=roots,
            feature=np.where(leaf, -1, np.concatenate([p.feature for p in parts])).astype(np.int32),
            threshold=np.concatenate([part.threshold for part in parts]),
            left=np.where(leaf, own, left + offset).astype(np.int32),
            right=np.where(leaf, own, right + offset).astype(np.int32),
            value=np.concatenate([part.value[:, 0, :] for part in parts]),
        )

    def evaluate(
        self, matrix: Float[np.ndarray, "record column"]
    ) -> Float[np.ndarray, "record tree output"]:
        """Return the value of the leaf that each record reaches in each tree."""
        node = np.broadcast_to(self.roots, (len(matrix), len(self.roots))).copy()
        records = np.arange(len(matrix))[:, None]
        inner = self.feature[node] >= 0
        while inner.any():
            asked = matrix[records, np.maximum(self.feature[node], 0)]
            node = np.where(asked <= self.threshold[node], self.left[node], self.right[node])
            inner = self.feature[node] >= 0
        values: np.ndarray = self.value[node]
        return values

    def state(self) -> dict[str, Any]:
        """Return the arrays by name."""
        return dict(vars(self))


@READOUTS.register("forest")
class ForestReadout(Readout):
    """A random forest.

    The spread joins the disagreement of the trees with the out-of-bag error. Censored values are
    replaced by their expectation under the out-of-bag predictions, once.

    Args:
        n_trees: How many trees there are.
    """

    name: ClassVar[str] = "forest"
    kinds: ClassVar[frozenset[Kind]] = frozenset(
        {"regression", "binary", "multiclass", "multilabel"}
    )

    def __init__(self, n_trees: int = 200) -> None:
        assert n_trees > 0
        self.n_trees = n_trees

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
        self.kind, self.noise = kind, 1.0
        self.design = DesignMatrix()
        # A column of zeros gives scikit-learn something to look at when nothing varies.
        matrix = _at_least_one_column(self.design.fit(blocks))
        if kind == "regression":
            self._fit_regression(matrix, target, seed)
            return
        self.problems = [
            self._fit_classes(matrix[rows], classes, count, seed)
            for rows, classes, count in label_problems(target.values, kind, n_classes)
        ]

    def _fit_regression(self, matrix: np.ndarray, target: TargetValues, seed: int) -> None:
        # One third of the columns per split is Breiman's default for regression; on large tables a
        # tenth takes a quarter of the time and, on Lipophilicity, makes 3% more error.
        forest = RandomForestRegressor(
            self.n_trees,
            max_features=1 / 3 if matrix.size < LARGE else 0.1,
            oob_score=len(matrix) > 1,
            n_jobs=2,
            random_state=seed,
        )

        def out_of_sample(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            forest.fit(matrix, values)
            held_out = forest.oob_prediction_ if len(matrix) > 1 else values
            error = float(np.sqrt(np.square(held_out - values).mean()))
            self.noise = max(error, 1e-9 * max(1.0, float(np.abs(values).max())))
            return held_out, np.full(len(values), self.noise)

        out_of_sample(resolve_bounds(target.values, target.censoring, out_of_sample, rounds=1))
        self.problems = [{"trees": Trees.of(forest.estimators_), "seen": np.zeros(1), "count": 1}]

    def _fit_classes(
        self, matrix: np.ndarray, classes: np.ndarray, n_classes: int, seed: int
    ) -> dict[str, Any]:
        shared = {"count": n_classes, "prior": prior(classes, n_classes)}
        seen = np.unique(classes)
        if len(seen) < 2:
            return {**shared, "trees": None, "seen": seen}
        forest = RandomForestClassifier(
            self.n_trees, max_features="sqrt", n_jobs=2, random_state=seed
        )
        forest.fit(matrix, classes)
        return {**shared, "trees": Trees.of(forest.estimators_), "seen": seen}

    def predict(self, blocks: Sequence[FeatureBlock]) -> Prediction:
        """Return mean and spread, or probabilities; see `Readout.predict`."""
        matrix = _at_least_one_column(self.design.transform(blocks))
        if self.kind == "regression":
            leaves = [self.problems[0]["trees"].evaluate(part)[:, :, 0] for part in _chunks(matrix)]
            mean = np.concatenate([one.mean(axis=1) for one in leaves])
            disagreement = np.concatenate([one.std(axis=1) for one in leaves])
            # The trees' disagreement ranks records; half of the out-of-bag error is its floor.
            return Prediction(mean=mean, spread=np.hypot(disagreement, 0.5 * self.noise))
        tables = [_shares(matrix, problem) for problem in self.problems]
        return Prediction(probabilities=join_problems(tables, self.kind))

    def state(self) -> dict[str, Any]:
        """Return the nodes of all trees."""
        return {
            "kind": self.kind,
            "noise": self.noise,
            "n_trees": self.n_trees,
            "design": self.design.state(),
            "problems": [
                {**one, "trees": None if one["trees"] is None else one["trees"].state()}
                for one in self.problems
            ],
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Restore what `state` gave."""
        self.kind, self.noise, self.n_trees = state["kind"], state["noise"], state["n_trees"]
        self.design = DesignMatrix()
        self.design.load_state(state["design"])
        self.problems = [
            {**one, "trees": None if one["trees"] is None else Trees(**one["trees"])}
            for one in state["problems"]
        ]


def _shares(matrix: np.ndarray, problem: Mapping[str, Any]) -> Float[np.ndarray, "record choice"]:
    """Return the mean class shares, pulled a little to the prior so that none is exactly 0."""
    count, trees = problem["count"], problem["trees"]
    if trees is None:
        return np.broadcast_to(problem["prior"], (len(matrix), count)).copy()
    shares = np.concatenate([trees.evaluate(part).mean(axis=1) for part in _chunks(matrix)])
    n_trees = len(trees.roots)
    table = spread_classes(shares, problem["seen"], count)
    mixed: np.ndarray = (n_trees * table + problem["prior"]) / (n_trees + 1)
    return mixed


def _chunks(matrix: np.ndarray) -> list[np.ndarray]:
    return [matrix[i : i + CHUNK] for i in range(0, max(len(matrix), 1), CHUNK)]


def _at_least_one_column(matrix: np.ndarray) -> np.ndarray:
    return matrix if matrix.shape[1] else np.zeros((len(matrix), 1), dtype=np.float32)

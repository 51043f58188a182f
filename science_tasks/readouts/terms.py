"""Logistic or ridge regression on all weighted terms of texts: the plain models of text."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Int
from scipy import sparse
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import StratifiedKFold

from kagaku.data.records import TargetValues
from kagaku.data.schema import Kind
from kagaku.science_tasks.class_labels import (
    join_problems,
    label_problems,
)
from kagaku.science_tasks.features import FeatureBlock
from kagaku.science_tasks.prediction import Prediction
from kagaku.science_tasks.readouts.logistic import as_problem, probabilities_of, shares_alone
from kagaku.science_tasks.readouts.readout import READOUTS, Readout
from kagaku.science_tasks.readouts.term_ridge import TermRidge, fit_term_ridge
from kagaku.science_tasks.term_counts import (
    HASHED,
    TermCounts,
    frequent_terms,
    inverse_frequencies,
    weighted_terms,
)

MOST_TERMS = 65_536
"""Most words, and most pieces of them, that are kept."""

STRENGTHS = (1.0, 4.0, 16.0)
"""Inverse penalties that are tried."""

TUNING_ROWS = 2_000
"""Most texts on which the penalty is chosen."""

FOLDS = 3


@READOUTS.register("terms")
class TermsReadout(Readout):
    """Regression on tf-idf terms, none condensed: logistic for classes, ridge for numbers.

    Words with their pairs, and pieces of words, are brought to length 1 each. The penalty
    minimises the log loss in three folds, or the leave-one-out error.
    """

    name: ClassVar[str] = "terms"
    kinds: ClassVar[frozenset[Kind]] = frozenset(
        {"regression", "binary", "multiclass", "multilabel"}
    )

    ridge: TermRidge | None

    def fit(
        self,
        blocks: Sequence[FeatureBlock],
        target: TargetValues,
        kind: Kind,
        n_classes: int,
        *,
        seed: int,
    ) -> None:
        """Fit to one block of `TermCounts`; see `Readout.fit`."""
        counts = _counts_of(blocks)
        self.kind = kind
        self.terms = frequent_terms(counts, MOST_TERMS)
        self.idf = inverse_frequencies(counts[:, self.terms])
        rows = self._weighted(counts)
        self.problems, self.ridge = [], None
        if kind == "regression":
            values = target.values.astype(np.float64)
            self.ridge = fit_term_ridge(rows, values, target.censoring, seed)
            return
        self.problems = [
            _fit_problem(rows[known], classes, count, seed)
            for known, classes, count in label_problems(target.values, kind, n_classes)
        ]

    def predict(self, blocks: Sequence[FeatureBlock]) -> Prediction:
        """Return mean and spread, or probabilities; see `Readout.predict`."""
        rows = self._weighted(_counts_of(blocks))
        if self.ridge is not None:
            mean, spread = self.ridge.predict(rows)
            return Prediction(mean=mean, spread=spread)
        tables = [probabilities_of(rows, one) for one in self.problems]
        return Prediction(probabilities=join_problems(tables, self.kind))

    def _weighted(self, counts: sparse.csr_matrix) -> sparse.csr_matrix:
        """Return the weights of the kept terms, sparse (text, term)."""
        n_words = int(np.searchsorted(self.terms, HASHED))
        parts = [
            weighted_terms(counts[:, self.terms[some]], self.idf[some])
            for some in (slice(0, n_words), slice(n_words, None))
        ]
        joined: sparse.csr_matrix = sparse.hstack(parts, format="csr")
        return joined

    def state(self) -> dict[str, Any]:
        """Return the terms' hashes, and the weights."""
        return {
            "kind": self.kind,
            "terms": self.terms,
            "idf": self.idf,
            "problems": self.problems,
            "ridge": None if self.ridge is None else self.ridge.state(),
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Restore what `state` gave."""
        self.kind, self.terms, self.idf = state["kind"], state["terms"], state["idf"]
        self.problems = list(state["problems"])
        ridge = state.get("ridge")
        self.ridge = None if ridge is None else TermRidge(**ridge)


def _counts_of(blocks: Sequence[FeatureBlock]) -> sparse.csr_matrix:
    (block,) = blocks
    assert isinstance(block, TermCounts), block.name
    return block.counts


def _fit_problem(
    rows: sparse.csr_matrix, classes: Int[np.ndarray, " text"], n_classes: int, seed: int
) -> dict[str, Any]:
    """Return one fitted problem as plain arrays, one row of weights per class seen."""
    seen, codes = np.unique(classes, return_inverse=True)
    if len(seen) < 2 or not rows.shape[1]:
        problem = shares_alone(classes, n_classes, rows.shape[1])
    else:
        model = _logistic(best_strength(rows, codes, seed)).fit(rows, codes)
        problem = as_problem(model, seen, n_classes)
    # There are a hundred thousand terms: half the digits take half the room in a run.
    return {**problem, "weights": np.ascontiguousarray(problem["weights"], dtype=np.float32)}


def best_strength(rows: sparse.csr_matrix, codes: Int[np.ndarray, " text"], seed: int) -> float:
    """Return the inverse penalty of the least log loss in folds of some of the texts."""
    few = np.random.default_rng(seed).permutation(len(codes))[:TUNING_ROWS]
    # A class that cannot stand in every fold has no part in it.
    few = few[np.isin(codes[few], np.flatnonzero(np.bincount(codes[few]) >= FOLDS))]
    rows, codes = rows[few], codes[few]
    if len(np.unique(codes)) < 2:
        return STRENGTHS[1]
    sides = list(StratifiedKFold(FOLDS, shuffle=True, random_state=seed).split(codes, codes))

    def loss(strength: float) -> float:
        total = 0.0
        for train, held in sides:
            model = _logistic(strength).fit(rows[train], codes[train])
            chances = model.predict_proba(rows[held])
            total += float(log_loss(codes[held], chances, labels=model.classes_)) * len(held)
        return total

    return min(STRENGTHS, key=loss)


def _logistic(strength: float) -> LogisticRegression:
    return LogisticRegression(C=strength, max_iter=1_000, tol=1e-3)

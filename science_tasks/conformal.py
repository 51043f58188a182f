"""Conformal calibration: intervals and sets that hold the truth as often as they promise.

Whatever method won, its out-of-fold predictions on the training rows calibrate it, through MAPIE.
The promise holds on average over records drawn like the training ones; a test set from elsewhere
(another scaffold, another year) is covered less, which the in-domain verdict is for.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Bool, Float
from mapie.classification import SplitConformalClassifier
from mapie.conformity_scores import LACConformityScore, ResidualNormalisedScore
from mapie.regression import SplitConformalRegressor
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin

from kagaku.data.records import EXACT, TargetValues
from kagaku.data.schema import Kind
from kagaku.errors import InputError
from kagaku.science_tasks.prediction import Prediction

MOST_SCORES = 20_000
"""Calibration cells kept of fields and tokens, evenly spaced; more change no quantile visibly."""


class _Column(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """A fitted regressor that returns one of its input columns."""

    def __init__(self, column: int) -> None:
        self.column = column
        self.is_fitted = True

    def fit(self, X: np.ndarray, y: np.ndarray) -> "_Column":  # noqa: ARG002, N803
        """Do nothing: the columns are predictions already."""
        return self

    def predict(self, X: np.ndarray) -> np.ndarray:  # noqa: N803
        """Return the column."""
        column: np.ndarray = np.asarray(X)[:, self.column]
        return column


class _Given(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A fitted classifier whose input already is the table of probabilities."""

    def __init__(self) -> None:
        self.classes_ = np.arange(2)
        self.is_fitted = True

    def fit(self, X: np.ndarray, y: np.ndarray) -> "_Given":  # noqa: ARG002, N803
        """Do nothing: the probabilities are there already."""
        return self

    def predict_proba(self, X: np.ndarray) -> np.ndarray:  # noqa: N803
        """Return the input."""
        return np.asarray(X)

    def predict(self, X: np.ndarray) -> np.ndarray:  # noqa: N803
        """Return the likeliest class."""
        likeliest: np.ndarray = np.asarray(X).argmax(axis=1)
        return likeliest


def fewest_rows(confidence: float) -> int:
    """Return how many calibration rows a confidence needs; with fewer, intervals are infinite.

    With n rows the widest finite interval holds the truth with probability n / (n + 1).
    """
    return int(1 / min(confidence, 1 - confidence)) + 1


class Calibration:
    """Turns predictions of one target into intervals or sets.

    Regression and fields: the score of a record is its error divided by the predicted spread, so
    intervals are wide where the method was unsure. In fields every cell of every record counts,
    evenly thinned to `MOST_SCORES`; coverage is promised for cells. Classes: the score is one minus
    the probability of the true class (least ambiguous sets); several labels are calibrated one by
    one; per-token targets token by token. Quantiles carry the finite-sample correction.

    Only scores are kept, so a stored calibration holds no measured value.
    """

    def fit(
        self, prediction: Prediction, target: TargetValues, kind: Kind, confidence: float = 0.9
    ) -> "Calibration":
        """Calibrate on predictions of records (or tokens) that the model had not seen.

        Rows without a measured value, or with one that is only a bound, are left out.

        Raises:
            InputError: The confidence is not between 0 and 1, or there are too few rows for it.
        """
        if not 0 < confidence < 1:
            raise InputError(
                f"the confidence {confidence} is not between 0 and 1", fix="Use 0.9, say."
            )
        self.kind, self.confidence = kind, confidence
        if kind in ("regression", "field"):
            self._n_classes, self._scores = 0, [_residual_scores(prediction, target)]
        else:
            assert prediction.probabilities is not None
            self._n_classes = 2 if kind == "multilabel" else prediction.probabilities.shape[1]
            self._scores = _class_scores(prediction.probabilities, target, kind)
        self._conformalize()
        return self

    def _conformalize(self) -> None:
        fewest = fewest_rows(self.confidence)
        n_rows = min(len(scores) for scores in self._scores)
        if n_rows < fewest:
            raise InputError(
                f"{n_rows} measured rows cannot carry {self.confidence:.0%} confidence: "
                "the interval would be infinite",
                fix=f"Measure at least {fewest} rows, or ask for a lower confidence.",
            )
        build = self._regressor if self._n_classes == 0 else self._classifier
        self._models = [build(scores) for scores in self._scores]

    def _regressor(self, scores: np.ndarray) -> SplitConformalRegressor:
        score = ResidualNormalisedScore(residual_estimator=_Column(1), prefit=True)
        model = SplitConformalRegressor(
            _Column(0), confidence_level=self.confidence, conformity_score=score
        )
        # A prediction of 0 with spread 1 makes the scores themselves the errors.
        standard = np.stack([np.zeros_like(scores), np.ones_like(scores)], axis=1)
        return model.conformalize(standard, scores)

    def _classifier(self, scores: np.ndarray) -> SplitConformalClassifier:
        model = SplitConformalClassifier(
            _Given(), confidence_level=self.confidence, conformity_score=LACConformityScore()
        )
        # As if there were two classes, true in turn (MAPIE warns about classes without rows):
        # the true one has the probability 1 - score. The quantile holds for any number.
        truth = np.arange(len(scores)) % 2
        table = np.stack([scores, 1 - scores], axis=1)
        table[truth == 0] = table[truth == 0, ::-1]
        return model.conformalize(table, truth)

    def interval(
        self, prediction: Prediction
    ) -> tuple[Float[np.ndarray, " record *grid"], Float[np.ndarray, " record *grid"]]:
        """Return lower and upper bounds, in the target's unit; NaN where the mean is NaN."""
        assert prediction.mean is not None
        assert prediction.spread is not None
        features = np.stack([prediction.mean.ravel(), prediction.spread.ravel()], axis=1)
        features = features.astype(np.float64)
        known = np.isfinite(features).all(axis=1)
        bounds = np.full((len(features), 2), np.nan)
        if known.any():
            _, intervals = self._models[0].predict_interval(features[known])
            bounds[known] = intervals[:, :, 0]
        shape = prediction.mean.shape
        return bounds[:, 0].reshape(shape), bounds[:, 1].reshape(shape)

    def sets(self, prediction: Prediction) -> Bool[np.ndarray, "record choice"]:
        """Return which classes are in the set of each record (or token).

        The likeliest class is always in the set, so no set is empty; that can only raise the
        coverage. For several labels: which labels may be present (see `surely_present`).
        """
        assert prediction.probabilities is not None
        if self.kind == "multilabel":
            return self._label_sets(prediction.probabilities)[:, :, 1]
        return self._class_sets(0, prediction.probabilities)

    def surely_present(self, prediction: Prediction) -> Bool[np.ndarray, "record choice"]:
        """Return which labels of a multilabel target are present and cannot be absent."""
        assert self.kind == "multilabel"
        assert prediction.probabilities is not None
        return ~self._label_sets(prediction.probabilities)[:, :, 0]

    def _label_sets(self, probabilities: np.ndarray) -> Bool[np.ndarray, "record label two"]:
        tables = [np.stack([1 - p, p], axis=1) for p in probabilities.T]
        return np.stack([self._class_sets(i, table) for i, table in enumerate(tables)], axis=1)

    def _class_sets(self, model: int, table: np.ndarray) -> Bool[np.ndarray, "record choice"]:
        chosen = np.zeros(table.shape, dtype=bool)
        if len(table):
            # Whether a class is in the set depends on its own probability only.
            flat = table.astype(np.float64).ravel()
            _, sets = self._models[model].predict_set(np.stack([flat, 1 - flat], axis=1))
            chosen = np.asarray(sets[:, 0, 0], dtype=bool).reshape(table.shape)
            chosen[np.arange(len(table)), table.argmax(axis=1)] = True
        return chosen

    def state(self) -> dict[str, Any]:
        """Return the scores, and what they were made for."""
        return {
            "kind": self.kind,
            "confidence": self.confidence,
            "n_classes": self._n_classes,
            "scores": list(self._scores),
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Restore what `state` gave, through MAPIE."""
        self.kind, self.confidence = state["kind"], state["confidence"]
        self._n_classes, self._scores = state["n_classes"], list(state["scores"])
        self._conformalize()


def _residual_scores(prediction: Prediction, target: TargetValues) -> Float[np.ndarray, " score"]:
    """Return (truth - mean) / spread of every measured record or cell."""
    assert prediction.mean is not None
    assert prediction.spread is not None
    exact = target.censoring == EXACT
    error = target.values[exact].astype(np.float64) - prediction.mean[exact]
    scores = (error / prediction.spread[exact]).ravel()
    return _thinned(scores[np.isfinite(scores)])


def _class_scores(
    probabilities: np.ndarray, target: TargetValues, kind: Kind
) -> list[Float[np.ndarray, " score"]]:
    """Return one minus the probability of the truth; one array per label for multilabel."""
    if kind == "multilabel":
        pairs = [
            (np.stack([1 - p, p], axis=1), target.values[:, i])
            for i, p in enumerate(probabilities.T)
        ]
    elif kind == "per-token":
        pairs = [(probabilities, np.concatenate([one for one in target.values if one is not None]))]
    else:
        pairs = [(probabilities, target.values)]
    scores = []
    for table, truth in pairs:
        known = np.flatnonzero(~np.isnan(truth.astype(np.float64)))
        scores.append(_thinned(1.0 - table[known, truth[known].astype(np.int64)]))
    return scores


def _thinned(scores: np.ndarray) -> Float[np.ndarray, " score"]:
    if len(scores) <= MOST_SCORES:
        return np.ascontiguousarray(scores, dtype=np.float64)
    kept = np.linspace(0, len(scores) - 1, MOST_SCORES).astype(np.int64)
    return np.ascontiguousarray(scores[kept], dtype=np.float64)

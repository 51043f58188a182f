"""What candidates are compared by: RMSE, or log loss, on records that they had not seen."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, Int

from kagaku.data.records import EXACT, TargetValues
from kagaku.data.schema import Kind
from kagaku.science_tasks.metrics import paired_difference
from kagaku.science_tasks.prediction import Prediction
from kagaku.science_tasks.tempering import best_temperature, tempered

# Folds differ in size, so their axes are anonymous: the shape checks bind a name for a whole call.
Fold = tuple[Int[np.ndarray, " _"], Int[np.ndarray, " _"]]
"""Records to fit on and records to predict, as indices into the target's values."""


@dataclass(frozen=True)
class Row:
    """One line of the table that a choice was made from."""

    name: str
    """The candidate."""

    score: float
    """Out-of-fold score on all records; lower is better. NaN if it did not run."""

    standard_error: float
    """Standard error of the mean of the folds' scores; NaN with one fold."""

    seconds: float
    """Time for all folds."""

    note: str = ""
    """Why it did not run, or of what a blend is made."""


@dataclass
class Scorer:
    """Scores predictions of records in the order of the test folds."""

    target: TargetValues
    kind: Kind
    area_weights: np.ndarray | None
    metric: str = field(init=False)

    def __post_init__(self) -> None:
        self.metric = "RMSE" if self.kind in ("regression", "field") else "log loss"

    @property
    def has_labels(self) -> bool:
        """Whether classes are labels of their own."""
        return self.kind == "multilabel"

    def tempered(self, given: Prediction, index: np.ndarray) -> tuple[float, Prediction]:
        """Return the temperature that suits held-out predictions, and these with it."""
        found = best_temperature(
            given, lambda one: self.score(one, index), has_labels=self.has_labels
        )
        return found, tempered(given, found, has_labels=self.has_labels)

    def row(
        self, name: str, given: Prediction, folds: Sequence[Fold], start: float, note: str = ""
    ) -> Row:
        """Return a candidate's line in the table.

        Args:
            name: The candidate.
            given: Its predictions, in the order of the test folds.
            folds: As in `select`.
            start: When it began, as `time.monotonic` gives it.
            note: What else to say.
        """
        tests = [test for _, test in folds]
        parts = zip(self.by_fold(given, tests), tests, strict=True)
        error = standard_error([self.score(part, test) for part, test in parts])
        score = self.score(given, np.concatenate(tests))
        return Row(name, score, error, time.monotonic() - start, note)

    def by_fold(self, given: Prediction, tests: Sequence[np.ndarray]) -> list[Prediction]:
        """Return the predictions of each test fold, as views; ``given`` has them in a row."""
        parts, begin = [], 0
        for test in tests:
            end = begin + self._n_predicted(test)
            parts.append(given.between(begin, end))
            begin = end
        return parts

    def _n_predicted(self, test: np.ndarray) -> int:
        if self.kind != "per-token":
            return len(test)
        return sum(len(one) for one in self.target.values[test] if one is not None)

    def score(self, given: Prediction, index: np.ndarray) -> float:
        """Return RMSE or log loss of the records at ``index``; NaN if none can be scored."""
        return self.of_sums(self.sums(given, index))

    def sums(self, given: Prediction, index: np.ndarray) -> Float[np.ndarray, " two"]:
        """Return the summed loss of the records at ``index`` and the summed weight; add freely."""
        return np.asarray(self._losses(given, index).sum(axis=0), dtype=np.float64)

    def of_sums(self, sums: Float[np.ndarray, " two"]) -> float:
        """Return RMSE or log loss from what `sums` gave; NaN if nothing was scored."""
        if not sums[1] > 0:
            return float("nan")
        mean = float(sums[0] / sums[1])
        return float(np.sqrt(mean)) if self.metric == "RMSE" else mean

    def _losses(self, given: Prediction, index: np.ndarray) -> Float[np.ndarray, "known two"]:
        """Return, for each record (or token) that counts, its summed loss and its weight."""
        part = self.target.subset(index)
        if self.kind in ("regression", "field"):
            return self._squares(given, part)
        assert given.probabilities is not None
        table, truth = given.probabilities, part.values
        if self.kind == "per-token":
            truth = np.concatenate([one for one in truth if one is not None]).astype(np.float64)
        if self.kind == "multilabel":
            known = ~np.isnan(truth)
            chance = np.clip(np.where(truth == 1, table, 1 - table), 1e-7, 1)
            losses = np.where(known, -np.log(chance), 0.0).sum(axis=1)
            summed = np.stack([losses, known.sum(axis=1).astype(np.float64)], axis=1)
            return np.asarray(summed[known.any(axis=1)])
        rows = np.flatnonzero(~np.isnan(truth))
        chance = table[rows, truth[rows].astype(np.int64)]
        return np.stack([-np.log(np.clip(chance, 1e-7, 1)), np.ones(len(rows))], axis=1)

    def _squares(self, given: Prediction, part: TargetValues) -> Float[np.ndarray, "known two"]:
        assert given.mean is not None
        n_records = len(part.values)
        squares = np.square(part.values.astype(np.float64) - given.mean)
        weights = np.ones_like(squares)
        if self.kind == "field" and self.area_weights is not None:
            weights = weights * self.area_weights[None, :, None]
        known = ~np.isnan(squares)
        sums = np.where(known, weights * squares, 0.0).reshape(n_records, -1).sum(axis=1)
        counts = np.where(known, weights, 0.0).reshape(n_records, -1).sum(axis=1)
        kept = (part.censoring == EXACT) & (counts > 0)
        return np.asarray(np.stack([sums, counts], axis=1)[kept])

    def margin(
        self, best: Prediction, other: Prediction, tests: np.ndarray, seed: int
    ) -> tuple[float, float, float]:
        """Return the difference of two scores with its interval over resampled records."""
        a, b = self._losses(best, tests), self._losses(other, tests)
        return paired_difference(
            lambda _, losses: self.of_sums(losses.sum(axis=0)), a, a, b, seed=seed
        )


def standard_error(scores: Sequence[float]) -> float:
    """Return the standard error of the mean of the folds' scores; NaN with fewer than two."""
    finite = np.array(scores)[np.isfinite(scores)]
    return float(finite.std(ddof=1) / np.sqrt(len(finite))) if len(finite) > 1 else float("nan")

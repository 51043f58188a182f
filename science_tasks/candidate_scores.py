"""What candidates are compared by: RMSE, or log loss, on records that they had not seen."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, Int

from kagaku.data.records import EXACT, TargetValues
from kagaku.data.schema import Kind
from kagaku.science_tasks.metrics import label_log_loss, paired_difference
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
        begin, scores = 0, []
        for _, test in folds:
            length = self._n_predicted(test)
            part = given.subset(np.arange(begin, begin + length))
            scores.append(self.score(part, test))
            begin += length
        tests = np.concatenate([test for _, test in folds])
        finite = np.array(scores)[np.isfinite(scores)]
        error = float(finite.std(ddof=1) / np.sqrt(len(finite))) if len(finite) > 1 else np.nan
        return Row(name, self.score(given, tests), error, time.monotonic() - start, note)

    def _n_predicted(self, test: np.ndarray) -> int:
        if self.kind != "per-token":
            return len(test)
        return sum(len(one) for one in self.target.values[test] if one is not None)

    def score(self, given: Prediction, index: np.ndarray) -> float:
        """Return RMSE or log loss of the records at ``index``; NaN if none can be scored."""
        losses = self._losses(given, index)
        if not len(losses):
            return float("nan")
        return self._total(losses, losses)

    def _total(self, losses: np.ndarray, _: np.ndarray) -> float:
        mean = float(losses[:, 0].sum() / losses[:, 1].sum())
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
            counts = (~np.isnan(truth)).sum(axis=1)
            rows = np.flatnonzero(counts)
            losses = [label_log_loss(truth[i : i + 1], table[i : i + 1]) * counts[i] for i in rows]
            return np.stack([np.array(losses), counts[rows]], axis=1).reshape(-1, 2)
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
        return paired_difference(lambda _, losses: self._total(losses, losses), a, a, b, seed=seed)

"""Which method to trust: cross-validation on training rows, with the table to show for it."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Int

from kagaku.data.records import EXACT, TargetValues
from kagaku.data.schema import Kind
from kagaku.errors import InputError
from kagaku.science_tasks.metrics import label_log_loss, paired_difference
from kagaku.science_tasks.prediction import Prediction

BLEND = "blend"
"""Name of the equal-weight mean of candidates that complement each other."""

LARGEST_BLEND = 4
"""Most members of a blend; more cost time and rarely help."""

BLEND_GAIN = 0.005
"""A blend must be this much better (as a share of the score) than its best member, or the simpler
answer stays."""

# Folds differ in size, so their axes are anonymous: the shape checks bind a name for a whole call.
Fold = tuple[Int[np.ndarray, " _"], Int[np.ndarray, " _"]]
"""Records to fit on and records to predict, as indices into the target's values."""

Progress = Callable[[int, int, str], None]
"""Called with (steps done, steps in all, what is next)."""


@runtime_checkable
class Fitted(Protocol):
    """A candidate fitted to some records."""

    def predict(self, index: Int[np.ndarray, " record"]) -> Prediction:
        """Return predictions of the records at ``index``; per-token: their tokens in a row."""


@runtime_checkable
class Candidate(Protocol):
    """One method that could win, with everything it needs to be fitted to a part of the records."""

    @property
    def name(self) -> str:
        """The word for it in the table."""

    def fit(self, train_index: Int[np.ndarray, " record"]) -> Fitted:
        """Fit to the records at ``train_index`` and to nothing else."""


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


@dataclass(frozen=True)
class Selection:
    """What cross-validation found."""

    metric: str
    """Name of the score: RMSE in the target's unit, or log loss in nats. Lower is better."""

    rows: tuple[Row, ...]
    """The table, best first, those that did not run at the end."""

    best: str
    """Name of the winner."""

    members: tuple[str, ...]
    """The candidates that make up the winner: itself, or the parts of the blend."""

    out_of_fold: dict[str, Prediction]
    """By name, predictions of ``index`` by models that had not seen them."""

    index: Int[np.ndarray, " record"]
    """The records that were in a test fold, in the order of `out_of_fold`."""

    margin: tuple[float, float, float] | None
    """Score of the winner minus that of the best other single candidate, with its 95% interval
    over paired resamples of records; None if there is no other."""

    runner_up: str | None
    """The best single candidate that is not the winner (nor, for a blend, its whole)."""

    note: str = ""
    """What the user should know, such as that the time ran out."""

    @property
    def best_out_of_fold(self) -> Prediction:
        """The winner's out-of-fold predictions, to calibrate on."""
        return self.out_of_fold[self.best]

    def fit_best(
        self, candidates: Sequence[Candidate], train_index: Int[np.ndarray, " record"]
    ) -> "FittedBlend":
        """Return the winner fitted to all of ``train_index``."""
        by_name = {candidate.name: candidate for candidate in candidates}
        return FittedBlend([by_name[name].fit(train_index) for name in self.members])


@dataclass
class FittedBlend:
    """One or several fitted candidates that answer together."""

    parts: list[Fitted]
    """The fitted members."""

    def predict(self, index: Int[np.ndarray, " record"]) -> Prediction:
        """Return the equal-weight mean of the members' predictions."""
        return blend([part.predict(index) for part in self.parts])


def blend(predictions: Sequence[Prediction]) -> Prediction:
    """Return the equal-weight mixture of several predictions of the same records.

    The spread of a mixture joins the members' own variance with their disagreement.
    """
    if len(predictions) == 1:
        return predictions[0]
    if predictions[0].probabilities is not None:
        tables = [one.probabilities for one in predictions if one.probabilities is not None]
        return Prediction(probabilities=np.mean(tables, axis=0))
    means = np.stack([one.mean for one in predictions if one.mean is not None])
    spreads = np.stack([one.spread for one in predictions if one.spread is not None])
    variance = np.square(spreads).mean(axis=0) + means.var(axis=0)
    return Prediction(mean=means.mean(axis=0), spread=np.sqrt(variance))


def select(
    candidates: Sequence[Candidate],
    target: TargetValues,
    folds: Sequence[Fold],
    kind: Kind,
    *,
    area_weights: Float[np.ndarray, " lat"] | None = None,
    max_seconds: float | None = None,
    progress: Progress | None = None,
    with_blend: bool = True,
    seed: int = 0,
) -> Selection:
    """Return the candidate with the lowest out-of-fold score, and the table behind it.

    The score is the RMSE for regression and fields (area-weighted) and the log loss for classes:
    it rewards honest probabilities, and unlike accuracy or AUC it tells close candidates apart on
    small tables. Censored values take no part in scoring. The blend (the mean of two to four, the
    best and those that help it most) wins only if it beats the best by `BLEND_GAIN`.

    Args:
        candidates: In the order in which they are to run: the cheapest first.
        target: Measured values that the folds index.
        folds: Training rows only; test rows must not overlap.
        kind: What kind of answer is predicted.
        area_weights: Weight of each row of a field; equal without.
        max_seconds: No candidate is started after this; the first always runs.
        progress: Called before every fit.
        with_blend: Whether a blend may win.
        seed: Fixes the resampling of the margin.

    Raises:
        InputError: There are no candidates, two share a name, or there are no folds.
    """
    _check(candidates, folds)
    tests = np.concatenate([test for _, test in folds])
    scorer = _Scorer(target, kind, area_weights)
    begun, steps = time.monotonic(), len(candidates) * len(folds)
    found: dict[str, Prediction] = {}
    rows: list[Row] = []
    for position, candidate in enumerate(candidates):
        start = time.monotonic()
        if found and max_seconds is not None and start - begun > max_seconds:
            rows.append(Row(candidate.name, np.nan, np.nan, 0.0, "not started: the time ran out"))
            continue
        parts = []
        for number, (train, test) in enumerate(folds):
            if progress is not None:
                done = position * len(folds) + number
                progress(done, steps, f"{candidate.name}, fold {number + 1} of {len(folds)}")
            parts.append(candidate.fit(train).predict(test))
        found[candidate.name] = _joined(parts)
        rows.append(scorer.row(candidate.name, found[candidate.name], folds, start))
    if progress is not None:
        progress(steps, steps, "done")
    return _choose(rows, found, scorer, folds, tests, with_blend, seed)


def _check(candidates: Sequence[Candidate], folds: Sequence[Fold]) -> None:
    names = [candidate.name for candidate in candidates]
    if not names:
        raise InputError(
            "no method can predict this kind of target", fix="Name another method or target kind."
        )
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise InputError(f"the methods {twice} are named twice", fix="Name each method once.")
    if not folds:
        raise InputError(
            "there are no folds to compare methods on",
            fix="Give more training rows, or name one method instead of auto.",
        )


def _choose(
    rows: list[Row],
    found: dict[str, Prediction],
    scorer: "_Scorer",
    folds: Sequence[Fold],
    tests: np.ndarray,
    with_blend: bool,
    seed: int,
) -> Selection:
    ran = sorted((row for row in rows if row.name in found), key=lambda row: row.score)
    best = ran[0]
    members: tuple[str, ...] = (best.name,)
    if with_blend and len(ran) > 1:
        row, names, found[BLEND] = _best_blend(ran, found, scorer, folds)
        if row.score < best.score * (1 - BLEND_GAIN):
            best, members = row, names
        ran = sorted([*ran, row], key=lambda one: one.score)
    others = [row for row in ran if row.name not in (best.name, BLEND)]
    margin = scorer.margin(found[best.name], found[others[0].name], tests, seed) if others else None
    late = [row for row in rows if row.name not in found]
    note = f"the time ran out before {', '.join(row.name for row in late)}" if late else ""
    return Selection(
        metric=scorer.metric,
        rows=(*ran, *late),
        best=best.name,
        members=members,
        out_of_fold=found,
        index=tests,
        margin=margin,
        runner_up=others[0].name if others else None,
        note=note,
    )


def _best_blend(
    ran: Sequence[Row],
    found: Mapping[str, Prediction],
    scorer: "_Scorer",
    folds: Sequence[Fold],
) -> tuple[Row, tuple[str, ...], Prediction]:
    """Return the row, the members and the predictions of the best blend of two or more.

    It grows from the best candidate by whichever other helps most, which often is no near copy of
    those that are in already.
    """
    members: tuple[str, ...] = (ran[0].name,)
    blends = []
    while len(members) < min(LARGEST_BLEND, len(ran)):
        grown = []
        for one in ran:
            if one.name not in members:
                names, start = (*members, one.name), time.monotonic()
                mixed = blend([found[name] for name in names])
                row = scorer.row(BLEND, mixed, folds, start, note=" + ".join(names))
                grown.append((row, names, mixed))
        blends.append(min(grown, key=lambda one: one[0].score))
        members = blends[-1][1]
    return min(blends, key=lambda one: one[0].score)


def _joined(parts: Sequence[Prediction]) -> Prediction:
    def column(name: str) -> np.ndarray | None:
        values = [getattr(part, name) for part in parts]
        return None if values[0] is None else np.concatenate(values)

    return Prediction(column("mean"), column("spread"), column("probabilities"))


@dataclass
class _Scorer:
    """Scores predictions of records in the order of the test folds."""

    target: TargetValues
    kind: Kind
    area_weights: np.ndarray | None
    metric: str = field(init=False)

    def __post_init__(self) -> None:
        self.metric = "RMSE" if self.kind in ("regression", "field") else "log loss"

    def row(
        self, name: str, given: Prediction, folds: Sequence[Fold], start: float, note: str = ""
    ) -> Row:
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

"""Which method to trust: cross-validation on training rows, with the table to show for it."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Int

from kagaku.data.records import TargetValues
from kagaku.data.schema import Kind
from kagaku.errors import InputError
from kagaku.science_tasks.blending import BLEND, blend, joined
from kagaku.science_tasks.candidate_scores import Fold, Row, Scorer
from kagaku.science_tasks.cross_fitting import CrossFit, OutOfFold, cross_fit
from kagaku.science_tasks.prediction import Prediction
from kagaku.science_tasks.tempering import tempered

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
    """By name, predictions of ``index`` by models that had not seen them, tempered."""

    index: Int[np.ndarray, " record"]
    """The records that were in a test fold, in the order of `out_of_fold`."""

    margin: tuple[float, float, float] | None
    """Score of the winner minus that of the best other single candidate, with its 95% interval
    over paired resamples of records; None if there is no other."""

    runner_up: str | None
    """The best single candidate that is not the winner (nor, for a blend, its whole)."""

    note: str = ""
    """What the user should know, such as that the time ran out."""

    temperatures: Mapping[str, float] = field(default_factory=dict)
    """By candidate, what its log-odds are divided by; see `tempering`."""

    has_labels: bool = False
    """Whether classes are labels of their own."""

    cross_fitted: CrossFit | None = None
    """The same with the choosing included; None where a single fold leaves nothing to choose on."""

    @property
    def best_out_of_fold(self) -> Prediction:
        """The winner's out-of-fold predictions. They were chosen as the best: a little too good."""
        return self.out_of_fold[self.best]

    @property
    def calibrating(self) -> Prediction:
        """The predictions of ``index`` to calibrate on: with the choosing included, if known."""
        return self.best_out_of_fold if self.cross_fitted is None else self.cross_fitted.prediction

    def fit_best(
        self, candidates: Sequence[Candidate], train_index: Int[np.ndarray, " record"]
    ) -> "FittedBlend":
        """Return the winner fitted to all of ``train_index``."""
        by_name = {candidate.name: candidate for candidate in candidates}
        return FittedBlend(
            [by_name[name].fit(train_index) for name in self.members],
            [self.temperatures.get(name, 1.0) for name in self.members],
            self.has_labels,
        )


@dataclass
class FittedBlend:
    """One or several fitted candidates that answer together."""

    parts: list[Fitted]
    """The fitted members."""

    temperatures: list[float]
    """Of each member."""

    has_labels: bool = False
    """Whether classes are labels of their own."""

    def predict(self, index: Int[np.ndarray, " record"]) -> Prediction:
        """Return the equal-weight mean of the members' tempered predictions."""
        return blend(
            [
                tempered(part.predict(index), temperature, has_labels=self.has_labels)
                for part, temperature in zip(self.parts, self.temperatures, strict=True)
            ]
        )


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

    The score is the RMSE for regression and fields (area-weighted) and the log loss for classes,
    after one temperature for each candidate: it rewards honest probabilities, and unlike accuracy
    or AUC it tells close candidates apart on small tables. Censored values take no part in
    scoring. The blend (the mean of two to four, the best and those that help it most) wins only if
    it beats the best by `blending.BLEND_GAIN`. With two folds or more, each fold is also predicted
    by what the others would have chosen; see `cross_fitting`.

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
    scorer = Scorer(target, kind, area_weights)
    begun, steps = time.monotonic(), len(candidates) * len(folds)
    raw: dict[str, Prediction] = {}
    found: dict[str, Prediction] = {}
    rows: list[Row] = []
    temperatures: dict[str, float] = {}
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
        name = candidate.name
        raw[name] = joined(parts)
        temperatures[name], found[name] = scorer.tempered(raw[name], tests)
        rows.append(scorer.row(name, found[name], folds, start))
    if progress is not None:
        progress(steps, steps, "done")
    out_of_fold = OutOfFold(scorer, [test for _, test in folds], raw)
    return _choose(rows, found, out_of_fold, temperatures, folds, with_blend, seed)


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
    out_of_fold: OutOfFold,
    temperatures: Mapping[str, float],
    folds: Sequence[Fold],
    with_blend: bool,
    seed: int,
) -> Selection:
    scorer, tests = out_of_fold.scorer, np.concatenate(out_of_fold.tests)
    by_name = {row.name: row for row in rows}
    choice = out_of_fold.choose(temperatures, range(len(folds)), with_blend=with_blend)
    ran = [by_name[name] for name in choice.ranked]
    if choice.mixed:
        start = time.monotonic()
        found[BLEND] = blend([found[name] for name in choice.mixed])
        note = " + ".join(choice.mixed)
        ran.append(scorer.row(BLEND, found[BLEND], folds, start, note=note))
    best = choice.members[0] if len(choice.members) == 1 else BLEND
    ran.sort(key=lambda row: row.score)
    others = [row for row in ran if row.name not in (best, BLEND)]
    margin = scorer.margin(found[best], found[others[0].name], tests, seed) if others else None
    late = [row for row in rows if row.name not in found]
    winner = [(name, temperatures[name]) for name in choice.members]
    return Selection(
        metric=scorer.metric,
        rows=(*ran, *late),
        best=best,
        members=choice.members,
        out_of_fold=found,
        index=tests,
        margin=margin,
        runner_up=others[0].name if others else None,
        note=f"the time ran out before {', '.join(row.name for row in late)}" if late else "",
        temperatures=temperatures,
        has_labels=scorer.has_labels,
        cross_fitted=cross_fit(out_of_fold, winner, with_blend=with_blend),
    )

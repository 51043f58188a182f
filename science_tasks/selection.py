"""Which method to trust: cross-validation on training rows, with the table to show for it."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Int

from kagaku.data.records import TargetValues
from kagaku.data.schema import Kind
from kagaku.errors import InputError
from kagaku.science_tasks.candidate_scores import Fold, Row, Scorer
from kagaku.science_tasks.prediction import Prediction
from kagaku.science_tasks.tempering import tempered

BLEND = "blend"
"""Name of the equal-weight mean of candidates that complement each other."""

LARGEST_BLEND = 4
"""Most members of a blend; more cost time and rarely help."""

BLEND_GAIN = 0.005
"""A blend must be this much better (as a share of the score) than its best member, or the simpler
answer stays."""

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

    @property
    def best_out_of_fold(self) -> Prediction:
        """The winner's out-of-fold predictions, to calibrate on."""
        return self.out_of_fold[self.best]

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

    The score is the RMSE for regression and fields (area-weighted) and the log loss for classes,
    after one temperature for each candidate: it rewards honest probabilities, and unlike accuracy
    or AUC it tells close candidates apart on small tables. Censored values take no part in
    scoring. The blend (the mean of two to four, the best and those that help it most) wins only if
    it beats the best by `BLEND_GAIN`.

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
        temperatures[candidate.name], found[candidate.name] = scorer.tempered(_joined(parts), tests)
        rows.append(scorer.row(candidate.name, found[candidate.name], folds, start))
    if progress is not None:
        progress(steps, steps, "done")
    chosen = _choose(rows, found, scorer, folds, tests, with_blend, seed)
    return replace(chosen, temperatures=temperatures, has_labels=scorer.has_labels)


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
    scorer: Scorer,
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
    scorer: Scorer,
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

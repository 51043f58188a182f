"""What choosing costs: each fold predicted by the choice that the other folds would have made.

The winner of a comparison is partly a lucky one, so its own cross-validated score is a little too
good, and intervals calibrated on its errors are a little too narrow. Here temperatures, candidate
and blend are chosen anew for each fold from the other folds' predictions, and the fold is predicted
by that choice. No model is fitted for it. What remains: the other folds' predictions come from
models that have learnt from the fold; only `nested` has none of that.

Source: Tibshirani and Tibshirani (2009), https://doi.org/10.1214/08-AOAS224, on the bias of the
winner's score; Varma and Simon (2006), https://doi.org/10.1186/1471-2105-7-91, on nesting.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Float

from kagaku.data.records import EXACT
from kagaku.science_tasks.blending import Choice, blend, choose, joined
from kagaku.science_tasks.candidate_scores import Scorer, standard_error
from kagaku.science_tasks.prediction import Prediction
from kagaku.science_tasks.tempering import tempered

SPREAD_QUANTILE = 0.9
"""Where the errors over spreads of two choices are made alike: near the end of usual intervals."""

MOST_SPREADS = 20_000
"""Errors that this quantile is taken of, evenly spaced; more change nothing visibly."""


@dataclass(frozen=True)
class FoldChoice:
    """What was chosen for one fold, without looking at it."""

    members: tuple[str, ...]
    """The winner on the other folds: one candidate, or the parts of a blend."""

    temperatures: tuple[float, ...]
    """Of each member, fitted on the other folds."""

    score: float
    """Its score on the fold itself."""


@dataclass(frozen=True)
class CrossFit:
    """The comparison with its choosing included."""

    prediction: Prediction
    """Predictions of all test folds, each by the choice of the others. Spreads are on the scale of
    the winner's, so that they can calibrate it."""

    score: float
    """RMSE in the target's unit, or log loss in nats, of these predictions."""

    standard_error: float
    """Standard error of the mean of the folds' scores."""

    folds: tuple[FoldChoice, ...]
    """By fold, in the order of the folds."""


@dataclass(frozen=True)
class OutOfFold:
    """The untempered out-of-fold predictions of all candidates, which any folds can judge."""

    scorer: Scorer
    """Scores them."""

    tests: Sequence[np.ndarray]
    """The records of each test fold."""

    raw: Mapping[str, Prediction]
    """By candidate, its predictions in the order of the test folds."""

    known: dict[tuple[frozenset[tuple[str, float]], int], Float[np.ndarray, " two"]] = field(
        default_factory=dict
    )
    """Sums of losses that were computed already, by members with temperatures, and fold."""

    def temperature(self, name: str, judges: Sequence[int]) -> float:
        """Return the temperature that suits a candidate on some folds."""
        given = self.raw[name]
        if given.probabilities is None:
            return 1.0
        parts = self.scorer.by_fold(given, self.tests)
        some = joined([parts[fold] for fold in judges])
        index = np.concatenate([self.tests[fold] for fold in judges])
        return self.scorer.tempered(some, index)[0]

    def choose(
        self, temperatures: Mapping[str, float], judges: Sequence[int], *, with_blend: bool
    ) -> Choice:
        """Return what some folds choose among all candidates."""

        def score(members: tuple[str, ...]) -> float:
            pairs = [(name, temperatures[name]) for name in members]
            sums = [self._sums(pairs, fold) for fold in judges]
            return self.scorer.of_sums(np.sum(sums, axis=0))

        return choose(list(self.raw), score, with_blend=with_blend)

    def predict(self, members: Sequence[tuple[str, float]], fold: int) -> Prediction:
        """Return the mean of members, each with its temperature, for the records of a fold."""
        parts = [self.scorer.by_fold(self.raw[name], self.tests)[fold] for name, _ in members]
        return blend(
            [
                tempered(part, temperature, has_labels=self.scorer.has_labels)
                for part, (_, temperature) in zip(parts, members, strict=True)
            ]
        )

    def _sums(self, members: Sequence[tuple[str, float]], fold: int) -> np.ndarray:
        key = (frozenset(members), fold)
        if key not in self.known:
            self.known[key] = self.scorer.sums(self.predict(members, fold), self.tests[fold])
        return self.known[key]


def cross_fit(
    out_of_fold: OutOfFold, winner: Sequence[tuple[str, float]], *, with_blend: bool
) -> CrossFit | None:
    """Return predictions of each fold by what the other folds choose; None with fewer than two.

    Args:
        out_of_fold: What there is to choose from.
        winner: The members that all folds together chose, each with its temperature.
        with_blend: Whether a blend may be chosen.
    """
    n_folds = len(out_of_fold.tests)
    if n_folds < 2:
        return None
    parts, choices = [], []
    for fold, test in enumerate(out_of_fold.tests):
        judges = [one for one in range(n_folds) if one != fold]
        temperatures = {name: out_of_fold.temperature(name, judges) for name in out_of_fold.raw}
        members = out_of_fold.choose(temperatures, judges, with_blend=with_blend).members
        pairs = [(name, temperatures[name]) for name in members]
        part = out_of_fold.predict(pairs, fold)
        score = out_of_fold.scorer.score(part, test)
        if part.spread is not None and set(members) != {name for name, _ in winner}:
            scale = _spread_scale(out_of_fold, pairs, winner, judges)
            part = replace(part, spread=part.spread * scale)
        parts.append(part)
        choices.append(FoldChoice(members, tuple(temperatures[name] for name in members), score))
    prediction = joined(parts)
    score = out_of_fold.scorer.score(prediction, np.concatenate(out_of_fold.tests))
    error = standard_error([one.score for one in choices])
    return CrossFit(prediction, score, error, tuple(choices))


def _spread_scale(
    out_of_fold: OutOfFold,
    chosen: Sequence[tuple[str, float]],
    winner: Sequence[tuple[str, float]],
    judges: Sequence[int],
) -> float:
    """Return what makes a choice's spreads as large beside its errors as the winner's are.

    Intervals divide errors by spreads. One method's spreads may be twice another's, and the winner
    must not be calibrated on the scale of another. Both are measured on the folds that chose.
    """
    own, others = (
        np.concatenate([_relative_errors(out_of_fold, pairs, fold) for fold in judges])
        for pairs in (chosen, winner)
    )
    if not len(own) or not len(others):
        return 1.0
    own_scale, scale = (float(np.quantile(one, SPREAD_QUANTILE)) for one in (own, others))
    return own_scale / scale if own_scale > 0 and scale > 0 else 1.0


def _relative_errors(
    out_of_fold: OutOfFold, members: Sequence[tuple[str, float]], fold: int
) -> Float[np.ndarray, " value"]:
    """Return |truth - mean| / spread of the measured values of a fold, evenly thinned."""
    given = out_of_fold.predict(members, fold)
    assert given.mean is not None
    assert given.spread is not None
    target = out_of_fold.scorer.target.subset(out_of_fold.tests[fold])
    exact = target.censoring == EXACT
    errors = np.abs(target.values[exact].astype(np.float64) - given.mean[exact])
    found = (errors / given.spread[exact]).ravel()
    found = found[np.isfinite(found)]
    return np.asarray(found[:: max(1, len(found) // MOST_SPREADS)])

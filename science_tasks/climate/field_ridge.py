"""Ridge regression from the patterns of known fields to the departure from a plain forecast."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import pandas as pd
from jaxtyping import Float

from kagaku.science_tasks.benchmark.task import Context
from kagaku.science_tasks.climate.field_case import CLIMATOLOGY, FieldCase
from kagaku.science_tasks.climate.field_forecast import FieldForecast
from kagaku.science_tasks.climate.forecasting import (
    FoldKind,
    folds_of,
    mean_square,
    spread_of,
)
from kagaku.science_tasks.prediction import Prediction

COMPONENTS = (1, 4, 16)
"""How many patterns of each input may be read."""

PENALTIES = (0.03, 0.1, 0.3, 1.0, 3.0)
"""Ridge penalties that may be chosen, relative to the variance of the leading amplitude."""

Predictors = Callable[[FieldCase, tuple[str, ...], np.ndarray], list[np.ndarray]]
"""(case, inputs, items to learn from) -> by input, amplitudes (item, component)."""


@dataclass(frozen=True)
class Choice:
    """One way to set the regression up; cross-validation compares them."""

    inputs: tuple[str, ...]
    """What it reads."""

    start: tuple[str, ...]
    """The plain forecasts whose mean it corrects."""

    components: int
    """Patterns of each input."""

    penalty: float
    """Ridge penalty."""

    def __str__(self) -> str:
        return (
            f"{' + '.join(self.inputs)}; from {' and '.join(self.start)}; "
            f"{self.components} patterns, penalty {self.penalty:g}"
        )


def patterns(
    case: FieldCase, inputs: tuple[str, ...], learnt: np.ndarray
) -> list[Float[np.ndarray, "item component"]]:
    """Return the amplitudes of the empirical orthogonal functions of each input's anomalies.

    The leading one has unit variance over the learnt items and the others keep their proportion.
    """
    return [_amplitudes(case, name, learnt) for name in inputs]


def _amplitudes(case: FieldCase, name: str, learnt: np.ndarray) -> np.ndarray:
    anomaly = np.nan_to_num(case.anomaly(name, learnt)).reshape(len(case.truth), -1)
    if anomaly.shape[1] == case.weights.size:
        anomaly = anomaly * np.sqrt(case.weights.ravel())
    _, strengths, axes = np.linalg.svd(anomaly[learnt], full_matrices=False)
    scale = max(float(strengths[0]) / np.sqrt(len(learnt)), 1e-12)
    amplitudes: np.ndarray = anomaly @ axes[: max(COMPONENTS)].T / scale
    return amplitudes


@dataclass(frozen=True)
class FieldRidge:
    """Answers with a plain forecast, corrected by ridge regression on what is known.

    What is read, from which plain forecast it starts, how many patterns, and how much the
    correction is damped are compared on held-out stretches of the training items. The forecast is
    the mean over all choices that cannot be told apart from the best there: records of weather are
    short, and picking one of many near-equals would be picking luck. The spread of a cell is the
    error of that mean on the held-out stretches. No intercept is fitted: where nothing is known
    the plain forecast stands.
    """

    inputs: tuple[tuple[str, ...], ...]
    """Sets of inputs that may be read."""

    start: tuple[tuple[str, ...], ...] = ((CLIMATOLOGY,),)
    """Sets of plain forecasts that may be corrected."""

    folds: FoldKind = "forward"
    """How items are held out."""

    predictors: Predictors = patterns
    """What is read of each input."""

    def __call__(self, case: FieldCase, context: Context) -> pd.DataFrame:
        """Answer a case."""
        return self.forecast(case, context).answers(case)

    def forecast(self, case: FieldCase, context: Context) -> FieldForecast:  # noqa: ARG002 (nothing random)
        """Return the forecast of the test items."""
        every = {name for some in self.inputs for name in some}
        plain = {name for some in self.start for name in some if name != CLIMATOLOGY}
        needed = sorted(every | {name.split(",")[0] for name in plain})
        learnt = case.complete(case.rows.learnt(), needed)
        chosen, spread = self._chosen(case, learnt)
        given = _Fold(case, self.predictors, learnt, case.rows.test).mean(chosen)
        return FieldForecast(
            Prediction(given, np.broadcast_to(spread, given.shape)),
            f"{chosen[0]} (and {len(chosen) - 1} that are as good)",
        )

    def _chosen(self, case: FieldCase, learnt: np.ndarray) -> tuple[list[Choice], np.ndarray]:
        """Return the choices, the best first, and the spread of each cell on held-out items."""
        folds = [_Fold(case, self.predictors, *fold) for fold in folds_of(case, learnt, self.folds)]
        assert folds, "there must be at least two blocks to learn from"
        choices = [Choice(*one) for one in product(self.inputs, self.start, COMPONENTS, PENALTIES)]
        losses = {one: np.concatenate([fold.losses(one) for fold in folds]) for one in choices}
        chosen = as_good_as_the_best(
            losses, np.concatenate([case.blocks[one.held] for one in folds])
        )
        errors = np.concatenate([case.truth[one.held] - one.mean(chosen) for one in folds])
        return chosen, spread_of(errors)


def as_good_as_the_best(losses: Mapping[Choice, np.ndarray], blocks: np.ndarray) -> list[Choice]:
    """Return the choices whose loss is within one standard error of the least, that one first.

    The standard error is that of the paired difference over blocks of time. On the rule: Hastie,
    Tibshirani and Friedman, The Elements of Statistical Learning, section 7.10.

    Args:
        losses: By choice, the squared error of each held-out item.
        blocks: Which stretch of time each item belongs to.
    """
    best = min(losses, key=lambda one: float(losses[one].mean()))
    near = [best]
    for one, loss in losses.items():
        apart = pd.Series(loss - losses[best]).groupby(blocks).mean()
        error = float(apart.std(ddof=1)) / np.sqrt(len(apart)) if len(apart) > 1 else 0.0
        if one != best and float(apart.mean()) <= error:
            near.append(one)
    return near


class _Fold:
    """The regression on some items, asked about others; what choices share is computed once."""

    def __init__(
        self, case: FieldCase, predictors: Predictors, learnt: np.ndarray, held: np.ndarray
    ) -> None:
        self.case, self.predictors, self.learnt, self.held = case, predictors, learnt, held
        self._starts: dict[tuple[str, ...], np.ndarray] = {}
        self._read: dict[tuple[str, ...], list[np.ndarray]] = {}

    def forecast(self, choice: Choice) -> Float[np.ndarray, "item lat lon"]:
        """Return the forecast of the held-out items."""
        rows = np.concatenate([self.learnt, self.held])
        start = self._start(choice.start)
        departure = (self.case.truth - start)[self.learnt].reshape(len(self.learnt), -1)
        read = self._reading(choice.inputs)
        design = np.concatenate([one[rows, : choice.components] for one in read], axis=1)
        seen, asked = design[: len(self.learnt)], design[len(self.learnt) :]
        gram = seen.T @ seen + choice.penalty * len(seen) * np.eye(seen.shape[1])
        slopes = np.linalg.solve(gram, seen.T @ np.nan_to_num(departure))
        correction = (asked @ slopes).reshape(len(asked), *self.case.truth.shape[1:])
        given: np.ndarray = start[self.held] + correction
        return given

    def mean(self, choices: Sequence[Choice]) -> Float[np.ndarray, "item lat lon"]:
        """Return the mean forecast of several choices."""
        total = self.forecast(choices[0])
        for one in choices[1:]:
            total += self.forecast(one)
        return total / len(choices)

    def losses(self, choice: Choice) -> Float[np.ndarray, " item"]:
        """Return the squared error of each held-out item."""
        return mean_square(self.case, self.case.truth[self.held] - self.forecast(choice))

    def _start(self, names: tuple[str, ...]) -> np.ndarray:
        if names not in self._starts:
            some = [self.case.reference(one, self.learnt) for one in names]
            self._starts[names] = np.mean(some, axis=0)
        return self._starts[names]

    def _reading(self, inputs: tuple[str, ...]) -> list[np.ndarray]:
        if inputs not in self._read:
            self._read[inputs] = self.predictors(self.case, inputs, self.learnt)
        return self._read[inputs]

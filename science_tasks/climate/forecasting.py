"""Forecasts that every forecaster tries first, and how later ones are chosen without the test."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from jaxtyping import Float

from kagaku.science_tasks.benchmark.task import Context
from kagaku.science_tasks.climate.field_case import CLIMATOLOGY, FieldCase
from kagaku.science_tasks.climate.verification import field_answers

FoldKind = Literal["forward", "around"]
"""How the training items are held out to choose: ``"forward"`` learns from what came before, for
long records and those that drift; ``"around"`` from both sides, for short ones."""

FOLDS = 5
"""How many stretches are held out."""

FIRST_SHARE = 0.4
"""Share of the blocks that the first forward fold learns from."""

DAMPINGS = tuple(np.linspace(0.0, 1.0, 21))
"""Shares of an anomaly that may persist."""

Fold = tuple[np.ndarray, np.ndarray]
"""Items to learn from and items held out."""


def folds_of(case: FieldCase, rows: np.ndarray, kind: FoldKind) -> list[Fold]:
    """Return folds of whole blocks; around a held-out stretch one block is left out on each side.

    Args:
        case: Whose items are dealt out.
        rows: Those to be dealt out, in order of time.
        kind: See `FoldKind`.
    """
    blocks = np.unique(case.blocks[rows])
    first = int(np.ceil(FIRST_SHARE * len(blocks))) if kind == "forward" else 0
    stretches = [one for one in np.array_split(blocks[first:], FOLDS) if len(one)]
    found = []
    for held in stretches:
        of_item = case.blocks[rows]
        before, after = of_item < held[0], of_item > held[-1]
        if kind == "around":
            gap = blocks[np.searchsorted(blocks, held[0]) - 1] if held[0] > blocks[0] else None
            before &= of_item != gap
            later = np.searchsorted(blocks, held[-1]) + 1
            after &= of_item != (blocks[later] if later < len(blocks) else None)
        learnt = before if kind == "forward" else before | after
        inside = (of_item >= held[0]) & (of_item <= held[-1])
        if learnt.any():
            found.append((rows[learnt], rows[inside]))
    return found


def spread_of(errors: Float[np.ndarray, "item lat lon"]) -> Float[np.ndarray, "lat lon"]:
    """Return the root mean square of errors by cell; NaN where none is known."""
    known = ~np.isnan(errors)
    counts = known.sum(axis=0)
    total = np.where(known, np.square(errors), 0.0).sum(axis=0)
    return np.where(counts > 0, np.sqrt(total / np.maximum(counts, 1)), np.nan)


def mean_square(case: FieldCase, errors: Float[np.ndarray, "item lat lon"]) -> np.ndarray:
    """Return the area-weighted mean square of the errors of each item, shape (item,)."""
    area = np.where(np.isnan(errors), 0.0, case.weights)
    squares = np.where(np.isnan(errors), 0.0, np.square(errors))
    total: np.ndarray = (area * squares).sum(axis=(1, 2)) / area.sum(axis=(1, 2))
    return total


@dataclass(frozen=True)
class Reference:
    """Answers with a forecast that needs no fitting; see `FieldCase.reference`."""

    name: str = CLIMATOLOGY
    """Which one."""

    def __call__(self, case: FieldCase, context: Context) -> pd.DataFrame:  # noqa: ARG002 (nothing random)
        """Answer a case; what is usual comes from its training part alone."""
        learnt = case.rows.train
        given = case.reference(self.name, learnt)
        inner = [] if self.name == CLIMATOLOGY else [self.name.split(",")[0]]
        known = case.complete(case.rows.learnt(), inner)
        spread = spread_of(case.truth[known] - given[known])
        test = case.rows.test
        return field_answers(case, given[test], np.broadcast_to(spread, given[test].shape))


@dataclass(frozen=True)
class Damped:
    """Answers with the climatology and a share of an input's anomaly.

    The share is the one that is best over the training items: a single number for all cells.
    """

    name: str
    """The input whose anomaly persists."""

    def __call__(self, case: FieldCase, context: Context) -> pd.DataFrame:  # noqa: ARG002 (nothing random)
        """Answer a case."""
        learnt = case.complete(case.rows.learnt(), [self.name])
        climatology, anomaly = case.climatology(learnt), case.anomaly(self.name, learnt)

        def forecast(share: float, rows: np.ndarray) -> np.ndarray:
            given: np.ndarray = climatology[rows] + share * anomaly[rows]
            return given

        def loss(share: float) -> float:
            return float(mean_square(case, case.truth[learnt] - forecast(share, learnt)).mean())

        share = min(DAMPINGS, key=loss)
        spread = spread_of(case.truth[learnt] - forecast(share, learnt))
        given = forecast(share, case.rows.test)
        answers = field_answers(case, given, np.broadcast_to(spread, given.shape))
        answers.attrs["chosen"] = f"{share:.2f} of the anomaly"
        return answers


@dataclass(frozen=True)
class MeanOf:
    """Answers with the mean of several forecasts that need no fitting."""

    names: Sequence[str]
    """Which ones."""

    def __call__(self, case: FieldCase, context: Context) -> pd.DataFrame:  # noqa: ARG002 (nothing random)
        """Answer a case."""
        learnt = case.rows.learnt()
        given = np.mean([case.reference(one, learnt) for one in self.names], axis=0)
        known = learnt[~np.isnan(given[learnt]).all(axis=(1, 2))]
        spread = spread_of(case.truth[known] - given[known])
        test = case.rows.test
        return field_answers(case, given[test], np.broadcast_to(spread, given[test].shape))


@dataclass(frozen=True)
class PatternScaling:
    """Answers with a straight line for each cell against the mean of an input over the region.

    The classical way to spread a simple model's warming over a map, introduced by Santer and others
    in 1990; T. D. Mitchell 2003, https://doi.org/10.1023/A:1026035305597.
    """

    name: str
    """The input whose area mean each cell is regressed on."""

    def __call__(self, case: FieldCase, context: Context) -> pd.DataFrame:  # noqa: ARG002 (nothing random)
        """Answer a case."""
        learnt = case.complete(case.rows.learnt(), [self.name])
        mean = case.anomaly(self.name, learnt).mean(axis=(1, 2))
        anomaly = case.truth - case.climatology(learnt)
        slope = np.tensordot(mean[learnt], anomaly[learnt], axes=1)
        slope = slope / max(float(np.square(mean[learnt]).sum()), 1e-12)
        given = case.climatology(learnt) + mean[:, None, None] * slope
        spread = spread_of(case.truth[learnt] - given[learnt])
        test = case.rows.test
        return field_answers(case, given[test], np.broadcast_to(spread, given[test].shape))

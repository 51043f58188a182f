"""Intervals for methods that compare nothing: a fold that they do not learn from sets the width."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from jaxtyping import Int

from kagaku.data import cross_validation_folds
from kagaku.data.records import EXACT
from kagaku.science_tasks.benchmark.cases import PropertyCase
from kagaku.science_tasks.benchmark.measures import GIVEN, HIGH, LOW
from kagaku.science_tasks.benchmark.task import Context, Method, Rows
from kagaku.science_tasks.conformal import Calibration, fewest_rows
from kagaku.science_tasks.prediction import Prediction

CONFIDENCE = 0.9
"""How often intervals shall hold the truth."""

FOLDS = 5
"""One of so many folds is held out."""

Asked = Callable[[np.ndarray, np.ndarray], Prediction]
"""Predicts some records, learning from others: rows to fit to, and rows that are asked."""


def calibrated(case: PropertyCase, asked: Asked, seed: int) -> Calibration | None:
    """Return the calibration of a method on a fifth of the training rows.

    None where the target is no number, or too few are measured exactly to promise `CONFIDENCE`.

    Args:
        case: What is asked.
        asked: The method.
        seed: Fixes which fifth.
    """
    sides = held_out_fold(case, seed) if case.target.kind == "regression" else None
    if sides is None:
        return None
    fitted, held = sides
    before, values = asked(fitted, held), case.measured.subset(held)
    return Calibration().fit(before, values, "regression", CONFIDENCE)


def held_out_fold(
    case: PropertyCase, seed: int
) -> tuple[Int[np.ndarray, " fitted"], Int[np.ndarray, " held"]] | None:
    """Return measured training rows to fit to, and others, as new as the test's, to calibrate on.

    None where too few are measured exactly to promise `CONFIDENCE`.
    """
    learnt = case.measured_rows()
    if len(learnt) < FOLDS * fewest_rows(CONFIDENCE):
        return None
    held, *others = cross_validation_folds(case.records, learnt, FOLDS, seed, kind=case.keeps_apart)
    n_exact = int((case.measured.censoring[held] == EXACT).sum())
    if not others or n_exact < fewest_rows(CONFIDENCE):
        return None
    return np.concatenate(others), held


@dataclass(frozen=True)
class Calibrated:
    """A method whose numbers get split-conformal intervals, of one width for all records.

    Where the target is a number, it is asked twice: about a fifth of the training rows, learning
    from the rest, and about the test rows. Source: Lei et al. 2018,
    https://doi.org/10.1080/01621459.2017.1307116
    """

    method: Method
    """What answers."""

    def __call__(self, case: PropertyCase, context: Context) -> pd.DataFrame:
        """Answer a case."""
        answers = self.method(case, context)

        def asked(fitted: np.ndarray, held: np.ndarray) -> Prediction:
            work = None if context.work is None else context.work / "calibration"
            part = replace(case, rows=Rows(fitted, held))
            return _alike(self.method(part, replace(context, work=work)))

        calibration = calibrated(case, asked, context.seed)
        if calibration is not None:
            answers[LOW], answers[HIGH] = calibration.interval(_alike(answers))
        return answers


def _alike(answers: pd.DataFrame) -> Prediction:
    """Return answers as predictions that are all as sure."""
    given = answers[GIVEN].to_numpy(np.float64)
    return Prediction(mean=given, spread=np.ones_like(given))

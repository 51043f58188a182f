"""Intervals for methods that compare nothing: a fold that they do not learn from sets the width."""

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


def held_out_fold(
    case: PropertyCase, seed: int
) -> tuple[Int[np.ndarray, " fitted"], Int[np.ndarray, " held"]] | None:
    """Return measured training rows to fit to, and others, as new as the test's, to calibrate on.

    None where too few are measured exactly to promise `CONFIDENCE`.
    """
    values = case.records.targets[case.target.name]
    learnt = case.rows.learnt()
    measured = learnt[values.present()[learnt]]
    if len(measured) < FOLDS * fewest_rows(CONFIDENCE):
        return None
    held, *others = cross_validation_folds(
        case.records, measured, FOLDS, seed, kind=case.keeps_apart
    )
    n_exact = int((values.censoring[held] == EXACT).sum())
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
        is_number = case.target.kind == "regression"
        sides = held_out_fold(case, context.seed) if is_number else None
        if sides is None:
            return answers
        fitted, held = sides
        work = None if context.work is None else context.work / "calibration"
        before = self.method(replace(case, rows=Rows(fitted, held)), replace(context, work=work))
        values = case.records.targets[case.target.name].subset(held)
        calibration = Calibration().fit(_alike(before), values, "regression", CONFIDENCE)
        answers[LOW], answers[HIGH] = calibration.interval(_alike(answers))
        return answers


def _alike(answers: pd.DataFrame) -> Prediction:
    """Return answers as predictions that are all as sure."""
    given = answers[GIVEN].to_numpy(np.float64)
    return Prediction(mean=given, spread=np.ones_like(given))

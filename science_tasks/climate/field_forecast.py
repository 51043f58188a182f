"""Forecasts of the test items of a case, before they are scored, and several of them together."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import pandas as pd

from kagaku.science_tasks.benchmark.task import Context
from kagaku.science_tasks.blending import blend
from kagaku.science_tasks.climate.field_case import FieldCase
from kagaku.science_tasks.climate.verification import answered
from kagaku.science_tasks.prediction import Prediction


@dataclass(frozen=True)
class FieldForecast:
    """What a method says of the test items of a case."""

    prediction: Prediction
    """Mean and spread of each field, in the case's unit."""

    chosen: str = ""
    """What the method chose, in words."""

    def answers(self, case: FieldCase) -> pd.DataFrame:
        """Return the answers to the case."""
        found = answered(case, self.prediction)
        if self.chosen:
            found.attrs["chosen"] = self.chosen
        return found


@runtime_checkable
class Forecaster(Protocol):
    """A method that can say what it forecasts."""

    def forecast(self, case: FieldCase, context: Context) -> FieldForecast:
        """Return the forecast of the test items."""


@dataclass(frozen=True)
class Together:
    """Answers with the mean of several methods; see `blend`."""

    methods: Sequence[Forecaster]
    """Which ones."""

    def __call__(self, case: FieldCase, context: Context) -> pd.DataFrame:
        """Answer a case."""
        return self.forecast(case, context).answers(case)

    def forecast(self, case: FieldCase, context: Context) -> FieldForecast:
        """Return the forecast of the test items."""
        found = [one.forecast(case, context) for one in self.methods]
        chosen = "; ".join(one.chosen for one in found if one.chosen)
        return FieldForecast(blend([one.prediction for one in found]), chosen)

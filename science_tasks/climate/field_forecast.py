"""Forecasts of the test items of a case, before they are scored, and several of them together."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import pandas as pd
from jaxtyping import Float

from kagaku.science_tasks.benchmark.task import Context
from kagaku.science_tasks.climate.field_case import FieldCase
from kagaku.science_tasks.climate.verification import field_answers


@dataclass(frozen=True)
class FieldForecast:
    """What a method says of the test items of a case."""

    mean: Float[np.ndarray, "item lat lon"]
    """In the case's unit."""

    spread: Float[np.ndarray, "item lat lon"]
    """Its standard deviation."""

    chosen: str = ""
    """What the method chose, in words."""

    def answers(self, case: FieldCase) -> pd.DataFrame:
        """Return the answers to the case."""
        found = field_answers(case, self.mean, self.spread)
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
    """Answers with the mean of several methods, each of which counts as much as any other.

    Their spread joins each one's own variance with their disagreement.
    """

    methods: Sequence[Forecaster]
    """Which ones."""

    def __call__(self, case: FieldCase, context: Context) -> pd.DataFrame:
        """Answer a case."""
        return self.forecast(case, context).answers(case)

    def forecast(self, case: FieldCase, context: Context) -> FieldForecast:
        """Return the forecast of the test items."""
        found = [one.forecast(case, context) for one in self.methods]
        means = np.stack([one.mean for one in found])
        variance = np.mean([np.square(one.spread) for one in found], axis=0) + means.var(axis=0)
        chosen = "; ".join(one.chosen for one in found if one.chosen)
        return FieldForecast(means.mean(axis=0), np.sqrt(variance), chosen)

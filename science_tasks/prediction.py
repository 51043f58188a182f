"""What every method gives: a centre and a spread, or class probabilities, per record."""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float


@dataclass(frozen=True)
class Prediction:
    """Predictions of one target before calibration, in the target's unit.

    Exactly one of the two forms is filled: ``mean`` with ``spread`` for regression and fields,
    ``probabilities`` for the class kinds.
    """

    mean: Float[np.ndarray, " record *grid"] | None = None
    """Expected value; (record,) for regression, (record, lat, lon) for fields."""

    spread: Float[np.ndarray, " record *grid"] | None = None
    """Predictive standard deviation, positive; the conformal scores are divided by it."""

    probabilities: Float[np.ndarray, "record choice"] | None = None
    """Binary and multiclass: rows sum to 1. Multilabel: independent probabilities. Per-token:
    (token, choice), the tokens of all records one after the other."""

    def subset(self, indices: np.ndarray) -> "Prediction":
        """Return the predictions of the records (or tokens) at ``indices``."""
        return replace(
            self,
            mean=None if self.mean is None else self.mean[indices],
            spread=None if self.spread is None else self.spread[indices],
            probabilities=None if self.probabilities is None else self.probabilities[indices],
        )

    def between(self, begin: int, end: int) -> "Prediction":
        """Return the predictions of some records (or tokens) in a row, as views without copies."""
        return replace(
            self,
            mean=None if self.mean is None else self.mean[begin:end],
            spread=None if self.spread is None else self.spread[begin:end],
            probabilities=None if self.probabilities is None else self.probabilities[begin:end],
        )

"""One number that makes a method's probabilities as sure as they ought to be.

A forest's shares are too timid and a network's probabilities too bold; compared as they are, the
log loss would punish the tone and not the ranking. Source: Guo et al. (2017),
https://arxiv.org/abs/1706.04599
"""

from collections.abc import Callable

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import expit, logit

from kagaku.science_tasks.prediction import Prediction

BOUNDS = (0.2, 5.0)
"""Temperatures that are looked at: below 1 a method becomes bolder, above it more timid."""

FEWEST_ROWS = 50
"""Fewer held-out records tell nothing of how sure a method is."""

LEAST_GAIN = 0.005
"""Share of the loss that a temperature has to save, or 1 stays."""

SMALLEST = 1e-6
"""Probabilities are kept so far from 0 and 1, where no temperature could move them."""


def tempered(given: Prediction, temperature: float, *, has_labels: bool) -> Prediction:
    """Return predictions whose log-odds are divided by a temperature; others as they are.

    Args:
        given: Probabilities, or a mean and spread.
        temperature: 1 changes nothing.
        has_labels: Whether each column is a label of its own, and not one of several choices.
    """
    if given.probabilities is None or temperature == 1:
        return given
    clipped = np.clip(given.probabilities, SMALLEST, 1 - SMALLEST)
    if has_labels:
        return Prediction(probabilities=expit(logit(clipped) / temperature))
    powers = clipped ** (1 / temperature)
    return Prediction(probabilities=powers / powers.sum(axis=1, keepdims=True))


def best_temperature(
    given: Prediction, loss: Callable[[Prediction], float], *, has_labels: bool
) -> float:
    """Return the temperature of the least loss; 1 where none is clearly better.

    Args:
        given: Held-out predictions.
        loss: Of predictions of the same records.
        has_labels: As in `tempered`.
    """
    if given.probabilities is None or len(given.probabilities) < FEWEST_ROWS:
        return 1.0

    def of(log_temperature: float) -> float:
        return loss(tempered(given, float(np.exp(log_temperature)), has_labels=has_labels))

    plain = loss(given)
    low, high = np.log(BOUNDS)
    found = minimize_scalar(of, bounds=(low, high), method="bounded", options={"xatol": 0.02})
    if not np.isfinite(plain) or found.fun > plain * (1 - LEAST_GAIN):
        return 1.0
    return float(np.exp(found.x))

"""Values that are only bounds ("<5", ">100"): what to expect of them, given a prediction."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Int
from scipy.stats import truncnorm

from kagaku.data.records import ABOVE, EXACT

ROUNDS = 3
"""How often bounds are replaced by expectations; changes after that are below the noise."""


def expected_beyond(
    bound: Float[np.ndarray, " record"],
    censoring: Int[np.ndarray, " record"],
    mean: Float[np.ndarray, " record"],
    spread: Float[np.ndarray, " record"],
) -> tuple[Float[np.ndarray, " record"], Float[np.ndarray, " record"]]:
    """Return mean and variance of each value, known to lie beyond its bound.

    Args:
        bound: What was written.
        censoring: On which side the truth lies; EXACT rows come back as written, variance 0.
        mean: Prediction for each record that did not see its own value.
        spread: Standard deviation of that prediction, positive.
    """
    value, variance = bound.astype(np.float64), np.zeros(len(bound))
    for row in np.flatnonzero(censoring != EXACT):
        # Past ten standard deviations the truncated normal is numerically the bound itself.
        edge = float(np.clip((bound[row] - mean[row]) / spread[row], -10.0, 10.0))
        low, high = (edge, np.inf) if censoring[row] == ABOVE else (-np.inf, edge)
        standard = truncnorm(low, high)
        value[row] = mean[row] + spread[row] * float(standard.mean())
        variance[row] = spread[row] ** 2 * float(standard.var())
    beyond = np.where(censoring == ABOVE, np.maximum(value, bound), np.minimum(value, bound))
    return np.where(censoring == EXACT, bound, beyond), variance


OutOfSample = Callable[
    [Float[np.ndarray, " record"]],
    tuple[Float[np.ndarray, " record"], Float[np.ndarray, " record"]],
]
"""Fits to the given values and returns, for the same records, mean and spread of predictions that
did not see the record's own value (out of bag, leave one out, or out of fold)."""


def resolve_bounds(
    values: Float[np.ndarray, " record"],
    censoring: Int[np.ndarray, " record"],
    out_of_sample: OutOfSample,
    *,
    rounds: int = ROUNDS,
) -> Float[np.ndarray, " record"]:
    """Return values in which every bound is replaced by what to expect beyond it.

    Expectation-maximisation in its simplest form: starting from the bounds themselves, fit, then
    replace each bound by the mean of the prediction truncated at it, and again. Without censored
    rows nothing is fitted.
    """
    current = values.astype(np.float64)
    if bool((censoring == EXACT).all()):
        return current
    for _ in range(rounds):
        mean, spread = out_of_sample(current)
        current, _ = expected_beyond(values.astype(np.float64), censoring, mean, spread)
    return current

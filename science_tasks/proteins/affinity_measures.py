"""Measures that the literature of drug-target affinity reports."""

import numpy as np
from jaxtyping import Float
from scipy.stats import kendalltau, pearsonr

from kagaku.science_tasks.metric_functions import SUMS
from kagaku.science_tasks.resampling import Sums

Numbers = Float[np.ndarray, " pair"]


def mean_square_error(truth: Numbers, given: Numbers) -> float:
    """Return the mean squared error, in the square of the target's unit."""
    return float(np.square(truth - given).mean())


MEAN_SQUARE_SUMS: Sums = (SUMS["RMSE"][0], lambda sums: sums[0] / sums[1])
"""The same by sums over pairs."""


def concordance_index(truth: Numbers, given: Numbers) -> float:
    """Return the share of pairs of different truth that are predicted in the right order.

    A pair with equal predictions counts half. Source: Gonen and Heller (2005),
    https://doi.org/10.1093/biomet/92.4.965

    From Kendall's tau-b, whose algorithm sorts: all pairs of 5,000 values in milliseconds.

    Example:
        >>> concordance_index(np.array([1.0, 2.0, 3.0]), np.array([1.0, 3.0, 2.0]))
        0.6666666666666666
    """
    total = len(truth) * (len(truth) - 1) / 2
    tied_truth, tied_given = _tied(truth[:, None]), _tied(given[:, None])
    comparable = total - tied_truth
    if not comparable:
        return float("nan")
    undecided = tied_given - _tied(np.stack([truth, given], axis=1))
    if tied_given == total:
        return 0.5
    spread = np.sqrt(comparable * (total - tied_given))
    surplus = float(kendalltau(truth, given).statistic) * spread
    concordant = (comparable - undecided + surplus) / 2
    return float((concordant + undecided / 2) / comparable)


def _tied(rows: Float[np.ndarray, "pair column"]) -> float:
    """Return how many pairs of rows are equal."""
    _, counts = np.unique(rows, axis=0, return_counts=True)
    return float((counts * (counts - 1) / 2).sum())


def modified_r2(truth: Numbers, given: Numbers) -> float:
    """Return rm2 as DeepDTA's code computes it: it squares both coefficients once more.

    r2 is the squared correlation, r02 the coefficient of determination of the regression of truth
    on prediction through the origin. Source: Roy and others (2013),
    https://doi.org/10.1002/jcc.23231, and ``get_rm2`` of
    https://github.com/hkmztrk/DeepDTA/blob/master/source/emetrics.py
    """
    if np.ptp(truth) == 0 or np.ptp(given) == 0:
        return float("nan")
    r2 = float(pearsonr(truth, given).statistic) ** 2
    slope = float(truth @ given / (given @ given))
    r02 = 1 - float(np.square(truth - slope * given).sum() / np.square(truth - truth.mean()).sum())
    return r2 * (1 - float(np.sqrt(abs(r2**2 - r02**2))))

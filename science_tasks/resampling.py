"""Bootstrap intervals over records, or over groups of records that belong together."""

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Float

BOOTSTRAPS = 500
"""Resamples behind every interval."""

Metric = Callable[[np.ndarray, np.ndarray], float]
"""(truth, prediction) of the same records -> score."""

Sums = tuple[Callable[[np.ndarray, np.ndarray], np.ndarray], Callable[[np.ndarray], np.ndarray]]
"""A metric in two steps: (truth, prediction) -> parts by record, (record, part); and summed parts,
(part, resample) -> metric by resample."""


def paired_difference(
    metric: Metric,
    y: np.ndarray,
    a: np.ndarray,
    b: np.ndarray,
    groups: np.ndarray | None = None,
    seed: int = 0,
) -> tuple[float, float, float]:
    """Return metric(y, a) - metric(y, b) and its 95% interval over paired bootstrap resamples.

    Both predictions are scored on the same resampled records, so what is hard for both cancels.

    Args:
        metric: Score of predictions; resamples where it is NaN are left out.
        y: Truth.
        a: Predictions of one method.
        b: Predictions of the other.
        groups: By record, what is resampled together.
        seed: Fixes the resampling.
    """

    def difference(rows: np.ndarray) -> float:
        return metric(y[rows], a[rows]) - metric(y[rows], b[rows])

    low, high = interval(difference, members_of(len(y), groups), seed)
    return difference(np.arange(len(y))), low, high


def interval(
    statistic: Callable[[np.ndarray], float], members: Sequence[np.ndarray], seed: int
) -> tuple[float, float]:
    """Return the interval of a statistic over resampled groups of rows."""
    rng = np.random.default_rng(seed)
    values = []
    for _ in range(BOOTSTRAPS if len(members) > 1 else 0):
        drawn = rng.integers(0, len(members), len(members))
        values.append(statistic(np.concatenate([members[i] for i in drawn])))
    return central(np.array(values))


def interval_of_sums(
    sums: Float[np.ndarray, "record part"],
    total: Callable[[np.ndarray], np.ndarray],
    members: Sequence[np.ndarray],
    seed: int,
) -> tuple[float, float]:
    """Return the same interval for a statistic that is a function of sums over records.

    All resamples are one matrix product, hundreds of times faster than scoring each.
    """
    if len(members) < 2:
        return float("nan"), float("nan")
    rng = np.random.default_rng(seed)
    of_groups = np.stack([sums[rows].sum(axis=0) for rows in members])
    counts = np.zeros((BOOTSTRAPS, len(members)))
    drawn = rng.integers(0, len(members), counts.shape)
    np.add.at(counts, (np.arange(BOOTSTRAPS)[:, None], drawn), 1.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        values = total((counts @ of_groups).T)
    return central(values)


def central(values: np.ndarray) -> tuple[float, float]:
    """Return the ends of the central 95% of the finite values; NaN if there are none."""
    finite = values[np.isfinite(values)]
    if not len(finite):
        return float("nan"), float("nan")
    low, high = np.quantile(finite, [0.025, 0.975])
    return float(low), float(high)


def members_of(n_records: int, groups: np.ndarray | None) -> Sequence[np.ndarray]:
    """Return the rows of each group; every row is its own group without groups."""
    if groups is None:
        return [np.array([i]) for i in range(n_records)]
    # As strings, so that a group column may mix numbers and words.
    _, codes = np.unique(np.asarray(groups).astype(str), return_inverse=True)
    order = np.argsort(codes, kind="stable")
    return np.split(order, np.cumsum(np.bincount(codes))[:-1])

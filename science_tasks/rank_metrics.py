"""Metrics that look at order, scored on many resamples at once.

A resample is how often each record was drawn. Records are sorted once; the ranks, areas and pairs
of every resample are then cumulative sums of those counts. Equal values stay together, so ties
count as they do when each resample is scored alone. Counts are whole numbers, and so exact.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float

Counts = Float[np.ndarray, "record resample"]
Scores = Callable[[Counts], Float[np.ndarray, " resample"]]
"""How often each resample holds each record -> the score of each resample; NaN where undefined."""

Ranked = Callable[[np.ndarray, np.ndarray], Scores]
"""A metric in two steps: (truth, prediction) of all records, then counts -> score by resample."""


class _Ties:
    """Records in ascending order of their values, equal ones together."""

    def __init__(self, *keys: np.ndarray) -> None:
        self._order = np.lexsort(keys)
        new = np.zeros(len(self._order), dtype=bool)
        new[:1] = True
        for one in keys:
            ordered = one[self._order]
            new[1:] |= ordered[1:] != ordered[:-1]
        self.firsts = np.flatnonzero(new)
        self.group = np.empty(len(new), dtype=np.int64)
        self.group[self._order] = np.cumsum(new) - 1

    def sums(self, counts: Counts) -> Float[np.ndarray, "group resample"]:
        """Return what each group of equal values was drawn."""
        return np.asarray(np.add.reduceat(counts[self._order], self.firsts, axis=0))


def area_under_curve(truth: np.ndarray, given: np.ndarray) -> Scores:
    """Return the area under the ROC curve of resamples; NaN where only one class was drawn.

    Args:
        truth: 1 or 0 by record.
        given: Chances of both classes, (record, 2).
    """
    ties, positive = _Ties(given[:, 1]), (truth == 1)[:, None]

    def scores(counts: Counts) -> np.ndarray:
        hits = ties.sums(counts * positive)
        misses = ties.sums(counts) - hits
        won = hits * (np.cumsum(misses, axis=0) - misses / 2)
        return _ratio(won.sum(axis=0), hits.sum(axis=0) * misses.sum(axis=0))

    return scores


def average_precision(truth: np.ndarray, given: np.ndarray) -> Scores:
    """Return the average precision of resamples; NaN where nothing positive was drawn.

    Args:
        truth: 1 or 0 by record.
        given: Chances of both classes, (record, 2).
    """
    ties, positive = _Ties(-given[:, 1]), (truth == 1)[:, None]

    def scores(counts: Counts) -> np.ndarray:
        hits, drawn = ties.sums(counts * positive), ties.sums(counts)
        # Where nothing is drawn yet there are no hits either, so the quotient is 0.
        precision = np.cumsum(hits, axis=0) / np.maximum(np.cumsum(drawn, axis=0), 1)
        return _ratio((hits * precision).sum(axis=0), hits.sum(axis=0))

    return scores


def macro_area(truth: np.ndarray, given: np.ndarray) -> Scores:
    """Return the mean area under the ROC curve over the labels of which both classes were drawn.

    Args:
        truth: 1, 0 or NaN, (record, label).
        given: Chances of 1, (record, label).
    """
    labels = []
    for label, chance in zip(truth.T, given.T, strict=True):
        known = np.flatnonzero(~np.isnan(label))
        if len(known):
            table = np.stack([1 - chance[known], chance[known]], axis=1)
            labels.append((known, area_under_curve(label[known], table)))

    def scores(counts: Counts) -> np.ndarray:
        total, number = np.zeros(counts.shape[1]), np.zeros(counts.shape[1])
        for known, area in labels:
            values = area(counts[known])
            finite = np.isfinite(values)
            total[finite] += values[finite]
            number += finite
        return _ratio(total, number)

    return scores


def spearman(truth: np.ndarray, given: np.ndarray) -> Scores:
    """Return the rank correlation of resamples; NaN where truth or prediction does not vary."""
    true_ties, given_ties = _Ties(truth), _Ties(given)

    def scores(counts: Counts) -> np.ndarray:
        true_ranks, true_spread = _centred_ranks(true_ties, counts)
        given_ranks, given_spread = _centred_ranks(given_ties, counts)
        both = (counts * true_ranks[true_ties.group] * given_ranks[given_ties.group]).sum(axis=0)
        found = _ratio(both, np.sqrt(true_spread) * np.sqrt(given_spread))
        return np.asarray(np.clip(found, -1, 1))

    return scores


def _centred_ranks(
    ties: _Ties, counts: Counts
) -> tuple[Float[np.ndarray, "group resample"], Float[np.ndarray, " resample"]]:
    """Return the mean rank of each group, less the mean of all ranks, and their summed squares."""
    drawn = ties.sums(counts)
    ranks = np.cumsum(drawn, axis=0) - drawn / 2 - drawn.sum(axis=0) / 2
    return ranks, (drawn * ranks**2).sum(axis=0)


def concordance(truth: np.ndarray, given: np.ndarray) -> Scores:
    """Return the share of pairs of different truth in the right order, ties counted half.

    Two ranks of truth first differ in one binary digit. Digit by digit, records that agree in all
    higher digits are sorted by their predictions, and those with a 0 that stand below those with a
    1 are counted: n log n steps for all n^2 pairs.
    """
    levels, code = np.unique(truth, return_inverse=True)
    true_ties = _Ties(code)
    digits = []
    for digit in range(max(len(levels) - 1, 0).bit_length()):
        prefix = code >> (digit + 1)
        ties = _Ties(given, prefix)
        of_group = np.empty(len(ties.firsts), dtype=np.int64)
        of_group[ties.group] = prefix
        digits.append(((code >> digit & 1)[:, None], ties, _Ties(of_group)))

    def scores(counts: Counts) -> np.ndarray:
        won = np.zeros(counts.shape[1])
        for upper, ties, prefixes in digits:
            high = ties.sums(counts * upper)
            low = ties.sums(counts) - high
            below = np.cumsum(low, axis=0) - low / 2
            of_prefix = prefixes.sums(low)
            # What lies below a prefix altogether was counted with it, and is taken off.
            before = np.cumsum(of_prefix, axis=0) - of_prefix
            won += (high * below).sum(axis=0) - (prefixes.sums(high) * before).sum(axis=0)
        same, drawn = true_ties.sums(counts), counts.sum(axis=0)
        return _ratio(won, (drawn**2 - (same**2).sum(axis=0)) / 2)

    return scores


def _ratio(above: np.ndarray, below: np.ndarray) -> Float[np.ndarray, " resample"]:
    """Return a quotient; NaN where the divisor is 0."""
    found = np.full(len(above), np.nan)
    np.divide(above, below, out=found, where=below > 0)
    return found


RANKED_NUMBERS: dict[str, Ranked] = {"Spearman": spearman}
RANKED_CLASSES: dict[str, Ranked] = {
    "ROC-AUC": area_under_curve,
    "average precision": average_precision,
}
RANKED_LABELS: dict[str, Ranked] = {"macro ROC-AUC": macro_area}
"""By a metric's usual name, for each kind of target. The tests hold them against the libraries."""

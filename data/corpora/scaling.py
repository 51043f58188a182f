"""Mean and spread of computed descriptors over the training samples of a corpus."""

from collections.abc import Sequence

import numpy as np

from kagaku.data.corpora.cleaning import Partition
from kagaku.data.corpora.manifest import DescriptorScale
from kagaku.data.corpora.selection import TRAINING

MOST_ROWS_PER_SOURCE = 200_000
"""Samples of one source that the quantiles are taken of; their error is far below their use."""

TAIL = 0.005
"""Share of the values at each end that is pulled in to the quantile there: one absurd molecule
(a polymer of 300 atoms) must not set the scale of all."""


class DescriptorSample:
    """Gathers descriptors source by source; gives their scale.

    Args:
        names: What the descriptors are called.
    """

    def __init__(self, names: tuple[str, ...]) -> None:
        self._names = names
        self._rows: list[np.ndarray] = []

    def add(self, partitions: Sequence[Partition], fate: np.ndarray) -> None:
        """Add the training samples of a source; one without molecules adds nothing."""
        if not partitions[0].descriptors().shape[1]:
            return
        every = -(-int(np.count_nonzero(fate == TRAINING)) // MOST_ROWS_PER_SOURCE) or 1
        start = 0
        for one in partitions:
            training = np.flatnonzero(fate[start : start + len(one.keys)] == TRAINING)
            self._rows.append(one.descriptors()[training[::every]])
            start += len(one.keys)

    def scale(self) -> DescriptorScale | None:
        """Return mean and standard deviation of each; None where there was no molecule."""
        if not self._rows:
            return None
        values = np.concatenate(self._rows)
        mean, std = [], []
        for column in values.T.astype(np.float64):
            present = column[np.isfinite(column)]
            if not len(present):
                present = np.zeros(1)
            low, high = np.quantile(present, [TAIL, 1 - TAIL])
            if low == high:  # a count that is nearly always 0 keeps its few other values
                low, high = present.min(), present.max()
            pulled = present.clip(low, high)
            mean.append(float(pulled.mean()))
            std.append(float(pulled.std()) or 1.0)
        return DescriptorScale(self._names, tuple(mean), tuple(std))

"""Applicability domain: how far a record is from everything that a model was trained on."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int
from sklearn.metrics import pairwise_distances

from kagaku.errors import InputError
from kagaku.science_tasks.features import FeatureBlock
from kagaku.science_tasks.spaced import spaced
from kagaku.science_tasks.stored_blocks import blocks_from_state, blocks_to_state

NEIGHBOURS = 3
"""How many nearest training records a distance is the mean over."""

PERCENTILE = 95.0
"""Share of the training records, left out in turn, that count as in the domain, in percent."""

MAX_REFERENCES = 20_000
"""Most training records that distances are measured to; of more, evenly spaced ones serve."""

MAX_LEFT_OUT = 2_000
"""Most training records that are left out in turn to set the threshold, evenly spaced."""

_PAIRS = 4_000_000
"""Pairs whose distances are held at once: 32 MB a matrix."""


class Applicability:
    """In-domain verdicts from the distance to the nearest training records.

    The distance of two records is the mean over the inputs that the first one has; that of one
    input is the mean over its blocks. A block of counts has the Tanimoto distance, 0 to 1. A dense
    block has the Euclidean distance divided by the median distance between training records, so
    that 1 is what two unrelated training records have. An input that the training record lacks
    counts 1. A new record's distance is the mean of those to its three nearest training records:
    0 means that all three are identical to it. A record without any input is infinitely far.

    In the domain is what is no further than 95% of the training records are from those of other
    groups. With the folds of the cross-validation as groups, replicates and neighbouring months do
    not make the domain too narrow, and the verdict says whether a record is as near as those that
    the intervals were calibrated on.
    """

    def __init__(self) -> None:
        self._blocks: list[FeatureBlock] = []
        self._units: list[float] = []
        self._threshold = 0.0

    @classmethod
    def fit(
        cls, blocks: Sequence[FeatureBlock], groups: Int[np.ndarray, " record"] | None = None
    ) -> "Applicability":
        """Return the domain of training records.

        Args:
            blocks: Features of the training records; all blocks have the same records.
            groups: By training record, the group within which distances set no threshold, such as
                the fold that it was held out in; None makes each record its own group.

        Raises:
            InputError: There is no block or no record.
        """
        if not blocks or not len(blocks[0].present):
            raise InputError(
                "there are no training features to measure distances to",
                fix="Give at least one training record with an input that is not empty.",
            )
        chosen = spaced(len(blocks[0].present), MAX_REFERENCES)
        domain = cls()
        domain._blocks = [block.subset(chosen) for block in blocks]
        domain._units = [_typical_distance(block) for block in domain._blocks]
        left_out = spaced(len(chosen), MAX_LEFT_OUT)
        codes = np.arange(len(blocks[0].present)) if groups is None else groups
        distances = domain._nearest(
            [block.subset(left_out) for block in domain._blocks],
            (codes[chosen][left_out], codes[chosen]),
        )
        finite = distances[np.isfinite(distances)]
        domain._threshold = float(np.percentile(finite, PERCENTILE)) if len(finite) else 0.0
        return domain

    @property
    def threshold(self) -> float:
        """The largest distance that still counts as in the domain, dimensionless."""
        return self._threshold

    def distance(self, blocks: Sequence[FeatureBlock]) -> Float[np.ndarray, " record"]:
        """Return each record's distance to the training records, dimensionless.

        Raises:
            InputError: The blocks are not those of `fit`.
        """
        self._check(blocks)
        return self._nearest(blocks, None)

    def in_domain(self, distances: Float[np.ndarray, " record"]) -> Bool[np.ndarray, " record"]:
        """Return which distances are those of records like the training records."""
        # A hair of tolerance, so that rounding does not decide on a training record.
        verdicts: np.ndarray = distances <= self._threshold * (1 + 1e-6) + 1e-9
        return verdicts

    def state(self) -> dict[str, Any]:
        """Return the training features, the units of distance and the threshold."""
        return {
            "blocks": blocks_to_state(self._blocks),
            "units": list(self._units),
            "threshold": self._threshold,
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Restore what `state` gave."""
        self._blocks = blocks_from_state(state["blocks"])
        self._units = [float(unit) for unit in state["units"]]
        self._threshold = float(state["threshold"])

    def _check(self, blocks: Sequence[FeatureBlock]) -> None:
        expected = [(block.name, block.values.shape[1]) for block in self._blocks]
        given = [(block.name, block.values.shape[1]) for block in blocks]
        if expected != given:
            raise InputError(
                f"the domain was fitted on the features {expected}, but got {given}",
                fix="Predict with the same inputs as in fitting.",
            )

    def _nearest(
        self, blocks: Sequence[FeatureBlock], groups: tuple[np.ndarray, np.ndarray] | None
    ) -> Float[np.ndarray, " record"]:
        """Return mean distances to the nearest references.

        Args:
            blocks: Features of the records.
            groups: Of the records and of the references; equal ones do not count as neighbours.
        """
        n_records, n_references = len(blocks[0].present), len(self._blocks[0].present)
        nearest = np.full(n_records, np.inf)
        k = min(NEIGHBOURS, n_references - (groups is not None))
        if k < 1:
            return nearest
        step = max(1, _PAIRS // n_references)
        for start in range(0, n_records, step):
            rows = np.arange(start, min(start + step, n_records))
            distances = self._pair_distances([block.subset(rows) for block in blocks])
            if groups is not None:
                distances[groups[0][rows][:, None] == groups[1][None, :]] = np.inf
            distances.partition(k - 1, axis=1)
            nearest[rows] = distances[:, :k].mean(axis=1)
        return nearest

    def _pair_distances(self, blocks: Sequence[FeatureBlock]) -> np.ndarray:
        """Return the distance of each record to each reference, float64."""
        shape = len(blocks[0].present), len(self._blocks[0].present)
        total, n_inputs = np.zeros(shape), np.zeros(shape[0])
        for indices in _by_input(self._blocks):
            summed, n_blocks = np.zeros(shape), np.zeros(shape[0])
            for index in indices:
                new, known = blocks[index], self._blocks[index]
                distances = _distances(new, known, self._units[index])
                distances[:, ~known.present] = 1.0
                distances[~new.present] = 0.0
                summed += distances
                n_blocks += new.present
            total += summed / np.maximum(n_blocks, 1)[:, None]
            n_inputs += n_blocks > 0
        total /= np.maximum(n_inputs, 1)[:, None]
        total[n_inputs == 0] = np.inf
        return total


def tanimoto_distances(
    left: Float[np.ndarray, "left count"], right: Float[np.ndarray, "right count"]
) -> Float[np.ndarray, "left right"]:
    """Return 1 - a.b / (a.a + b.b - a.b), the Tanimoto distance of counts, float64.

    Two empty vectors are identical. On 0/1 vectors it is the Jaccard distance. Source: Willett,
    Barnard and Downs (1998), https://doi.org/10.1021/ci9800211

    Example:
        >>> tanimoto_distances(np.array([[2.0, 1.0]]), np.array([[2.0, 0.0], [2.0, 1.0]])).tolist()
        [[0.19999999999999996, 0.0]]
    """
    # Products of counts are whole numbers: exact in float32 below 2^24, and twice as fast.
    a, b = np.asarray(left, dtype=np.float32), np.asarray(right, dtype=np.float32)
    products = (a @ b.T).astype(np.float64)
    squares_a, squares_b = (np.einsum("ij,ij->i", m, m, dtype=np.float64) for m in (a, b))
    union = squares_a[:, None] + squares_b[None, :] - products
    similarity: np.ndarray = np.divide(products, union, out=np.ones_like(products), where=union > 0)
    return 1.0 - similarity


def _distances(new: FeatureBlock, known: FeatureBlock, unit: float) -> np.ndarray:
    if known.kernel == "tanimoto":
        return tanimoto_distances(new.values, known.values)
    euclidean: np.ndarray = pairwise_distances(
        new.values.astype(np.float64), known.values.astype(np.float64)
    )
    return euclidean / unit


def _typical_distance(block: FeatureBlock) -> float:
    """Return the median distance between training records that have the input; 1 if it is 0."""
    present = np.flatnonzero(block.present)
    sample = block.values[present[spaced(len(present), 1_000)]]
    if block.kernel == "tanimoto" or len(sample) < 2:
        return 1.0
    distances = pairwise_distances(sample.astype(np.float64))
    between = distances[np.triu_indices(len(sample), k=1)]
    # Where most records are alike (a constant condition), the others' distance is the yardstick.
    apart = between[between > 0]
    if not len(apart):
        return 1.0
    return float(np.median(between)) or float(np.median(apart))


def _by_input(blocks: Sequence[FeatureBlock]) -> Iterator[list[int]]:
    """Yield the indices of each input's blocks; the input is what stands before the last colon."""
    inputs = [block.name.rpartition(":")[0] for block in blocks]
    for name in dict.fromkeys(inputs):
        yield [index for index, other in enumerate(inputs) if other == name]

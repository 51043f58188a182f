"""Vectors of records, in their order, and what could not be embedded."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from kagaku.data import BadCell, Records


@dataclass(frozen=True)
class Embedded:
    """The vectors of some records, in their order, and what could not be embedded."""

    rows: Int[np.ndarray, " record"]
    """See `Records.rows`; every row of the input, the bad ones too."""

    ids: tuple[str, ...] | None
    """See `Records.ids`."""

    vectors: Float[np.ndarray, "record dim"]
    """Float32; NaN where the row could not be used."""

    is_bad: Bool[np.ndarray, " record"]
    """Which rows could not be used."""

    bad: tuple[BadCell, ...]
    """Why, cell by cell."""

    n_tokens: int
    """How many tokens the records have together; letters, if the encoder is a public one."""

    def __len__(self) -> int:
        return len(self.rows)


def with_bad_rows(
    records: Records,
    vectors: Float[np.ndarray, "good dim"],
    bad: Sequence[BadCell],
    tokens: int,
) -> Embedded:
    """Return the vectors of the good records, with an empty one for each record with a bad cell.

    Args:
        records: All records, good and bad.
        vectors: Those of the good ones, in their order.
        bad: The bad cells.
        tokens: See `Embedded.n_tokens`.
    """
    rejected = {cell.row for cell in bad}
    is_bad = np.array([int(row) in rejected for row in records.rows], dtype=bool)
    filled = np.full((len(records), vectors.shape[1]), np.nan, dtype=np.float32)
    filled[~is_bad] = vectors
    return Embedded(records.rows, records.ids, filled, is_bad, tuple(bad), tokens)

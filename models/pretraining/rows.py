"""Fixed rows: packed records laid in rows of one length, so that every batch has one shape.

Compiled kernels and oneDNN primitives are built per shape. A stream of records of all lengths
changes shape at every step; rows of fixed length, each holding several records kept apart by a
mask, do not. The few places left empty at the end of rows are computed and thrown away.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Int
from torch import Tensor

from kagaku.models.attention import Run, SegmentLayout

NO_RECORD = -1
"""In place of a record's number where a row is empty."""


@dataclass(frozen=True)
class FixedRows:
    """Where each token of a packed batch stands in rows of one length.

    A worker process makes it. Who may look at whom follows from it, and is written down only on the
    device that attends: that is one truth value per pair of places of a row.
    """

    order: Int[Tensor, " place"]
    """The token of the packed stream that stands at each place; 0 at empty ones."""

    inverse: Int[Tensor, " token"]
    """The place of each token of the packed stream."""

    record: Int[Tensor, "row slot"]
    """Number of the record that stands at each place; `NO_RECORD` at empty ones."""

    within: Int[Tensor, "row slot"]
    """How many tokens of its record come before it."""

    prefix: Int[Tensor, "row slot"]
    """How many leading tokens of its record all of them may look at."""

    def to(self, device: torch.device | str) -> "FixedRows":
        """Return the same rows on another device."""
        parts = (self.order, self.inverse, self.record, self.within, self.prefix)
        return FixedRows(*(one.to(device) for one in parts))

    def layout(self) -> SegmentLayout:
        """Return the layout by which the backbone attends: one run, with a mask."""
        n_rows, row_length = self.record.shape
        run = Run(0, n_rows, row_length, self.mask().unsqueeze(1))
        return SegmentLayout(self.order, self.inverse, (run,))

    def mask(self) -> Bool[Tensor, "row query key"]:
        """Return which place may look at which; empty ones look at themselves."""
        mask = self.within[:, None, :] <= self.within[:, :, None]
        mask |= (self.within < self.prefix)[:, None, :]
        mask &= self.record[:, :, None] == self.record[:, None, :]
        mask &= (self.record != NO_RECORD)[:, None, :]
        mask.diagonal(dim1=1, dim2=2).fill_(value=True)
        return mask


def fixed_rows(
    record_offsets: Int[Tensor, " record_plus_one"],
    prefix_lengths: Int[Tensor, " record"],
    rows: Sequence[Sequence[int]],
    row_length: int,
) -> FixedRows:
    """Return where each token of a packed batch stands when its records are laid in rows.

    Args:
        record_offsets: Where each record starts; see `PackedBatch.record_offsets`.
        prefix_lengths: How many leading tokens of each record all its tokens may look at; the
            record's whole length for attention in both directions.
        rows: The records of each row, each record in exactly one of them.
        row_length: Tokens per row; the records of a row fit in it together.
    """
    offsets = record_offsets.numpy()
    lengths = np.diff(offsets)
    n_places = len(rows) * row_length
    order = np.zeros(n_places, dtype=np.int64)
    inverse = np.zeros(int(offsets[-1]), dtype=np.int64)
    # Narrow integers, since the mask compares each with all others of its row.
    record_at = np.full(n_places, NO_RECORD, dtype=np.int32)
    within = np.zeros(n_places, dtype=np.int32)
    prefix = np.zeros(n_places, dtype=np.int32)
    for number, records in enumerate(rows):
        place = number * row_length
        for record in records:
            length = int(lengths[record])
            stop = place + length
            assert stop <= (number + 1) * row_length
            order[place:stop] = np.arange(offsets[record], offsets[record + 1])
            inverse[offsets[record] : offsets[record + 1]] = np.arange(place, stop)
            record_at[place:stop] = record
            within[place:stop] = np.arange(length)
            prefix[place:stop] = int(prefix_lengths[record])
            place = stop
    shape = (len(rows), row_length)
    return FixedRows(
        torch.from_numpy(order),
        torch.from_numpy(inverse),
        *(torch.from_numpy(one.reshape(shape)) for one in (record_at, within, prefix)),
    )

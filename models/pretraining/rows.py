"""Fixed rows: packed records laid in rows of one length, so that every batch has one shape.

Compiled kernels and oneDNN primitives are built per shape. A stream of records of all lengths
changes shape at every step; rows of fixed length, each holding several records kept apart by a
mask, do not. The few places left empty at the end of rows are computed and thrown away.
"""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from kagaku.models.attention import Run, SegmentLayout


def row_layout(
    record_offsets: Int[Tensor, " record_plus_one"],
    prefix_lengths: Int[Tensor, " record"],
    rows: Sequence[Sequence[int]],
    row_length: int,
) -> SegmentLayout:
    """Return the layout that puts each record of a packed batch into its row.

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
    segment = np.full(n_places, -1, dtype=np.int32)
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
            segment[place:stop] = record
            within[place:stop] = np.arange(length)
            prefix[place:stop] = int(prefix_lengths[record])
            place = stop
    mask = _mask(*(one.reshape(len(rows), row_length) for one in (segment, within, prefix)))
    run = Run(0, len(rows), row_length, torch.from_numpy(mask).unsqueeze(1))
    return SegmentLayout(torch.from_numpy(order), torch.from_numpy(inverse), (run,))


def _mask(
    segment: Int[np.ndarray, "row place"],
    within: Int[np.ndarray, "row place"],
    prefix: Int[np.ndarray, "row place"],
) -> np.ndarray:
    """Return which place may look at which, bool (row, query, key); empty ones at themselves."""
    is_prefix = (within < prefix)[:, None, :]
    mask = within[:, None, :] <= within[:, :, None]
    mask |= is_prefix
    mask &= segment[:, :, None] == segment[:, None, :]
    mask &= (segment >= 0)[:, None, :]
    places = np.arange(segment.shape[1])
    mask[:, places, places] = True
    return mask

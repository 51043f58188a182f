"""Attention inside the records of a packed batch, without padding.

Records of equal length are attended to together: the stream is sorted by length once per batch,
so each run of equal lengths is a plain slice that scaled-dot-product attention reads as a batch.
On CPU this is the only exact option (FlexAttention has no backward there and `varlen_attn` no CPU
kernel, seen with torch 2.13); on CUDA it works as well.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention


@dataclass(frozen=True)
class Run:
    """Records of one length that stand side by side in the sorted stream."""

    start: int
    """First token of the run."""

    n_records: int
    """How many records it has."""

    length: int
    """Tokens per record."""

    mask: Bool[Tensor, "record 1 query key"] | None
    """Which token may look at which; None where all may look at all."""


@dataclass(frozen=True)
class SegmentLayout:
    """How a packed stream is sorted into runs of equal-length records."""

    order: Int[Tensor, " token"]
    """The token of the packed stream that comes at each place of the sorted stream."""

    inverse: Int[Tensor, " token"]
    """The place in the sorted stream of each token of the packed stream."""

    runs: tuple[Run, ...]
    """The runs, shortest records first."""


def segment_layout(
    record_offsets: Int[Tensor, " record_plus_one"],
    prefix_lengths: Int[Tensor, " record"] | None = None,
) -> SegmentLayout:
    """Return the layout of a packed batch.

    Args:
        record_offsets: Where each record starts; see `PackedBatch.record_offsets`.
        prefix_lengths: For prefix-causal attention, how many leading tokens of each record all
            may look at; None for bidirectional attention.
    """
    lengths = record_offsets.diff()
    by_length = torch.argsort(lengths, stable=True)
    starts = record_offsets[:-1][by_length]
    sorted_lengths = lengths[by_length]
    ends = sorted_lengths.cumsum(0)
    within = torch.arange(int(record_offsets[-1]), device=lengths.device)
    within = within - torch.repeat_interleave(ends - sorted_lengths, sorted_lengths)
    order = torch.repeat_interleave(starts, sorted_lengths) + within
    inverse = torch.empty_like(order)
    inverse[order] = torch.arange(len(order), device=order.device)

    runs, token, record = [], 0, 0
    distinct, counts = torch.unique_consecutive(sorted_lengths, return_counts=True)
    for length, count in zip(distinct.tolist(), counts.tolist(), strict=True):
        if length > 0:
            chosen = by_length[record : record + count]
            mask = None
            if prefix_lengths is not None:
                mask = prefix_causal_mask(length, prefix_lengths[chosen])
            runs.append(Run(token, count, length, mask))
        token += length * count
        record += count
    return SegmentLayout(order, inverse, tuple(runs))


def prefix_causal_mask(
    length: int, prefix_lengths: Int[Tensor, " record"]
) -> Bool[Tensor, "record 1 query key"]:
    """Return which key each query may look at: the prefix, itself, and what came before it."""
    place = torch.arange(length, device=prefix_lengths.device)
    causal = place[None, :] <= place[:, None]
    prefix = place[None, None, :] < prefix_lengths[:, None, None]
    return (causal[None] | prefix).unsqueeze(1)


def packed_attention(
    query: Float[Tensor, "token head head_dim"],
    key: Float[Tensor, "token head head_dim"],
    value: Float[Tensor, "token head head_dim"],
    runs: tuple[Run, ...],
) -> Float[Tensor, "token head head_dim"]:
    """Return attention of every token over its own record; tokens are in sorted order."""
    if not runs:
        return query
    outputs = []
    for run in runs:
        stop = run.start + run.n_records * run.length
        shape = (run.n_records, run.length, *query.shape[1:])
        q, k, v = (x[run.start : stop].view(shape).transpose(1, 2) for x in (query, key, value))
        attended = scaled_dot_product_attention(q, k, v, attn_mask=run.mask)
        outputs.append(attended.transpose(1, 2).reshape(-1, *query.shape[1:]))
    return torch.cat(outputs)

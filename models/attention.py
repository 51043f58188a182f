"""Attention inside the records of a packed batch, without padding.

Records of equal length are attended to together: the stream is sorted by length once per batch,
so each run of equal lengths is a plain slice that scaled-dot-product attention reads as a batch.
On CPU this is the only exact option (FlexAttention has no backward there and `varlen_attn` no CPU
kernel, seen with torch 2.13); `attention_kernels.py` has one call for all records on CUDA, and a
faster way for bfloat16 on a CPU. Filling records of nearly equal length up, so that they share a
call, was slower on a CPU (8,600 residues per second without, 8,060 with an eighth of slack).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

LONGEST_BIASED = 512
"""Tokens of the longest rows for which attention logits are held in memory on a CPU."""


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

    bias: Float[Tensor, "record 1 query key"] | None = None
    """The mask as numbers to add to attention logits, 0 or minus infinity; see `with_biases`."""

    def arranged(self, x: Tensor) -> Tensor:
        """Return the run's part of a sorted stream (token, ...), as (record, place, ...)."""
        stop = self.start + self.n_records * self.length
        return x[self.start : stop].view(self.n_records, self.length, *x.shape[1:])


@dataclass(frozen=True)
class SegmentLayout:
    """How a packed stream is sorted into runs of equal-length records."""

    order: Int[Tensor, " place"]
    """The token of the packed stream that comes at each place of the sorted stream."""

    inverse: Int[Tensor, " token"]
    """The place in the sorted stream of each token of the packed stream."""

    runs: tuple[Run, ...]
    """The runs, shortest records first."""

    lengths: Int[Tensor, " record"] | None = None
    """Tokens of each record, in the order of the sorted stream; None for fixed rows."""

    prefix: Int[Tensor, " record"] | None = None
    """For prefix-causal attention, the prefix of each record in the same order."""


AttentionPlan = tuple[Run, ...] | Callable[[Tensor, Tensor, Tensor], Tensor]
"""How the records of a batch attend: run by run, or through a kernel that takes queries, keys and
values (token, head, head_dim) of the whole sorted stream."""


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
            mask = None
            if prefix_lengths is not None:
                mask = prefix_causal_mask(
                    length, prefix_lengths[by_length[record : record + count]]
                )
            runs.append(Run(token, count, length, mask))
        token += length * count
        record += count
    there = sorted_lengths > 0  # a record without any input has no tokens
    prefix = None if prefix_lengths is None else prefix_lengths[by_length][there]
    return SegmentLayout(order, inverse, tuple(runs), sorted_lengths[there], prefix)


def prefix_causal_mask(
    length: int, prefix_lengths: Int[Tensor, " record"]
) -> Bool[Tensor, "record 1 query key"]:
    """Return which key each query may look at: the prefix, itself, and what came before it."""
    place = torch.arange(length, device=prefix_lengths.device)
    causal = place[None, :] <= place[:, None]
    prefix = place[None, None, :] < prefix_lengths[:, None, None]
    return (causal[None] | prefix).unsqueeze(1)


def with_biases(runs: tuple[Run, ...], dtype: torch.dtype) -> tuple[Run, ...]:
    """Return the runs with biases where these are faster than masks: short rows on a CPU.

    Made once per batch and not per layer. On a CPU two matrix products around a softmax take
    38 ms where torch's fused kernel takes 70 ms (forward and backward, one core with AMX, 16 rows
    of 256 tokens, 8 heads of width 32, bfloat16, torch 2.14); they hold all logits in memory, so
    long rows keep the kernel.
    """
    return tuple(
        run
        if run.mask is None or run.mask.device.type != "cpu" or run.length > LONGEST_BIASED
        else replace(run, mask=None, bias=_bias(run.mask, dtype))
        for run in runs
    )


def _bias(mask: Bool[Tensor, "record 1 query key"], dtype: torch.dtype) -> Tensor:
    return torch.zeros(mask.shape, dtype=dtype).masked_fill_(~mask, -torch.inf)


def packed_attention(
    query: Float[Tensor, "token head head_dim"],
    key: Float[Tensor, "token head head_dim"],
    value: Float[Tensor, "token head head_dim"],
    plan: AttentionPlan,
) -> Float[Tensor, "token head head_dim"]:
    """Return attention of every token over its own record; tokens are in sorted order."""
    if not isinstance(plan, tuple):
        return plan(query, key, value)
    if not plan:
        return query
    outputs = []
    for run in plan:
        q, k, v = (run.arranged(x).transpose(1, 2) for x in (query, key, value))
        if run.bias is None:
            attended = scaled_dot_product_attention(q, k, v, attn_mask=run.mask)
        else:
            logits = (q * q.shape[-1] ** -0.5) @ k.transpose(-1, -2) + run.bias
            attended = logits.softmax(-1).to(v.dtype) @ v
        outputs.append(attended.transpose(1, 2).flatten(0, 1))
    return torch.cat(outputs)


def attention_maps(
    query: Float[Tensor, "token head head_dim"],
    key: Float[Tensor, "token head head_dim"],
    run: Run,
) -> Float[Tensor, "record head query key"]:
    """Return how much each token of a run looks at each token of its record, float32.

    These are the numbers that `packed_attention` never writes down; only what reads attention
    itself asks for them.
    """
    q, k = (run.arranged(x).transpose(1, 2) for x in (query, key))
    logits = ((q * q.shape[-1] ** -0.5) @ k.transpose(-1, -2)).float()
    if run.mask is not None:
        logits = logits.masked_fill(~run.mask, -torch.inf)
    maps: Tensor = logits.softmax(-1)
    return maps

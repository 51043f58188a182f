"""Attention inside the records of a packed batch, without padding.

Records of equal length are attended to together: the stream is sorted by length once per batch,
so each run of equal lengths is a plain slice that scaled-dot-product attention reads as a batch.
On CPU this is the only exact option (FlexAttention has no backward there and `varlen_attn` no CPU
kernel, seen with torch 2.13); for CUDA `attention_kernels.py` has one call for all records.

Where lengths hardly repeat, as in a table of proteins, records of nearly equal length may share a
call too (``slack``): only inside that call the shorter ones are filled up, with keys that nobody
sees, so that the rest of the network still computes no padding.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

LONGEST_BIASED = 512
"""Tokens of the longest rows for which attention logits are held in memory on a CPU."""


@dataclass(frozen=True)
class Run:
    """Records of one length, or nearly so, that stand side by side in the sorted stream."""

    start: int
    """First token of the run."""

    n_records: int
    """How many records it has."""

    length: int
    """Tokens per record; of the longest one where they differ."""

    mask: Bool[Tensor, "record 1 query key"] | None
    """Which token may look at which; None where all may look at all."""

    bias: Float[Tensor, "record 1 query key"] | None = None
    """The mask as numbers to add to attention logits, 0 or minus infinity; see `with_biases`."""

    rows: Int[Tensor, "record place"] | None = None
    """Where lengths differ: the token of the sorted stream at each place; None where all are equal.
    Past a record's end its last token stands again, which the mask hides."""

    kept: Int[Tensor, " token"] | None = None
    """Where lengths differ: which places, counted record by record, hold a token of their own."""

    def arranged(self, x: Tensor) -> Tensor:
        """Return the run's part of a sorted stream (token, ...), as (record, place, ...)."""
        if self.rows is not None:
            return x[self.rows]
        stop = self.start + self.n_records * self.length
        return x[self.start : stop].view(self.n_records, self.length, *x.shape[1:])

    def streamed(self, x: Tensor) -> Tensor:
        """Return (record, place, ...), as `arranged` gave it, as a stream (token, ...) again."""
        flat = x.reshape(-1, *x.shape[2:])
        return flat if self.kept is None else flat[self.kept]


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
    *,
    slack: float = 0.0,
) -> SegmentLayout:
    """Return the layout of a packed batch.

    Args:
        record_offsets: Where each record starts; see `PackedBatch.record_offsets`.
        prefix_lengths: For prefix-causal attention, how many leading tokens of each record all
            may look at; None for bidirectional attention.
        slack: How much longer than the shortest record of a run its longest may be, as a share; 0
            puts only equal lengths together. Only for bidirectional attention.
    """
    assert slack == 0 or prefix_lengths is None, "a run of unequal lengths has a mask of its own"
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
    for lengths_of_run in _runs_of_lengths(sorted_lengths.tolist(), slack):
        length, count = lengths_of_run[-1], len(lengths_of_run)
        if lengths_of_run[0] < length:
            runs.append(_unequal_run(token, sorted_lengths[record : record + count], length))
        elif length > 0:
            chosen = by_length[record : record + count]
            mask = None
            if prefix_lengths is not None:
                mask = prefix_causal_mask(length, prefix_lengths[chosen])
            runs.append(Run(token, count, length, mask))
        token += sum(lengths_of_run)
        record += count
    there = sorted_lengths > 0  # a record without any input has no tokens
    prefix = None if prefix_lengths is None else prefix_lengths[by_length][there]
    return SegmentLayout(order, inverse, tuple(runs), sorted_lengths[there], prefix)


def _runs_of_lengths(lengths: list[int], slack: float) -> Iterator[list[int]]:
    """Yield ascending lengths in pieces whose longest is at most ``1 + slack`` times the first."""
    piece: list[int] = []
    for length in lengths:
        if piece and length > piece[0] * (1 + slack):
            yield piece
            piece = []
        piece.append(length)
    if piece:
        yield piece


def _unequal_run(start: int, lengths: Int[Tensor, " record"], longest: int) -> Run:
    """Return one run of records of unequal lengths, whose tokens begin at ``start``."""
    place = torch.arange(longest, device=lengths.device)
    starts = start + lengths.cumsum(0) - lengths
    is_real = place < lengths[:, None]
    return Run(
        start,
        len(lengths),
        longest,
        mask=is_real[:, None, None, :],
        rows=starts[:, None] + torch.minimum(place, lengths[:, None] - 1),
        kept=is_real.flatten().nonzero()[:, 0],
    )


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
        outputs.append(run.streamed(attended.transpose(1, 2)))
    return torch.cat(outputs)


def attention_maps(
    query: Float[Tensor, "token head head_dim"],
    key: Float[Tensor, "token head head_dim"],
    run: Run,
) -> Float[Tensor, "record head query key"]:
    """Return how much each token of a run looks at each token of its record, float32.

    These are the numbers that `packed_attention` never writes down; only what reads attention
    itself asks for them. The run's records have one length.
    """
    assert run.rows is None, "maps of records of unequal lengths cannot stand in one tensor"
    q, k = (run.arranged(x).transpose(1, 2) for x in (query, key))
    logits = ((q * q.shape[-1] ** -0.5) @ k.transpose(-1, -2)).float()
    if run.mask is not None:
        logits = logits.masked_fill(~run.mask, -torch.inf)
    maps: Tensor = logits.softmax(-1)
    return maps

"""One fused call for all records of a packed stream, on devices that have a kernel for it.

On a CPU, runs of records of equal length are the fastest exact way, see `attention.py`, but for
bfloat16 without gradients; see `attention_on_cpu.py`. On a GPU
each run is a launch, and a table of proteins has hundreds of lengths. There, records that look both
ways go through `varlen_attn` (flash attention over cumulative lengths) where it runs, and all
others, prefix-causal or in float32, through FlexAttention with a block mask, which skips the blocks
between records.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.attention.flex_attention import BlockMask, create_block_mask, flex_attention

from kagaku.models.attention import AttentionPlan, SegmentLayout
from kagaku.models.attention_on_cpu import LONGEST, SHORTEST, CachedAttention

FEWEST_RUNS = 2
"""Runs from which one fused call pays; rows of one length are one call as they are."""

FLASH_CAPABILITY = (8, 0)
"""Oldest compute capability that flash attention runs on (Ampere).
Source: https://github.com/Dao-AILab/flash-attention#nvidia-cuda-support"""

WIDEST_HEAD = 256
"""Widest head of flash attention; widths are multiples of 8. Source: as above."""

NARROWEST_BLOCKS = 16
"""Narrowest head that FlexAttention can be compiled for: its products take no fewer numbers."""


def plan_attention(layout: SegmentLayout, dtype: torch.dtype, head_dim: int) -> AttentionPlan:
    """Return how the records of a batch attend, made once per batch and not per layer.

    Args:
        layout: Of the batch, on the device of its tokens.
        dtype: Of queries, keys and values.
        head_dim: Width of one head.
    """
    device = layout.order.device
    if is_cached(layout, dtype):
        return CachedAttention(layout.runs)
    if device.type != "cuda" or layout.lengths is None or len(layout.runs) < FEWEST_RUNS:
        return layout.runs
    if layout.prefix is None and has_flash(device, dtype, head_dim):
        return VariableLength.of(layout.lengths)
    if head_dim >= NARROWEST_BLOCKS:
        return BlockMasked.of(layout.lengths, layout.prefix, _compiled_flex())
    return layout.runs


def is_cached(layout: SegmentLayout, dtype: torch.dtype) -> bool:
    """Return whether a batch is read on a CPU in bfloat16, both ways and without gradients."""
    return (
        layout.order.device.type == "cpu"
        and dtype == torch.bfloat16
        and not torch.is_grad_enabled()
        and layout.lengths is not None
        and layout.prefix is None
        and any(SHORTEST <= run.length <= LONGEST for run in layout.runs)
    )


def has_flash(device: torch.device, dtype: torch.dtype, head_dim: int) -> bool:
    """Return whether flash attention over cumulative lengths runs on a GPU."""
    return (
        dtype in (torch.float16, torch.bfloat16)
        and head_dim <= WIDEST_HEAD
        and head_dim % 8 == 0
        and find_spec("torch.nn.attention.varlen") is not None  # not in the oldest torch allowed
        and torch.cuda.get_device_capability(device) >= FLASH_CAPABILITY
    )


@dataclass(frozen=True)
class VariableLength:
    """Attention in both directions inside each record, through `varlen_attn`."""

    offsets: Int[Tensor, " record_plus_one"]
    """Where each record starts in the sorted stream, int32."""

    longest: int
    """Tokens of the longest record."""

    @classmethod
    def of(cls, lengths: Int[Tensor, " record"]) -> "VariableLength":
        """Return the attention of records of these lengths, in the order of the stream."""
        return cls(_offsets(lengths), int(lengths.max()))

    def __call__(
        self,
        query: Float[Tensor, "token head head_dim"],
        key: Float[Tensor, "token head head_dim"],
        value: Float[Tensor, "token head head_dim"],
    ) -> Float[Tensor, "token head head_dim"]:
        """Return attention of every token over its own record; tokens are in sorted order."""
        from torch.nn.attention.varlen import varlen_attn

        q, k, v = (one.contiguous() for one in (query, key, value))
        out = varlen_attn(q, k, v, self.offsets, self.offsets, self.longest, self.longest)
        assert isinstance(out, Tensor)
        return out


@dataclass(frozen=True)
class BlockMasked:
    """Attention inside each record, both ways or prefix-causal, through FlexAttention."""

    blocks: BlockMask
    """Which blocks of the stream hold any pair that may look at each other."""

    attend: Callable[..., Any]
    """`flex_attention`, compiled or not."""

    @classmethod
    def of(
        cls,
        lengths: Int[Tensor, " record"],
        prefix: Int[Tensor, " record"] | None,
        attend: Callable[..., Any] = flex_attention,
    ) -> "BlockMasked":
        """Return the attention of records of these lengths, in the order of the stream.

        Args:
            lengths: Tokens of each record.
            prefix: Leading tokens of each record that all its tokens may look at, beside those
                before them; None where all may look at all.
            attend: What computes it.
        """
        prefix = lengths if prefix is None else prefix
        record = torch.repeat_interleave(torch.arange(len(lengths), device=lengths.device), lengths)
        starts = lengths.cumsum(0) - lengths
        visible = (starts + prefix)[record]  # where the prefix of a token's record ends
        blocks = create_block_mask(
            # No named function: FlexAttention counts its arguments, which a type checker hides.
            lambda _b, _h, q, k: ((k <= q) | (k < visible[q])) & (record[q] == record[k]),
            None,
            None,
            len(record),
            len(record),
            device=str(lengths.device),
        )
        return cls(blocks, attend)

    def __call__(
        self,
        query: Float[Tensor, "token head head_dim"],
        key: Float[Tensor, "token head head_dim"],
        value: Float[Tensor, "token head head_dim"],
    ) -> Float[Tensor, "token head head_dim"]:
        """Return attention of every token over what it may look at; tokens are in sorted order."""
        parts = (one.transpose(0, 1)[None] for one in (query, key, value))
        out: Tensor = self.attend(*parts, block_mask=self.blocks)
        return out[0].transpose(0, 1)


def _offsets(lengths: Int[Tensor, " record"]) -> Int[Tensor, " record_plus_one"]:
    zero = lengths.new_zeros(1)
    return torch.cat([zero, lengths.cumsum(0)]).to(torch.int32)


@cache
def _compiled_flex() -> Callable[..., Any]:
    """Return FlexAttention as one kernel; without compiling it would write all logits down."""
    compiled: Callable[..., Any] = torch.compile(flex_attention, dynamic=True)
    return compiled

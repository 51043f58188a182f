"""Fused attention over a whole stream gives what runs of equal lengths give."""

import warnings
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.attention.flex_attention import flex_attention
from torch.nn.functional import scaled_dot_product_attention

from kagaku.models import attention_kernels, attention_on_cpu
from kagaku.models.attention import SegmentLayout, packed_attention, segment_layout
from kagaku.models.attention_kernels import (
    BlockMasked,
    VariableLength,
    has_flash,
    plan_attention,
)
from kagaku.models.attention_on_cpu import CachedAttention
from kagaku.models.backbone import Backbone, BackboneConfig

LENGTHS = (7, 3, 130, 0, 3, 64, 1, 200, 65)
PREFIX = (7, 1, 130, 0, 2, 0, 1, 64, 30)


def layout_of(*, is_causal: bool, device: str = "cpu") -> SegmentLayout:
    offsets = torch.tensor([0, *np.cumsum(LENGTHS).tolist()], device=device)
    return segment_layout(offsets, torch.tensor(PREFIX, device=device) if is_causal else None)


def streams(
    dtype: torch.dtype = torch.float32, device: str = "cpu"
) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    drawn = torch.randn(3, sum(LENGTHS), 4, 16, generator=generator).to(device, dtype)
    return drawn[0], drawn[1], drawn[2]


def one_by_one(*parts: Any, **options: Any) -> Tensor:
    """Do what `varlen_attn` is documented to do, record by record."""
    query, key, value, offsets, same, longest, _ = parts
    assert not options
    assert offsets.dtype == torch.int32
    assert torch.equal(offsets, same)
    assert longest == int(offsets.diff().max())
    outputs = []
    for start, stop in zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True):
        q, k, v = (one[start:stop].transpose(0, 1) for one in (query, key, value))
        outputs.append(scaled_dot_product_attention(q, k, v).transpose(0, 1))
    return torch.cat(outputs)


def test_cumulative_lengths_give_what_runs_give(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.nn.attention.varlen.varlen_attn", one_by_one)
    layout = layout_of(is_causal=False)
    assert layout.lengths is not None
    fused = VariableLength.of(layout.lengths)
    assert fused.longest == 200
    torch.testing.assert_close(
        packed_attention(*streams(), fused), packed_attention(*streams(), layout.runs)
    )


@pytest.mark.parametrize("is_causal", [False, True])
def test_a_block_mask_gives_what_runs_give(*, is_causal: bool) -> None:
    layout = layout_of(is_causal=is_causal)
    assert layout.lengths is not None
    fused = BlockMasked.of(layout.lengths, layout.prefix)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*without torch.compile.*")
        found = packed_attention(*streams(), fused)
    torch.testing.assert_close(found, packed_attention(*streams(), layout.runs))
    # Blocks between records are skipped: of 4 x 4 blocks of 128 tokens not all hold a pair.
    assert fused.blocks.sparsity() > 30


def test_a_cpu_goes_run_by_run() -> None:
    for is_causal in (False, True):
        layout = layout_of(is_causal=is_causal)
        assert plan_attention(layout, torch.float32, 16) is layout.runs


@pytest.mark.parametrize(("scale", "tolerance"), [(1.0, 0.005), (6.0, 0.05)])
def test_logits_in_cache_give_what_runs_give(scale: float, tolerance: float) -> None:
    """At six times the size logits may overflow an exponential, and their maximum is taken off."""
    query, key, value = streams(torch.bfloat16)
    query, key = query * scale, key * scale
    layout = layout_of(is_causal=False)
    lengths, others = (one.float().norm(dim=-1).transpose(0, 1) for one in (query / 4, key))
    bounds = [attention_on_cpu.largest_logits(lengths, others, run) for run in layout.runs]
    largest = max(max(of_run) for of_run in bounds)
    assert (largest > attention_on_cpu.SAFE_LOGIT) == (scale > 1)
    with torch.inference_mode():
        plan = plan_attention(layout, torch.bfloat16, 16)
        found = packed_attention(query, key, value, plan)
        kernel = packed_attention(query, key, value, layout.runs)
    assert isinstance(plan, CachedAttention)
    exact = packed_attention(query.float(), key.float(), value.float(), layout.runs)
    # Logits of size 100 are rounded by up to a quarter in bfloat16, those of size 5 by a 64th;
    # torch's kernel rounds none, and what is left there is that of its inputs and answers.
    mistakes = [float((one.float() - exact).square().mean().sqrt()) for one in (found, kernel)]
    assert mistakes[0] < tolerance
    assert mistakes[1] < 0.005


def test_bounds_of_logits_are_bounds_of_each_record() -> None:
    layout = layout_of(is_causal=False)
    query, key, _ = streams()
    order = layout.order
    q, k = query[order], key[order]
    run = next(one for one in layout.runs if one.n_records > 1)
    lengths, others = (one.norm(dim=-1).transpose(0, 1) for one in (q, k))
    for record, bound in enumerate(attention_on_cpu.largest_logits(lengths, others, run)):
        start = run.start + record * run.length
        one, other = (x[start : start + run.length] for x in (q, k))
        logits = torch.einsum("qhd,khd->hqk", one, other).abs().amax()
        each = one.norm(dim=-1).amax(0) * other.norm(dim=-1).amax(0)
        assert float(logits) <= bound == pytest.approx(float(each.max()))


def test_a_neighbour_with_large_logits_changes_no_answer() -> None:
    layout = segment_layout(torch.tensor([0, 130, 330, 460]))
    generator = torch.Generator().manual_seed(0)
    query, key, value = torch.randn(3, 460, 4, 16, generator=generator).bfloat16()
    loud = query.clone()
    place = int(layout.inverse[330])  # the second of two records of one length
    loud[place : place + 130] *= 50
    attend = CachedAttention(layout.runs)
    first, second = attend(query, key, value), attend(loud, key, value)
    assert not torch.equal(first[place : place + 130], second[place : place + 130])
    rest = torch.ones(460, dtype=torch.bool)
    rest[place : place + 130] = False
    assert torch.equal(first[rest], second[rest])


def test_the_backbone_takes_it_under_autocast(monkeypatch: pytest.MonkeyPatch) -> None:
    called = []
    plain = CachedAttention.__call__

    def counted(attention: CachedAttention, *given: Tensor) -> Tensor:
        called.append(len(attention.runs))
        return plain(attention, *given)

    monkeypatch.setattr(CachedAttention, "__call__", counted)
    torch.manual_seed(0)
    backbone = Backbone(BackboneConfig(dim=64, depth=2, heads=2, hidden=128)).eval()
    stream, position = torch.randn(sum(LENGTHS), 64), torch.zeros(sum(LENGTHS), 3)
    position[:, 0] = torch.cat([torch.arange(length) for length in LENGTHS])
    layout = layout_of(is_causal=False)
    with torch.inference_mode():
        exact = backbone(stream, position, layout)
        assert not called
        with torch.autocast("cpu", torch.bfloat16):
            rounded = backbone(stream, position, layout)
    assert called == 2 * [len(layout.runs)]
    mistake = (rounded.float() - exact).square().mean().sqrt() / exact.std()
    assert 1e-4 < float(mistake) < 0.02


def test_logits_in_cache_are_for_bfloat16_both_ways_without_gradients() -> None:
    both, causal = layout_of(is_causal=False), layout_of(is_causal=True)
    assert plan_attention(both, torch.bfloat16, 16) is both.runs
    with torch.inference_mode():
        assert plan_attention(both, torch.float32, 16) is both.runs
        assert plan_attention(causal, torch.bfloat16, 16) is causal.runs


def test_heads_are_taken_in_pieces_and_long_records_by_the_kernel(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    layout, given = layout_of(is_causal=False), streams(torch.bfloat16)
    whole = CachedAttention(layout.runs)(*given)
    monkeypatch.setattr(attention_on_cpu, "CACHED", 3 * 64**2)
    monkeypatch.setattr(attention_on_cpu, "LONGEST", 150)
    pieces = CachedAttention(layout.runs)(*given)
    torch.testing.assert_close(pieces, whole, rtol=0.02, atol=0.02)
    assert not torch.equal(pieces, whole)  # the record of 200 tokens went another way


def test_a_gpu_chooses_by_direction_type_and_width(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (9, 0))
    device = torch.device("cuda")
    assert has_flash(device, torch.bfloat16, 64)
    assert not has_flash(device, torch.float32, 64)
    assert not has_flash(device, torch.bfloat16, 20)
    assert not has_flash(device, torch.bfloat16, 512)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (7, 5))
    assert not has_flash(device, torch.bfloat16, 64)


@pytest.mark.gpu
@pytest.mark.parametrize("is_causal", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_on_a_gpu_kernels_give_what_runs_give(dtype: torch.dtype, *, is_causal: bool) -> None:
    layout = layout_of(is_causal=is_causal, device="cuda")
    plan = plan_attention(layout, dtype, 16)
    has_blocks = is_causal or dtype == torch.float32
    assert isinstance(plan, BlockMasked if has_blocks else VariableLength)
    given = streams(dtype, "cuda")
    for one in given:
        one.requires_grad_()
    found, expected = packed_attention(*given, plan), packed_attention(*given, layout.runs)
    tolerance = 1e-3 if dtype == torch.float32 else 2e-2
    torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance)
    gradients = [
        torch.autograd.grad(one.float().square().sum(), given) for one in (found, expected)
    ]
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=5e-2, atol=5e-2)


@pytest.mark.parametrize("is_causal", [False, True])
def test_a_gpu_takes_blocks_where_flash_does_not_run(
    monkeypatch: pytest.MonkeyPatch, *, is_causal: bool
) -> None:
    monkeypatch.setattr(attention_kernels, "_compiled_flex", lambda: flex_attention)
    layout = layout_of(is_causal=is_causal)
    object.__setattr__(layout, "order", SimpleNamespace(device=torch.device("cuda")))
    assert isinstance(plan_attention(layout, torch.float32, 16), BlockMasked)
    assert plan_attention(layout, torch.float32, 8) is layout.runs


@pytest.mark.gpu
def test_on_a_gpu_the_backbone_gives_what_a_cpu_gives() -> None:
    torch.manual_seed(0)
    backbone = Backbone(BackboneConfig(dim=64, depth=2, heads=2, hidden=128))
    stream, position = torch.randn(sum(LENGTHS), 64), torch.zeros(sum(LENGTHS), 3)
    position[:, 0] = torch.cat([torch.arange(length) for length in LENGTHS])
    for is_causal in (False, True):
        expected = backbone(stream, position, layout_of(is_causal=is_causal))
        moved = backbone.cuda()(
            stream.cuda(), position.cuda(), layout_of(is_causal=is_causal, device="cuda")
        )
        torch.testing.assert_close(moved.cpu(), expected, rtol=1e-3, atol=1e-3)
        backbone.cpu()

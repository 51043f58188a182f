"""Records of nearly equal length share an attention call, and answer as each would alone."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kagaku.models.attention import packed_attention, segment_layout


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 40), min_size=1, max_size=12), st.sampled_from([0.1, 0.5, 3.0]))
def test_slack_changes_no_answer(lengths: list[int], slack: float) -> None:
    offsets = torch.tensor([0, *lengths]).cumsum(0)
    generator = torch.Generator().manual_seed(sum(lengths))
    query, key, value = torch.randn(3, int(offsets[-1]), 2, 8, generator=generator)
    answers = []
    for one in (0.0, slack):
        layout = segment_layout(offsets, slack=one)
        q, k, v = (x[layout.order] for x in (query, key, value))
        answers.append(packed_attention(q, k, v, layout.runs)[layout.inverse])
    torch.testing.assert_close(answers[0], answers[1], atol=1e-5, rtol=1e-5)


def test_few_runs_hold_many_lengths_and_little_is_filled_up() -> None:
    lengths = torch.arange(30, 331)
    layout = segment_layout(torch.cat([lengths.new_zeros(1), lengths.cumsum(0)]), slack=0.125)
    assert len(layout.runs) <= 22
    computed = sum(run.n_records * run.length for run in layout.runs)
    assert computed < 1.07 * int(lengths.sum())
    assert len(segment_layout(torch.cat([lengths.new_zeros(1), lengths.cumsum(0)])).runs) == 301


def test_gradients_do_not_leak_into_places_that_are_filled_up() -> None:
    offsets = torch.tensor([0, 5, 11])
    value = torch.randn(11, 1, 4, requires_grad=True)
    layout = segment_layout(offsets, slack=1.0)
    assert layout.runs[0].rows is not None
    query = torch.randn(11, 1, 4)
    first = packed_attention(query, query, value, layout.runs)[:5].sum()
    torch.autograd.backward(first)
    assert value.grad is not None
    assert value.grad[5:].abs().max() == 0
    torch.testing.assert_close(value.grad[:5].sum(), torch.tensor(20.0))

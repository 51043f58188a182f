"""What stands beside a record, and where, must not change its embedding."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kagaku.modalities import MODALITIES, RecordTokens, Tokens, pack
from kagaku.models import BackboneConfig, Encoder, EncoderConfig, pool_columns, pool_records

SMALL = BackboneConfig(dim=32, depth=2, heads=2, hidden=48)
# Two sums of the same float32 numbers in another order differ by a few units in the last place;
# through two layers that stays below 1e-5 for embeddings of order 1.
TOLERANCE = 1e-5


def tokens_of(name: str, length: int, seed: int) -> Tokens:
    """Return random tokens of a modality."""
    rng = np.random.default_rng(seed)
    modality = MODALITIES[name]
    highest = modality.vocabulary_size or 16
    return Tokens(
        ids=rng.integers(0, highest, (length, modality.n_ids)),
        values=rng.normal(size=(length, modality.n_values)).astype(np.float32),
        positions=rng.uniform(0, 50, (length, 3)).astype(np.float32),
    )


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    torch.manual_seed(0)
    return Encoder(EncoderConfig(backbone=SMALL)).eval()


records = st.lists(
    st.dictionaries(
        st.integers(0, 2),
        st.tuples(st.sampled_from(["molecule", "protein", "quantity", "text"]), st.integers(1, 9)),
        max_size=3,
    ),
    min_size=1,
    max_size=6,
)


def build(plans: list[dict[int, tuple[str, int]]]) -> list[RecordTokens]:
    return [
        {
            column: (name, tokens_of(name, length, 97 * index + column))
            for column, (name, length) in plan.items()
        }
        for index, plan in enumerate(plans)
    ]


@settings(max_examples=15, deadline=None)
@given(plans=records, seed=st.integers(0, 1000), has_prefix=st.booleans())
def test_packing_order_and_neighbours_change_no_output(
    encoder: Encoder, plans: list[dict[int, tuple[str, int]]], seed: int, has_prefix: bool
) -> None:
    built = build(plans)
    order = np.random.default_rng(seed).permutation(len(built))
    lengths = [sum(length for _, length in plan.values()) for plan in plans]
    prefixes = [seed % (length + 1) for length in lengths]
    with torch.inference_mode():
        together = pack(
            [built[i] for i in order],
            prefix_lengths=[prefixes[i] for i in order] if has_prefix else None,
        )
        pooled, present = pool_columns(together, encoder(together), 3)
        for place, index in enumerate(order):
            alone = pack([built[index]], prefix_lengths=[prefixes[index]] if has_prefix else None)
            expected, there = pool_columns(alone, encoder(alone), 3)
            torch.testing.assert_close(pooled[place], expected[0], rtol=0.0, atol=TOLERANCE)
            assert present[place].tolist() == there[0].tolist()


def test_tokens_of_one_record_attend_to_each_other_across_modalities(encoder: Encoder) -> None:
    molecule, protein = tokens_of("molecule", 5, 1), tokens_of("protein", 7, 2)
    other = tokens_of("protein", 7, 3)
    with torch.inference_mode():
        outputs = [
            pool_columns(batch, encoder(batch), 2)[0][0, 0]
            for batch in (
                pack([{0: ("molecule", molecule), 1: ("protein", protein)}]),
                pack([{0: ("molecule", molecule), 1: ("protein", other)}]),
            )
        ]
    assert (outputs[0] - outputs[1]).abs().max() > 1e-3


def test_causal_tokens_do_not_see_what_follows(encoder: Encoder) -> None:
    first = tokens_of("protein", 8, 1)
    changed = Tokens(ids=first.ids.copy(), values=first.values, positions=first.positions)
    changed.ids[6] = (changed.ids[6] + 1) % MODALITIES["protein"].vocabulary_size
    with torch.inference_mode():
        before, after = (
            encoder(pack([{0: ("protein", tokens)}], prefix_lengths=[3]))
            for tokens in (first, changed)
        )
    torch.testing.assert_close(before[:6], after[:6], rtol=0.0, atol=TOLERANCE)
    assert (before[6:] - after[6:]).abs().max() > 1e-3


def test_prefix_tokens_see_each_other_both_ways(encoder: Encoder) -> None:
    first = tokens_of("protein", 8, 1)
    changed = Tokens(ids=first.ids.copy(), values=first.values, positions=first.positions)
    changed.ids[2] = (changed.ids[2] + 1) % MODALITIES["protein"].vocabulary_size
    with torch.inference_mode():
        before, after = (
            encoder(pack([{0: ("protein", tokens)}], prefix_lengths=[3]))
            for tokens in (first, changed)
        )
    assert (before[0] - after[0]).abs().max() > 1e-4


def test_a_record_without_any_input_pools_to_zero(encoder: Encoder) -> None:
    batch = pack([{}, {0: ("protein", tokens_of("protein", 4, 0))}])
    with torch.inference_mode():
        pooled = pool_records(batch, encoder(batch), 1)
    assert pooled[0].abs().max() == 0
    assert pooled[1].abs().max() > 0


def test_an_all_missing_batch_encodes_to_no_tokens(encoder: Encoder) -> None:
    batch = pack([{}, {}])
    with torch.inference_mode():
        assert encoder(batch).shape == (0, 32)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_every_position_axis_matters(encoder: Encoder, axis: int) -> None:
    first = tokens_of("protein", 6, 1)
    moved = Tokens(ids=first.ids, values=first.values, positions=first.positions.copy())
    moved.positions[3, axis] += 2.0
    with torch.inference_mode():
        before, after = (encoder(pack([{0: ("protein", t)}])) for t in (first, moved))
    assert (before - after).abs().max() > 1e-4


def test_only_relative_positions_matter(encoder: Encoder) -> None:
    first = tokens_of("protein", 6, 1)
    moved = Tokens(ids=first.ids, values=first.values, positions=first.positions + 3.0)
    with torch.inference_mode():
        before, after = (encoder(pack([{0: ("protein", t)}])) for t in (first, moved))
    # Rotary attention depends on differences; float32 angles of other size round differently.
    torch.testing.assert_close(before, after, rtol=0.0, atol=1e-4)

"""The order of samples: complete, exact in its shares, repeatable, and traceable to steps."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kagaku.data.corpora import order as order_module
from kagaku.data.corpora.order import PERIOD, CorpusOrder, OrderConfig, pack_rows
from kagaku.errors import InputError


def lengths(n: int, seed: int = 0, most: int = 64) -> np.ndarray:
    return np.random.default_rng(seed).integers(1, most + 1, n).astype(np.int32)


SMALL = OrderConfig(row_length=64, n_rows=4, micro_batches=4, seed=3)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 50), max_size=300), st.integers(0, 5))
def test_packing_holds_each_sample_once_and_no_row_overflows(sizes: list[int], seed: int) -> None:
    given_lengths = np.array(sizes, dtype=np.int32)
    rows = pack_rows(given_lengths, 50, seed)
    held = [sample for number in range(len(rows)) for sample in rows.row(number)]
    assert sorted(held) == np.flatnonzero(given_lengths).tolist()
    for number in range(len(rows)):
        assert given_lengths[rows.row(number)].sum() <= 50
        assert all(rows.row_of[sample] == number for sample in rows.row(number))
    assert all(rows.row_of[given_lengths == 0] == -1)


def test_more_rows_than_may_stay_open_still_hold_each_sample_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(order_module, "OPEN_ROWS", 2)
    sizes = lengths(500, most=60)
    rows = pack_rows(sizes, 64, 0)
    assert sorted(rows.samples.tolist()) == list(range(500))
    assert max(sizes[rows.row(number)].sum() for number in range(len(rows))) <= 64


def test_a_million_molecules_are_packed_in_seconds_and_fill_their_rows() -> None:
    rng = np.random.default_rng(0)
    sizes = np.clip(rng.normal(36, 8, 1_000_000), 5, 256).astype(np.int32)
    start = time.process_time()
    rows = pack_rows(sizes, 256, 0)
    assert time.process_time() - start < 10
    assert rows.fill > 0.97
    assert rows.fill == pytest.approx(sizes.sum() / (256 * len(rows)))


def test_each_epoch_shows_every_sample_once_in_another_order() -> None:
    config = OrderConfig(row_length=64, n_rows=1, micro_batches=1)
    order = CorpusOrder({"a": lengths(90)}, config)
    n_rows = len(pack_rows(lengths(90), 64, 0))
    epochs = [
        [order.micro_batch(index).rows[0] for index in range(first, first + n_rows)]
        for first in (0, n_rows)
    ]
    for rows in epochs:
        assert sorted(sample for row in rows for sample in row) == list(range(90))
    assert epochs[0] != epochs[1]


def test_a_micro_batch_is_the_same_whatever_was_asked_before() -> None:
    sizes = {"a": lengths(200), "b": lengths(70, 1)}
    asked = CorpusOrder(sizes, SMALL)
    for index in (900, 3, 17, 400):
        asked.micro_batch(index)
    for index in (0, 3, 250, 5_000):
        assert asked.micro_batch(index) == CorpusOrder(sizes, SMALL).micro_batch(index)


def test_another_seed_gives_another_order() -> None:
    sizes = {"a": lengths(200)}
    other = OrderConfig(row_length=64, n_rows=4, micro_batches=4, seed=4)
    assert CorpusOrder(sizes, SMALL).micro_batch(0) != CorpusOrder(sizes, other).micro_batch(0)
    assert CorpusOrder(sizes, SMALL).fingerprint() != CorpusOrder(sizes, other).fingerprint()


def test_shares_go_with_the_root_of_the_tokens_and_are_met_exactly() -> None:
    sizes = {"big": np.full(900, 10), "small": np.full(100, 10)}
    order = CorpusOrder(sizes, SMALL)
    assert order.shares == pytest.approx({"big": 0.75, "small": 0.25})
    assert order.quotas == {"big": 750, "small": 250}
    seen = [order.micro_batch(index).source for index in range(PERIOD)]
    assert {name: seen.count(name) for name in sizes} == order.quotas
    again = [order.micro_batch(index).source for index in range(PERIOD, 2 * PERIOD)]
    assert again == seen


def test_sources_are_spread_evenly_so_that_steps_are_alike() -> None:
    order = CorpusOrder({"big": np.full(900, 10), "small": np.full(100, 10)}, SMALL)
    seen = np.array([order.micro_batch(index).source == "small" for index in range(PERIOD)])
    per_window = seen.reshape(-1, 40).sum(1)
    assert per_window.min() >= 8
    assert per_window.max() <= 12


def test_a_weight_takes_the_place_of_a_share_and_zero_leaves_a_source_out() -> None:
    sizes = {name: np.full(100, 10) for name in ("a", "b", "c")}
    config = OrderConfig(64, 4, 4, weights={"a": 1.0, "b": 0.0})
    order = CorpusOrder(sizes, config)
    assert order.sources == ("a", "c")
    assert order.shares == pytest.approx({"a": 0.75, "c": 0.25})


def test_a_source_with_a_tiny_share_is_still_seen() -> None:
    sizes = {"big": np.full(5_000, 60), **{f"s{n}": np.full(1, 5) for n in range(5)}}
    order = CorpusOrder(sizes, OrderConfig(64, 4, 4, temperature=1.0))
    assert all(order.quotas[f"s{n}"] == 1 for n in range(5))
    assert sum(order.quotas.values()) == PERIOD


@pytest.mark.parametrize("epoch", [0, 1, 3])
def test_the_step_of_a_sample_is_the_step_that_shows_it(epoch: int) -> None:
    sizes = {"a": lengths(120), "b": lengths(60, 1)}
    order = CorpusOrder(sizes, SMALL)
    for source, sample in (("a", 0), ("a", 77), ("b", 59)):
        step = order.step_of(source, sample, epoch)
        assert step is not None
        shown = [order.micro_batch(4 * step + turn) for turn in range(4)]
        assert any(one.source == source and any(sample in row for row in one.rows) for one in shown)


def test_the_first_step_of_a_sample_is_its_first() -> None:
    order = CorpusOrder({"a": lengths(120), "b": lengths(60, 1)}, SMALL)
    first = order.step_of("b", 5)
    assert first is not None
    before = [order.micro_batch(index) for index in range(4 * first)]
    assert not any(one.source == "b" and any(5 in row for row in one.rows) for one in before)


def test_what_is_never_shown_has_no_step() -> None:
    order = CorpusOrder({"a": np.array([5, 0, 7])}, OrderConfig(64, 1, 1))
    assert order.step_of("a", 1) is None
    assert order.step_of("elsewhere", 0) is None


def test_epochs_count_rows_of_each_source() -> None:
    sizes = {"a": np.full(80, 64), "b": np.full(20, 64)}
    order = CorpusOrder(sizes, OrderConfig(64, 4, 4, temperature=1.0))
    assert order.epochs(250) == pytest.approx({"a": 40.0, "b": 40.0})
    assert order.fill() == {"a": 1.0, "b": 1.0}


def test_a_weight_for_an_unknown_source_names_the_nearest() -> None:
    config = OrderConfig(weights={"protiens": 1.0})
    with pytest.raises(InputError, match=r"'protiens', which is no source.* Did you mean 'prot"):
        CorpusOrder({"proteins": lengths(5)}, config)


def test_a_corpus_with_nothing_left_is_refused() -> None:
    with pytest.raises(InputError, match=r"no source is left to train on.*positive weight"):
        CorpusOrder({"a": lengths(5)}, OrderConfig(weights={"a": 0.0}))


@pytest.mark.parametrize(
    ("settings_", "told"),
    [
        ({"row_length": 0}, r"row_length must be at least 1, got 0"),
        ({"n_rows": 0}, r"n_rows must be at least 1, got 0"),
        ({"micro_batches": -1}, r"micro_batches must be at least 1, got -1"),
        ({"temperature": 0.5}, r"temperature must lie between 1 and 100, got 0\.5"),
        ({"seed": -1}, r"seed must not be negative, got -1"),
        ({"weights": {"a": -2.0}}, r"weight of source 'a' must not be negative, got -2"),
    ],
)
def test_settings_out_of_range_are_refused(settings_: dict[str, object], told: str) -> None:
    with pytest.raises(InputError, match=told):
        OrderConfig(**settings_)  # type: ignore[arg-type]

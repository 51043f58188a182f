"""Windows and regions are connected, and every place of a long value can be in them."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kagaku.modalities import Tokens
from kagaku.modalities.cropping import grid_lines, region, window
from kagaku.modalities.sequence import sequence_tokens


def grid(rows: int, columns: int, layers: int = 1) -> Tokens:
    places = np.stack(np.meshgrid(range(layers), range(rows), range(columns), indexing="ij"), -1)
    positions = places.reshape(-1, 3).astype(np.float32)
    return Tokens(
        np.arange(len(positions))[:, None], np.zeros((len(positions), 0), np.float32), positions
    )


@settings(max_examples=40, deadline=None)
@given(length=st.integers(1, 60), most=st.integers(1, 60), seed=st.integers(0, 99))
def test_a_window_is_consecutive_and_its_positions_start_anew(
    length: int, most: int, seed: int
) -> None:
    part = window(sequence_tokens(range(length)), most, np.random.default_rng(seed))
    assert len(part) == min(length, most)
    assert (np.diff(part.ids[:, 0]) == 1).all()
    np.testing.assert_array_equal(part.positions[:, 0], np.arange(len(part)))


def test_every_place_of_a_sequence_is_in_some_window() -> None:
    tokens = sequence_tokens(range(10))
    windows = [window(tokens, 3, np.random.default_rng(seed)) for seed in range(60)]
    assert {int(one) for part in windows for one in part.ids[:, 0]} == set(range(10))


@settings(max_examples=60, deadline=None)
@given(
    rows=st.integers(1, 12),
    columns=st.integers(1, 12),
    layers=st.integers(1, 3),
    most=st.integers(1, 150),
    seed=st.integers(0, 99),
)
def test_a_region_is_a_rectangle_with_all_its_layers(
    rows: int, columns: int, layers: int, most: int, seed: int
) -> None:
    part = region(grid(rows, columns, layers), most, np.random.default_rng(seed))
    assert 1 <= len(part) <= most
    if most >= layers:
        tall, wide = (np.ptp(part.positions[:, axis]) + 1 for axis in (1, 2))
        assert len(part) == layers * tall * wide


@pytest.mark.parametrize("most", [64, 128, 200])
def test_a_region_uses_most_of_the_room(most: int) -> None:
    sizes = [len(region(grid(24, 12), most, np.random.default_rng(seed))) for seed in range(50)]
    assert np.mean(sizes) > 0.9 * most


def test_a_region_across_greenwich_stays_in_one_piece() -> None:
    tokens = grid(6, 8)
    degrees = np.array([340, 345, 350, 355, 0, 5, 10, 15], dtype=np.float32)
    positions = tokens.positions.copy()
    positions[:, 2] = degrees[positions[:, 2].astype(int)]
    shifted = replace(tokens, positions=positions)
    for seed in range(20):
        part = region(shifted, 12, np.random.default_rng(seed))
        lines = np.unique(
            np.searchsorted(
                np.arange(340, 380, 5), part.positions[:, 2] + 360 * (part.positions[:, 2] < 180)
            )
        )
        assert (np.diff(lines) == 1).all()


def test_grid_lines_are_counted_in_order_of_first_sight() -> None:
    line, count = grid_lines(np.array([350.0, 355.0, 0.0, 350.0, 0.0]))
    assert count == 3
    assert line.tolist() == [0, 1, 2, 0, 2]

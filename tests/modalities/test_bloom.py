import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from kagaku.modalities.bloom import TABLE_SIZE, BloomEmbedder, bloom_ids


@given(st.text(), st.integers(1, 8))
def test_any_word_has_rows_of_the_table(word: str, n_hashes: int) -> None:
    rows = bloom_ids(word, n_hashes)
    assert len(rows) == n_hashes
    assert all(0 <= row < TABLE_SIZE for row in rows)


def test_rows_never_change_because_checkpoints_hold_their_vectors() -> None:
    assert bloom_ids("air_temperature", 4) == [814, 588, 164, 574]


def test_ten_thousand_words_have_different_sets_of_rows() -> None:
    assert len({tuple(bloom_ids(f"variable {i}", 4)) for i in range(10_000)}) == 10_000


def test_an_embedding_is_the_sum_of_its_rows_and_its_values() -> None:
    embedder = BloomEmbedder((2, 1), 3, 5)
    ids, values = torch.tensor([[7, 9, 4], [7, 7, 0]]), torch.randn(2, 3)
    names, units = embedder.tables[0].weight, embedder.tables[1].weight
    expected = names[[7, 7]] + names[[9, 7]] + units[[4, 0]] + embedder.project(values)  # type: ignore[index]
    torch.testing.assert_close(embedder(ids, values), expected)


@pytest.mark.parametrize("n_hashes", [1, 4])
def test_words_start_with_unit_variance_however_many_hashes_they_have(n_hashes: int) -> None:
    torch.manual_seed(0)
    embedder = BloomEmbedder((n_hashes,), 1, 64)
    ids = torch.tensor([bloom_ids(f"name {i}", n_hashes) for i in range(500)])
    spread = (embedder(ids, torch.zeros(500, 1)) - embedder.project.bias).std().item()
    assert spread == pytest.approx(1, abs=0.05)  # 32,000 draws

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from kagaku.data.records import Quantity
from kagaku.errors import InputError
from kagaku.modalities import (
    Molecule,
    Protein,
    QuantityModality,
    n_tokens,
    pack,
    plan_batches,
    plan_by_length,
)
from kagaku.modalities.packing import RecordTokens

MOLECULE, PROTEIN, QUANTITY = Molecule(), Protein(), QuantityModality()
QUANTITY.fit([Quantity("T", 290.0, "kelvin"), Quantity("T", 310.0, "kelvin")])
ETHANOL = ("molecule", MOLECULE.tokenize("CCO"))
PEPTIDE = ("protein", PROTEIN.tokenize("MKT"))
WARM = ("quantity", QUANTITY.tokenize(Quantity("T", 300.0, "kelvin")))


def test_a_batch_has_its_tokens_record_by_record_and_column_by_column() -> None:
    batch = pack([{1: PEPTIDE, 0: ETHANOL}, {2: WARM}])
    assert batch.modalities == ("molecule", "protein", "quantity")
    assert batch.record_offsets.tolist() == [0, 10, 11]
    assert batch.record.tolist() == [0] * 10 + [1]
    assert batch.column.tolist() == [0] * 5 + [1] * 5 + [2]
    assert batch.modality.tolist() == [0] * 5 + [1] * 5 + [2]
    assert batch.position[:, 0].tolist() == [0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 0]
    assert batch.ids["protein"][:, 0].tolist() == PEPTIDE[1].ids[:, 0].tolist()
    assert torch.equal(batch.values["quantity"], torch.from_numpy(WARM[1].values))
    assert (batch.n_records, batch.n_tokens) == (2, 11)


def test_a_modality_in_two_columns_keeps_stream_order() -> None:
    batch = pack([{0: ETHANOL, 3: ETHANOL}, {3: ETHANOL}])
    assert batch.column.tolist() == [0] * 5 + [3] * 10
    assert batch.ids["molecule"][:, 0].tolist() == ETHANOL[1].ids[:, 0].tolist() * 3


def test_a_missing_input_has_no_tokens_and_an_empty_record_an_empty_segment() -> None:
    batch = pack([{}, {0: ETHANOL}, {}, {1: WARM}, {}])
    assert batch.record_offsets.tolist() == [0, 0, 5, 5, 6, 6]
    assert batch.record.tolist() == [1] * 5 + [3]


def test_a_batch_of_empty_records_is_a_batch() -> None:
    batch = pack([{}, {}])
    assert (batch.n_records, batch.n_tokens, batch.modalities) == (2, 0, ())
    assert batch.position.shape == (0, 3)


def test_prefix_lengths_travel_with_the_batch_to_another_type_of_device() -> None:
    batch = pack([{0: ETHANOL}, {0: PEPTIDE}], prefix_lengths=[2, 3]).to("meta")
    assert batch.prefix_lengths is not None
    assert batch.prefix_lengths.device.type == batch.ids["protein"].device.type == "meta"
    assert pack([{0: ETHANOL}]).prefix_lengths is None


def test_packing_joins_what_packing_alone_gives() -> None:
    records: list[RecordTokens] = [{0: ETHANOL, 1: PEPTIDE}, {1: PEPTIDE}, {0: ETHANOL, 2: WARM}]
    batch = pack(records)
    for index, record in enumerate(records):
        alone = pack([record])
        start, stop = batch.record_offsets[index : index + 2].tolist()
        assert stop - start == n_tokens(record)
        assert torch.equal(batch.position[start:stop], alone.position)
        assert torch.equal(batch.column[start:stop], alone.column)


@given(st.lists(st.integers(0, 50), max_size=40), st.integers(50, 120))
def test_batches_hold_every_record_once_in_order_within_the_budget(
    lengths: list[int], budget: int
) -> None:
    order = np.random.default_rng(0).permutation(len(lengths)).tolist()
    batches = list(plan_batches(lengths, budget, order=order))
    assert [index for batch in batches for index in batch] == order
    assert all(batch and sum(lengths[i] for i in batch) <= budget for batch in batches)
    for batch, following in pairwise(batches):
        assert sum(lengths[i] for i in [*batch, following[0]]) > budget


def test_records_come_as_they_are_where_no_order_is_given() -> None:
    assert list(plan_batches([4, 4, 4], 8)) == [[0, 1], [2]]
    assert list(plan_batches([], 8)) == []


def test_a_record_longer_than_the_budget_is_refused() -> None:
    with pytest.raises(InputError, match=r"record 1 has 9 tokens.*budget 8.*at least 9"):
        list(plan_batches([4, 9], 8))


def test_records_of_like_length_share_batches_and_longer_ones_are_alone() -> None:
    lengths = np.array([3, 20, 5, 4, 9, 30])
    assert list(plan_by_length(lengths, 9)) == [[0, 3], [2], [4], [1], [5]]
    assert list(plan_by_length(lengths, 9, longest_first=True)) == [[5], [1], [4], [2, 3], [0]]
    assert list(plan_by_length(np.zeros(0, dtype=np.int64), 9)) == []

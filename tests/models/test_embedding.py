"""Frozen embeddings: batches under the budget, long records alone; and checksums of weights."""

from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
import torch

from kagaku.modalities import MODALITIES, PackedBatch, RecordTokens
from kagaku.models import BackboneConfig, Encoder, EncoderConfig, untrained_encoder
from kagaku.models.checkpoint import encoder_checksum
from kagaku.models.embedding import embed_columns

SMALL = EncoderConfig(
    modalities=("protein",), backbone=BackboneConfig(dim=32, depth=1, heads=2, hidden=64)
)


@pytest.fixture
def records() -> list[RecordTokens]:
    protein = MODALITIES["protein"]()
    lengths = (9, 300, 3, 30, 12, 200, 9, 28)
    return [{0: ("protein", protein.tokenize("MKVLAAGICT"[:2] * one))} for one in lengths]


def test_a_record_above_the_budget_is_alone_and_leaves_the_others_under_it(
    records: list[RecordTokens],
) -> None:
    encoder, seen = untrained_encoder(SMALL), list[tuple[int, int]]()
    forward = Encoder.forward

    def watching(self: Encoder, batch: PackedBatch) -> Any:
        seen.append((batch.n_records, batch.n_tokens))
        return forward(self, batch)

    with patch.object(Encoder, "forward", watching):
        means, present = embed_columns(encoder, records, 1, token_budget=80)
    assert present.all()
    assert seen[-2:] == [(1, 402), (1, 602)]
    assert all(n_tokens <= 80 for _, n_tokens in seen[:-2])
    assert sum(n_records for n_records, _ in seen) == len(records)
    together, _ = embed_columns(encoder, records, 1, token_budget=10_000)
    np.testing.assert_allclose(means, together, atol=1e-5)


def test_equal_weights_have_one_checksum_and_others_another() -> None:
    encoder = untrained_encoder(SMALL)
    checksum = encoder_checksum(encoder)
    assert encoder_checksum(untrained_encoder(SMALL)) == checksum
    assert encoder_checksum(untrained_encoder(SMALL, seed=1)) != checksum
    with torch.no_grad():
        encoder.column_embedding.weight[3, 5] += 1e-6
    assert encoder_checksum(encoder) != checksum

"""Embedding of inputs too long for one attention window."""

import numpy as np
import pytest

from kagaku.modalities import Nucleotide, Protein, RecordTokens
from kagaku.modalities.cropping import windows
from kagaku.models import BackboneConfig, Encoder, EncoderConfig, embedding, untrained_encoder
from kagaku.models.embedding import embed_columns

LONG, SHORT = "ACGTTGCAA" * 40, "MKTAYIAK"


def encoder() -> Encoder:
    backbone = BackboneConfig(dim=16, depth=1, heads=2, hidden=32)
    return untrained_encoder(
        EncoderConfig(modalities=("nucleotide", "protein"), backbone=backbone), seed=1
    )


def records() -> list[RecordTokens]:
    dna, protein = Nucleotide(), Protein()
    return [
        {0: ("nucleotide", dna.tokenize(LONG)), 1: ("protein", protein.tokenize(SHORT))},
        {1: ("protein", protein.tokenize(SHORT))},
        {0: ("nucleotide", dna.tokenize(LONG[:30]))},
    ]


def test_only_records_with_a_long_input_change(monkeypatch: pytest.MonkeyPatch) -> None:
    whole, there = embed_columns(encoder(), records(), 2)
    monkeypatch.setattr(embedding, "LONGEST_WINDOW", 50)
    cut, still_there = embed_columns(encoder(), records(), 2)
    np.testing.assert_array_equal(there, still_there)
    np.testing.assert_allclose(cut[1:], whole[1:], atol=1e-5)
    assert np.abs(cut[0, 0] - whole[0, 0]).max() > 1e-3


def test_the_windows_are_averaged_by_their_length(monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = Nucleotide().tokenize(LONG)  # 122 tokens: windows of 41, 41 and 40
    monkeypatch.setattr(embedding, "LONGEST_WINDOW", 50)
    found, _ = embed_columns(encoder(), [{0: ("nucleotide", tokens)}], 1)
    parts = [
        embed_columns(encoder(), [{0: ("nucleotide", one)}], 1)[0][0, 0]
        for one in windows(tokens, 50)
    ]
    expected = np.average(parts, axis=0, weights=[41, 41, 40])
    np.testing.assert_allclose(found[0, 0], expected, atol=1e-6)


def test_a_window_shown_twice_beside_a_longer_input_counts_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(embedding, "LONGEST_WINDOW", 50)
    dna = Nucleotide().tokenize(LONG)  # three windows
    protein = Protein().tokenize(SHORT * 10)  # two
    _, owners, weights = embedding._in_windows(
        [{0: ("nucleotide", dna), 1: ("protein", protein)}], 2
    )
    assert owners.tolist() == [0, 0, 0]
    lengths = [len(one) for one in windows(protein, 50)]
    assert len(lengths) == 2
    np.testing.assert_allclose(weights.sum(axis=0), 1, atol=1e-6)
    np.testing.assert_allclose(weights[1, 1], lengths[1] / sum(lengths), atol=1e-6)
    np.testing.assert_allclose(weights[[0, 2], 1], lengths[0] / sum(lengths) / 2, atol=1e-6)


def test_progress_counts_records_however_many_windows_they_have(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(embedding, "LONGEST_WINDOW", 50)
    seen = list[tuple[int, int]]()
    embed_columns(
        encoder(), records(), 2, token_budget=60, progress=lambda *told: seen.append(told)
    )
    assert len(seen) > 3
    assert seen == sorted(seen)
    assert seen[-1] == (3, 3)

"""Frozen embeddings as features of records."""

from typing import Any
from unittest.mock import patch

import numpy as np

from kagaku.bases import UNTRAINED, load_base
from kagaku.data.records import Records
from kagaku.data.schema import Input, Schema
from kagaku.modalities import MODALITIES
from kagaku.models.embedding import embed_columns
from kagaku.science_tasks import embedding_memory
from kagaku.science_tasks.embedding_memory import RECORD_BYTES, EmbeddingMemory
from kagaku.science_tasks.embeddings import EmbeddingFeatures

SPIKES = ["MKVLAAG", "MKVLAAGW", "MKVLAAG", None, "MKVL", "MKVLAAG", None]


def records_of(values: list[str | None]) -> Records:
    schema = Schema((Input("x", "x", "protein"),), ())
    return Records(schema, {"x": list(values)}, {}, np.arange(2, len(values) + 2), "lab.csv")


class Watched:
    """Embeds, and remembers how many records it was asked for at each call."""

    def __init__(self) -> None:
        self.counts = list[int]()

    def __call__(self, *given: Any, **named: Any) -> Any:
        self.counts.append(len(given[1]))
        return embed_columns(*given, **named)


def test_equal_records_are_embedded_once_and_alike() -> None:
    encoder, modalities = load_base(UNTRAINED), {"protein": MODALITIES["protein"]()}
    with patch.object(embedding_memory, "embed_columns", Watched()) as watched:
        _, (block,) = EmbeddingFeatures.fit(
            encoder, modalities, records_of(SPIKES), np.arange(len(SPIKES))
        )
    assert watched.counts == [4]
    np.testing.assert_array_equal(block.values[0], block.values[2])
    np.testing.assert_array_equal(block.values[0], block.values[5])
    assert not np.array_equal(block.values[0], block.values[1])


def test_a_memory_embeds_new_records_of_one_encoder_only() -> None:
    modalities = {"protein": MODALITIES["protein"]()}
    encoder, other = load_base(UNTRAINED), load_base(None)
    with patch.object(embedding_memory, "embed_columns", Watched()) as watched:
        memory = EmbeddingMemory()

        def asked(base: Any, values: list[str | None], memory: EmbeddingMemory | None) -> Any:
            every = np.arange(len(values))
            return EmbeddingFeatures.fit(base, modalities, records_of(values), every, memory=memory)

        features, (first,) = asked(encoder, SPIKES, memory)
        _, (again,) = asked(encoder, SPIKES[::-1], memory)
        asked(encoder, ["MKWW", *SPIKES], memory)
        (held_out,) = features.transform(records_of(["MKVLAAGW", "MKKK"]))
        _, (of_other,) = asked(other, SPIKES, memory)
        _, (plainly,) = asked(other, SPIKES, None)
    assert watched.counts == [4, 1, 1, 4, 4]
    assert memory.seconds_saved > 0
    np.testing.assert_allclose(first.values, again.values[::-1], atol=1e-4)  # sums in order
    np.testing.assert_allclose(held_out.values[0], first.values[1], atol=1e-4)
    np.testing.assert_array_equal(of_other.values, plainly.values)
    np.testing.assert_array_equal(first.present, again.present[::-1])


def test_a_full_memory_still_answers() -> None:
    encoder, modalities = load_base(UNTRAINED), {"protein": MODALITIES["protein"]()}
    rows, memory = (
        records_of(SPIKES),
        EmbeddingMemory(most_bytes=2 * (encoder.dim * 4 + RECORD_BYTES)),
    )
    with patch.object(embedding_memory, "embed_columns", Watched()) as watched:
        blocks = [
            EmbeddingFeatures.fit(encoder, modalities, rows, np.arange(7), memory=memory)[1][0]
            for _ in range(2)
        ]
    assert watched.counts == [4, 2]
    np.testing.assert_allclose(blocks[0].values, blocks[1].values, atol=1e-4)

"""Frozen embeddings as features of records."""

from unittest.mock import patch

import numpy as np

from kagaku.bases import UNTRAINED, load_base
from kagaku.data.records import Records
from kagaku.data.schema import Input, Schema
from kagaku.modalities import MODALITIES
from kagaku.models.embedding import embed_columns
from kagaku.science_tasks import embeddings
from kagaku.science_tasks.embeddings import EmbeddingFeatures

SPIKES = ["MKVLAAG", "MKVLAAGW", "MKVLAAG", None, "MKVL", "MKVLAAG", None]


def records_of(values: list[str | None]) -> Records:
    schema = Schema((Input("x", "x", "protein"),), ())
    return Records(schema, {"x": list(values)}, {}, np.arange(2, len(values) + 2), "lab.csv")


def test_equal_records_are_embedded_once_and_alike() -> None:
    seen = []

    def watched(*given: object, **named: object) -> object:
        seen.append(len(given[1]))  # type: ignore[arg-type]
        return embed_columns(*given, **named)  # type: ignore[arg-type]

    encoder, modalities = load_base(UNTRAINED), {"protein": MODALITIES["protein"]()}
    with patch.object(embeddings, "embed_columns", watched):
        _, (block,) = EmbeddingFeatures.fit(
            encoder, modalities, records_of(SPIKES), np.arange(len(SPIKES))
        )
    assert seen == [4]
    np.testing.assert_array_equal(block.values[0], block.values[2])
    np.testing.assert_array_equal(block.values[0], block.values[5])
    assert not np.array_equal(block.values[0], block.values[1])

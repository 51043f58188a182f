"""Learned features: frozen embeddings of each input, ready to stand beside the classical ones."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from kagaku.data.records import Records
from kagaku.data.schema import Schema
from kagaku.modalities import Modality
from kagaku.modalities.checking import tokenize_records
from kagaku.models.public import PublicEncoder
from kagaku.science_tasks.embedding_memory import EmbeddingMemory
from kagaku.science_tasks.features import FeatureBlock, input_of
from kagaku.science_tasks.public_embeddings import FrozenEncoder, embed_public

CLIP = 8.0
"""Standardised embeddings are cut here, so that one odd record cannot rule every distance."""


@dataclass
class EmbeddingFeatures:
    """Frozen embeddings of every input, standardised on training records."""

    encoder: FrozenEncoder
    """Makes the embeddings; not changed."""

    modalities: Mapping[str, Modality[Any]]
    """Fitted on the training records; they tokenise."""

    means: dict[str, Float[np.ndarray, " dim"]]
    """By input, mean of the embedding over training records."""

    deviations: dict[str, Float[np.ndarray, " dim"]]
    """By input, standard deviation over training records."""

    memory: EmbeddingMemory | None = None
    """Keeps what the encoder said of records; shared with other features of the same encoder."""

    @classmethod
    def fit(
        cls,
        encoder: FrozenEncoder,
        modalities: Mapping[str, Modality[Any]],
        records: Records,
        train_index: np.ndarray,
        *,
        memory: EmbeddingMemory | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> tuple["EmbeddingFeatures", list[FeatureBlock]]:
        """Return the features, standardised on the training records, and every record's blocks."""
        features = cls(encoder, modalities, {}, {}, memory)
        raw, present = features._embed(records, progress)
        for column, known in enumerate(records.schema.inputs):
            trained = train_index[present[train_index, column]]
            there = raw[trained, column]
            has_rows = len(there) > 0
            mean = there.mean(axis=0) if has_rows else np.zeros(raw.shape[2], np.float32)
            deviation = there.std(axis=0) if has_rows else np.ones(raw.shape[2], np.float32)
            features.means[known.name] = mean.astype(np.float32)
            # A constant dimension stays at zero instead of blowing up rounding noise.
            features.deviations[known.name] = np.where(deviation > 1e-6, deviation, 1.0).astype(
                np.float32
            )
        return features, features._blocks(records, raw, present)

    def transform(
        self, records: Records, *, progress: Callable[[int, int], None] | None = None
    ) -> list[FeatureBlock]:
        """Return one RBF block per input, ``"<input>:embedding"``."""
        raw, present = self._embed(records, progress)
        return self._blocks(records, raw, present)

    def _reads(self, modality: str) -> bool:
        """Return whether inputs of a modality have embeddings: a public encoder reads only one."""
        return not isinstance(self.encoder, PublicEncoder) or self.encoder.modality == modality

    def _embed(
        self, records: Records, progress: Callable[[int, int], None] | None
    ) -> tuple[np.ndarray, np.ndarray]:
        if isinstance(self.encoder, PublicEncoder):
            return embed_public(self.encoder, records, progress=progress)
        tokens = tokenize_records(records, self.modalities)
        # Half of the lineages of a virus share their spike: equal records are embedded once.
        memory = self.memory or EmbeddingMemory(most_bytes=0)
        return memory.embed(self.encoder, tokens, len(records.schema.inputs), progress)

    def _blocks(self, records: Records, raw: np.ndarray, present: np.ndarray) -> list[FeatureBlock]:
        blocks = []
        for column, known in enumerate(records.schema.inputs):
            if not self._reads(known.modality):
                continue
            values = (raw[:, column] - self.means[known.name]) / self.deviations[known.name]
            there = present[:, column]
            values = np.where(there[:, None], np.clip(values, -CLIP, CLIP), 0.0)
            blocks.append(
                FeatureBlock(f"{known.name}:embedding", values.astype(np.float32), "rbf", there)
            )
        return blocks


def learned_inputs(encoder: FrozenEncoder, schema: Schema) -> frozenset[str]:
    """Return the names of the inputs whose modality the encoder has learnt something of."""
    if isinstance(encoder, PublicEncoder):
        return frozenset(one.name for one in schema.inputs if one.modality == encoder.modality)
    learnt = encoder.config.has_learnt
    return frozenset(one.name for one in schema.inputs if learnt(one.modality))


def domain_blocks(blocks: Sequence[FeatureBlock]) -> list[FeatureBlock]:
    """Return the blocks that distances between records are measured on.

    These are the classical features, and the embedding of an input that has none. A second
    fingerprint of the same molecule would count its structure twice.
    """
    classical = [block for block in blocks if not is_learned([block.name])]
    described = {input_of(block) for block in classical}
    return [
        block
        for block in blocks
        if not block.for_kernels
        and (not is_learned([block.name]) or input_of(block) not in described)
    ]


def is_learned(block_names: Sequence[str]) -> bool:
    """Return whether any of these blocks is an embedding.

    Whether the encoder that made it has learnt anything of its modality, `learned_inputs` tells.
    """
    return any(name.endswith(":embedding") for name in block_names)

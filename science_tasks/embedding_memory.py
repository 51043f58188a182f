"""Embeddings of records that were embedded before: splits of one benchmark share most of theirs."""

import hashlib
import time
from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Bool, Float

from kagaku.data.grouping import group_of_keys
from kagaku.modalities import RecordTokens
from kagaku.models import Encoder
from kagaku.models.embedding import embed_columns
from kagaku.science_tasks.public_embeddings import FrozenEncoder
from kagaku.science_tasks.resumable import encoder_fingerprint

MOST_BYTES = 1_000_000_000
"""What is remembered at most; further records are embedded each time."""

RECORD_BYTES = 400
"""What a record takes beside its vectors, about."""


class EmbeddingMemory:
    """Embeds each distinct record of one encoder once.

    Args:
        most_bytes: What is remembered at most; 0 remembers nothing, and each call still embeds
            equal records once.
    """

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self.most_bytes = most_bytes
        self._encoder = ""
        self._n_bytes = 0
        self._kept: dict[bytes, tuple[np.ndarray, np.ndarray, float]] = {}
        self._tables: dict[bytes, np.ndarray] = {}
        self.seconds_saved = 0.0
        """How long what was remembered took when it was embedded, over all calls."""

    def embed(
        self,
        encoder: Encoder,
        records: Sequence[RecordTokens],
        n_inputs: int,
        progress: Callable[[int, int], None] | None = None,
    ) -> tuple[Float[np.ndarray, "record column dim"], Bool[np.ndarray, "record column"]]:
        """Return the mean embedding of each input of each record, and which inputs are there.

        Args:
            encoder: Used as it is. Another one than at the last call has everything forgotten.
            records: Tokens of each record.
            n_inputs: Number of inputs in the schema.
            progress: Called with (records done, records to do) while any has to be embedded.
        """
        self._forget_others(encoder)
        same = group_of_keys([_content(one, n_inputs) for one in records])
        _, firsts = np.unique(same, return_index=True)
        keys = [_content(records[one], n_inputs) for one in firsts]
        new = [place for place, key in enumerate(keys) if key not in self._kept]
        raw = np.zeros((len(keys), n_inputs, encoder.dim), dtype=np.float32)
        present = np.zeros((len(keys), n_inputs), dtype=bool)
        for place, key in enumerate(keys):
            if key in self._kept:
                raw[place], present[place], seconds = self._kept[key]
                self.seconds_saved += seconds
        if new:
            begun = time.monotonic()
            asked = [records[firsts[place]] for place in new]
            raw[new], present[new] = embed_columns(encoder, asked, n_inputs, progress=progress)
            seconds = (time.monotonic() - begun) / len(new)
            for place in new:
                self._keep(keys[place], raw[place], present[place], seconds)
        return raw[same], present[same]

    def table(
        self,
        encoder: FrozenEncoder,
        values: Sequence[str],
        make: Callable[[], Float[np.ndarray, "value feature"]],
    ) -> Float[np.ndarray, "value feature"]:
        """Return what `make` gives for some values, made once for the same values in their order.

        Args:
            encoder: As in `embed`; any.
            values: What the table is about, a row each.
            make: Called if the table is not remembered.
        """
        self._forget_others(encoder)
        digest = hashlib.blake2b(digest_size=16)
        for one in values:
            digest.update(f"{len(one)} {one}".encode())
        key = digest.digest()
        if key not in self._tables:
            made = make()
            if self._n_bytes + made.nbytes > self.most_bytes:
                return made
            self._tables[key] = made
            self._n_bytes += made.nbytes
        return self._tables[key]

    def _keep(self, key: bytes, raw: np.ndarray, present: np.ndarray, seconds: float) -> None:
        n_bytes = raw.nbytes + RECORD_BYTES
        if self._n_bytes + n_bytes <= self.most_bytes:
            self._kept[key] = raw.copy(), present.copy(), seconds
            self._n_bytes += n_bytes

    def _forget_others(self, encoder: FrozenEncoder) -> None:
        """Forget what another encoder said."""
        if self.most_bytes and self._encoder != (mark := encoder_fingerprint(encoder)):
            self._encoder, self._n_bytes = mark, 0
            self._kept.clear()
            self._tables.clear()


def _content(record: RecordTokens, n_inputs: int) -> bytes:
    """Return a digest that two records share only if they have the same tokens."""
    digest = hashlib.blake2b(str(n_inputs).encode(), digest_size=16)
    for column, (modality, tokens) in record.items():
        digest.update(f"{column} {modality} {len(tokens)} ".encode())
        for one in (tokens.ids, tokens.values, tokens.positions):
            digest.update(one.tobytes())
    return digest.digest()

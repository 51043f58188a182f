"""Tokens of one-dimensional sequences, and the lookup table that embeds them."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from kagaku.modalities.base import Tokens

START_ID, END_ID, MASK_ID = 0, 1, 2
"""The first ids of every vocabulary: before the first token, after the last, in place of one."""

N_SPECIALS = 3
"""How many ids of a vocabulary stand for no content."""


def sequence_tokens(ids: Sequence[int]) -> Tokens:
    """Return tokens that stand one after the other on the first position axis."""
    positions = np.zeros((len(ids), 3), dtype=np.float32)
    positions[:, 0] = np.arange(len(ids))
    return Tokens(
        ids=np.asarray(ids, dtype=np.int64)[:, None],
        values=np.zeros((len(ids), 0), dtype=np.float32),
        positions=positions,
    )


def hide_ids(tokens: Tokens, chosen: Bool[np.ndarray, " token"], mask_id: int) -> Tokens:
    """Return the tokens with the chosen ones replaced by the vocabulary's mask."""
    ids = tokens.ids.copy()
    ids[chosen] = mask_id
    return replace(tokens, ids=ids)


class VocabularyEmbedder(nn.Module):
    """Looks up one vector per token.

    Args:
        vocabulary_size: How many different tokens there are.
        dim: Width of an embedding.
    """

    def __init__(self, vocabulary_size: int, dim: int) -> None:
        super().__init__()
        self.table = nn.Embedding(vocabulary_size, dim)

    def vectors(self) -> Float[Tensor, "vocabulary dim"]:
        """Return the vector of every token of the vocabulary."""
        return self.table.weight

    def forward(
        self,
        ids: Int[Tensor, "token one"],
        values: Float[Tensor, "token none"],  # noqa: ARG002 (one signature for every embedder)
    ) -> Float[Tensor, "token dim"]:
        """Return the vector of each token."""
        embeddings: Tensor = self.table(ids[:, 0])
        return embeddings

"""What modalities with a vocabulary share: tokens in a row, the mask, a lookup table."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from kagaku.modalities.base import Modality, Raw, Tokens
from kagaku.modalities.cropping import window

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

START_ID, END_ID, MASK_ID = 0, 1, 2
"""The first ids of every vocabulary: before the first token, after the last, in place of one."""

N_SPECIALS = 3
"""How many ids of a vocabulary stand for no content."""


def sequence_tokens(ids: Sequence[int] | Int[np.ndarray, " token"]) -> Tokens:
    """Return tokens that stand one after the other on the first position axis."""
    positions = np.zeros((len(ids), 3), dtype=np.float32)
    positions[:, 0] = np.arange(len(ids))
    return Tokens(
        ids=np.asarray(ids, dtype=np.int64)[:, None],
        values=np.zeros((len(ids), 0), dtype=np.float32),
        positions=positions,
    )


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


@runtime_checkable
class Grammar(Protocol):
    """The beginning of a value that is generated, and what may follow it."""

    def allowed(self) -> list[int]:
        """Return the ids of the tokens that may come next; empty where nothing can mend it."""

    def add(self, token: int) -> None:
        """Write the next token."""


class SequenceModality(Modality[Raw]):
    """A modality whose tokens come from a vocabulary that begins with the special ones above.

    A subclass checks, tokenises and decodes; what else a vocabulary brings is here.
    """

    n_ids = 1
    n_values = 0
    n_specials: ClassVar[int] = N_SPECIALS
    config: "DataclassInstance | None" = None
    """Limits; None for a modality that has none."""

    @abstractmethod
    def decode(self, ids: Sequence[int]) -> str:
        """Return what tokens stand for, leaving out start, end and mask."""

    def grammar(self, most_tokens: int) -> Grammar | None:  # noqa: ARG002 (for those that have one)
        """Return the rules by which a new value is written; None where anything may follow.

        Args:
            most_tokens: Longest value, with start and end.
        """
        return None

    def hide(self, tokens: Tokens, chosen: Bool[np.ndarray, " token"]) -> Tokens:
        """Return the tokens with the chosen ones replaced by the mask token."""
        ids = tokens.ids.copy()
        ids[chosen] = MASK_ID
        return replace(tokens, ids=ids)

    def crop(self, tokens: Tokens, most: int, rng: np.random.Generator) -> Tokens:
        """Return a random window of at most ``most`` tokens."""
        return window(tokens, most, rng)

    def embedder(self, dim: int) -> nn.Module:
        """Return a lookup table."""
        return VocabularyEmbedder(self.vocabulary_size, dim)

    def state(self) -> dict[str, Any]:
        """Return the limits."""
        return {} if self.config is None else {"config": asdict(self.config)}

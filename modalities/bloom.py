"""Words as hashes: embeddings for names that nobody has listed in advance.

A variable or a column may be called anything, so there is no vocabulary of names. Each name is
hashed several times into one table and its vector is the sum of the rows it hits; two names share
a vector only if all their hashes collide (Serra and Karatzoglou 2017,
https://arxiv.org/abs/1706.03993).
"""

import hashlib

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

TABLE_SIZE = 1_024
"""Rows of a table; checkpoints depend on it."""


def bloom_ids(word: str, n_hashes: int) -> list[int]:
    """Return the table rows of a word; the same on every machine and in every version.

    Case and surrounding white space do not count.

    Example:
        >>> bloom_ids("Air_Temperature ", 4) == bloom_ids("air_temperature", 4)
        True
    """
    digest = hashlib.blake2b(word.strip().casefold().encode(), digest_size=4 * n_hashes).digest()
    rows: list[int] = (np.frombuffer(digest, dtype="<u4") % TABLE_SIZE).tolist()
    return rows


class BloomEmbedder(nn.Module):
    """Embeds tokens that carry hashes of words and some reals.

    Args:
        n_hashes: For each word a token carries, how many hashes it has; each word its own table.
        n_values: Reals per token.
        dim: Width of an embedding.
    """

    def __init__(self, n_hashes: tuple[int, ...], n_values: int, dim: int) -> None:
        super().__init__()
        self.n_hashes = n_hashes
        self.tables = nn.ModuleList(nn.Embedding(TABLE_SIZE, dim) for _ in n_hashes)
        for table, count in zip(self.tables, n_hashes, strict=True):
            # A sum of `count` rows then has unit variance, as a row of any other vocabulary has.
            nn.init.normal_(table.weight, std=count**-0.5)  # type: ignore[arg-type]
        self.project = nn.Linear(n_values, dim)

    def forward(
        self,
        ids: Int[Tensor, "token n_ids"],
        values: Float[Tensor, "token n_values"],
    ) -> Float[Tensor, "token dim"]:
        """Return the sum of the words' vectors and the projected reals of each token."""
        embeddings: Tensor = self.project(values)
        for table, rows in zip(
            self.tables, torch.split(ids, list(self.n_hashes), dim=1), strict=True
        ):
            embeddings = embeddings + table(rows).sum(dim=1)
        return embeddings

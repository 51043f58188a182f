"""Frozen embeddings: one vector per input of each record, in batches under a token budget."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float

from kagaku.modalities import RecordTokens, n_tokens, pack, plan_batches
from kagaku.models.encoder import Encoder, pool_columns

TOKEN_BUDGET = 8192
"""Tokens per batch; beyond this a CPU gains nothing and memory grows."""


def embed_columns(
    encoder: Encoder,
    records: Sequence[RecordTokens],
    n_columns: int,
    *,
    token_budget: int = TOKEN_BUDGET,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Float[np.ndarray, "record column dim"], Bool[np.ndarray, "record column"]]:
    """Return the mean embedding of each input of each record, and which inputs are there.

    Args:
        encoder: Used as it is, without gradients.
        records: Tokens of each record; a missing input has no tokens.
        n_columns: Number of inputs in the schema.
        token_budget: Most tokens in one batch; a longer record gets a batch of its own.
        progress: Called with (records done, records in all) after each batch.
    """
    lengths = np.array([n_tokens(record) for record in records], dtype=np.int64)
    means = np.zeros((len(records), n_columns, encoder.dim), dtype=np.float32)
    present = np.zeros((len(records), n_columns), dtype=bool)
    device = encoder.column_embedding.weight.device
    done = 0
    with torch.inference_mode():
        for batch in _batches(lengths, token_budget):
            packed = pack([records[index] for index in batch]).to(device)
            pooled, there = pool_columns(packed, encoder(packed), n_columns)
            means[batch] = pooled.float().cpu().numpy()
            present[batch] = there.cpu().numpy()
            done += len(batch)
            if progress is not None:
                progress(done, len(records))
    return means, present


def _batches(lengths: np.ndarray, token_budget: int) -> Iterator[list[int]]:
    """Yield batches under the budget, then each longer record alone; so memory follows the longest.

    Sorted by length, records of equal length share one attention call.
    """
    order = np.argsort(lengths, kind="stable")
    fits = lengths[order] <= token_budget
    yield from plan_batches(lengths, token_budget, order=order[fits].tolist())
    yield from ([one] for one in order[~fits].tolist())

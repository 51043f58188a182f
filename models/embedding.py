"""Frozen embeddings: one vector per input of each record, in batches under a token budget."""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch
from jaxtyping import Bool, Float, Int

from kagaku.modalities import RecordTokens, n_tokens, pack, plan_by_length
from kagaku.modalities.cropping import windows
from kagaku.models.encoder import Encoder, pool_columns
from kagaku.models.token_budget import reading_budget

LONGEST_WINDOW = 16_384
"""Most tokens of one input that attend to each other. Attention costs the square of that: a longer
sequence (a genome of 50,000 bases, say) is embedded window by window and its mean is taken."""


def embed_columns(
    encoder: Encoder,
    records: Sequence[RecordTokens],
    n_columns: int,
    *,
    token_budget: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Float[np.ndarray, "record column dim"], Bool[np.ndarray, "record column"]]:
    """Return the mean embedding of each input of each record, and which inputs are there.

    An input longer than `LONGEST_WINDOW` is cut into windows of nearly equal length; each is
    embedded together with the record's other inputs, and what comes out is averaged by length.

    Args:
        encoder: Used as it is, without gradients.
        records: Tokens of each record; a missing input has no tokens.
        n_columns: Number of inputs in the schema.
        token_budget: Most tokens in one batch, see `reading_budget`; a longer record gets a batch
            of its own. None for what suits the device.
        progress: Called with (records done, records in all) after each batch.
    """
    if any(is_long(record) for record in records):
        pieces, owners, weights = _in_windows(records, n_columns)
        tell = progress and partial(_tell, progress, len(records))
        parts = embed_columns(encoder, pieces, n_columns, token_budget=token_budget, progress=tell)
        return _joined(*parts, owners, weights, len(records))
    lengths = np.array([n_tokens(record) for record in records], dtype=np.int64)
    means = np.zeros((len(records), n_columns, encoder.dim), dtype=np.float32)
    present = np.zeros((len(records), n_columns), dtype=bool)
    budget = token_budget or reading_budget(encoder.column_embedding.weight)
    done = 0
    with torch.inference_mode():
        for batch in plan_by_length(lengths, budget):
            packed = pack([records[index] for index in batch]).to(encoder.device)
            pooled, there = pool_columns(packed, encoder(packed), n_columns)
            means[batch] = pooled.float().cpu().numpy()
            present[batch] = there.cpu().numpy()
            done += len(batch)
            if progress is not None:
                progress(done, len(records))
    return means, present


def token_states(
    encoder: Encoder,
    records: Sequence[RecordTokens],
    chosen: Sequence[Int[np.ndarray, " _"]],
    *,
    token_budget: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[Float[np.ndarray, "_ dim"]]:
    """Return what the backbone gives for some tokens of each record, in half precision.

    Args:
        encoder: Used as it is, without gradients.
        records: Tokens of each record, no input longer than `LONGEST_WINDOW`.
        chosen: For each record, which of its tokens.
        token_budget: Most tokens in one batch, see `reading_budget`; a longer record gets a batch
            of its own. None for what suits the device.
        progress: Called with (records done, records in all) after each batch.
    """
    assert not any(is_long(record) for record in records), "cut it into windows"
    lengths = np.array([n_tokens(record) for record in records], dtype=np.int64)
    found: list[np.ndarray] = [np.empty(0, dtype=np.float16)] * len(records)
    budget = token_budget or reading_budget(encoder.column_embedding.weight)
    done = 0
    with torch.inference_mode():
        for batch in plan_by_length(lengths, budget):
            packed = pack([records[index] for index in batch]).to(encoder.device)
            states = encoder(packed)
            for index, start in zip(batch, packed.record_offsets.tolist(), strict=False):
                tokens = torch.from_numpy(chosen[index] + start).to(encoder.device)
                found[index] = states[tokens].half().cpu().numpy()
            done += len(batch)
            if progress is not None:
                progress(done, len(records))
    return found


def _tell(progress: Callable[[int, int], None], n_records: int, done: int, n_pieces: int) -> None:
    """Tell how many records are done, as if each had as many pieces as any other."""
    progress(n_records * done // n_pieces, n_records)


def _joined(
    means: Float[np.ndarray, "piece column dim"],
    present: Bool[np.ndarray, "piece column"],
    owners: Int[np.ndarray, " piece"],
    weights: Float[np.ndarray, "piece column"],
    n_records: int,
) -> tuple[Float[np.ndarray, "record column dim"], Bool[np.ndarray, "record column"]]:
    """Return what the pieces of each record amount to."""
    whole = np.zeros((n_records, *means.shape[1:]), dtype=np.float32)
    np.add.at(whole, owners, means * weights[:, :, None])
    there = np.zeros((n_records, present.shape[1]), dtype=bool)
    np.logical_or.at(there, owners, present)
    return whole, there


def is_long(record: RecordTokens) -> bool:
    """Return whether any input of a record is longer than a window."""
    return any(len(tokens) > LONGEST_WINDOW for _, tokens in record.values())


def _in_windows(
    records: Sequence[RecordTokens], n_columns: int
) -> tuple[list[RecordTokens], Int[np.ndarray, " piece"], Float[np.ndarray, "piece column"]]:
    """Return pieces of the records, whose each is, and how much of each input it holds."""
    pieces: list[RecordTokens] = []
    owners, weights = [], []
    for owner, record in enumerate(records):
        parts = {column: windows(tokens, LONGEST_WINDOW) for column, (_, tokens) in record.items()}
        n_pieces = max((len(several) for several in parts.values()), default=1)
        for number in range(n_pieces):
            piece = {
                column: (modality, parts[column][number % len(parts[column])])
                for column, (modality, _) in record.items()
            }
            pieces.append(piece)
            owners.append(owner)
            share = np.full(n_columns, 1 / n_pieces, dtype=np.float32)
            for column, (_, tokens) in record.items():
                several = parts[column]
                if len(several) > 1:
                    place = number % len(several)
                    n_shown = len(range(place, n_pieces, len(several)))  # beside a longer input
                    share[column] = len(several[place]) / len(tokens) / n_shown
            weights.append(share)
    return pieces, np.array(owners, dtype=np.int64), np.array(weights).reshape(-1, n_columns)

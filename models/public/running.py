"""Token sequences of any length through a public network, in batches under a token budget."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from kagaku.modalities import PackedBatch, pack, plan_by_length
from kagaku.modalities.sequence import sequence_tokens
from kagaku.models.public.encoder import Progress
from kagaku.models.public.network import TokenNetwork
from kagaku.models.public.windows import Window, windows
from kagaku.models.token_budget import reading_budget

OVERLAP = 256
"""Tokens that two windows of a long sequence share: each token kept from inside a sequence has seen
at least 128 on either side of it."""


@dataclass(frozen=True)
class Framing:
    """What stands around a sequence, and how long one may be."""

    start: int
    """Id of the token before the first."""

    end: int
    """Id of the token after the last."""

    longest: int
    """Most tokens at once, without these two."""

    overlap: int = OVERLAP
    """Tokens that two windows share."""


@dataclass(frozen=True)
class Piece:
    """One window of one sequence, as a model sees it."""

    record: int
    """Which sequence."""

    ids: Int[np.ndarray, " token"]
    """Its tokens between start and end."""

    window: Window
    """Where it stands, and what is taken from it."""

    is_first: bool
    """Whether nothing was cut off before it."""

    is_last: bool
    """Whether nothing was cut off after it."""

    @property
    def inner(self) -> slice:
        """Which of its tokens count where start and end do not."""
        first = self.window.keep_from - self.window.start + 1
        return slice(first, first + self.window.keep_to - self.window.keep_from)

    @property
    def whole(self) -> slice:
        """Which of its tokens count where the sequence's start and end do, once each."""
        inner = self.inner
        return slice(inner.start - self.is_first, inner.stop + self.is_last)


def pieces_of(sequences: Sequence[Int[np.ndarray, " _token"]], framing: Framing) -> list[Piece]:
    """Return the windows of all sequences, each with its start and end token."""
    found = []
    overlap = min(framing.overlap, framing.longest - 1)
    for record, ids in enumerate(sequences):
        for window in windows(len(ids), framing.longest, overlap):
            framed = np.empty(window.stop - window.start + 2, dtype=np.int64)
            framed[0], framed[-1] = framing.start, framing.end
            framed[1:-1] = ids[window.start : window.stop]
            ends = (window.keep_from == 0, window.keep_to == len(ids))
            found.append(Piece(record, framed, window, *ends))
    return found


def packed_ids(sequences: Sequence[Int[np.ndarray, " _token"]], name: str = "token") -> PackedBatch:
    """Return whole token sequences, start and end included, as one packed batch."""
    return pack([{0: (name, sequence_tokens(ids))} for ids in sequences])


def run_pieces(
    network: TokenNetwork,
    pieces: Sequence[Piece],
    *,
    layer: int = -1,
    token_budget: int | None = None,
    progress: Progress | None = None,
) -> Iterator[tuple[list[int], PackedBatch, Float[Tensor, "token dim"]]]:
    """Yield (which pieces, their batch, an embedding per token), batch after batch.

    Batches are filled by length, so that pieces of one length share attention calls; the longest
    come first, so that what does not fit into memory fails at once. A piece above the budget has a
    batch of its own.
    """
    lengths = np.array([len(one.ids) for one in pieces], dtype=np.int64)
    device = network.words.weight.device
    budget = token_budget or reading_budget(network.words.weight)
    done = 0
    for batch in plan_by_length(lengths, budget, longest_first=True):
        packed = packed_ids([pieces[index].ids for index in batch]).to(device)
        yield batch, packed, network(packed, layer=layer)
        done += len(batch)
        if progress is not None:
            progress(done, len(pieces))


def token_rows(
    network: TokenNetwork,
    pieces: Sequence[Piece],
    lengths: Sequence[int],
    *,
    with_logits: bool = False,
    layer: int = -1,
    token_budget: int | None = None,
    progress: Progress | None = None,
) -> list[Float[np.ndarray, "_token width"]]:
    """Return, sequence by sequence, one row per token without start and end, float32.

    Args:
        network: Used without gradients.
        pieces: The windows of all sequences; see `pieces_of`.
        lengths: Tokens of each sequence.
        with_logits: Whether rows are logits of the vocabulary; else embeddings.
        layer: After which block embeddings are taken.
        token_budget: Most tokens in one batch; None for what suits the device.
        progress: Called with pieces done and pieces in all.
    """
    width = network.config.vocabulary_size if with_logits else network.config.sizes.dim
    rows = [np.empty((length, width), dtype=np.float32) for length in lengths]
    with torch.inference_mode():
        for batch, packed, tokens in run_pieces(
            network, pieces, layer=layer, token_budget=token_budget, progress=progress
        ):
            answers = network.logits(tokens) if with_logits else tokens
            on_cpu = answers.float().cpu().numpy()
            for index, start in zip(batch, packed.record_offsets.tolist(), strict=False):
                piece, place = pieces[index], pieces[index].inner
                rows[piece.record][piece.window.keep_from : piece.window.keep_to] = on_cpu[
                    start + place.start : start + place.stop
                ]
    return rows


def mean_rows(
    network: TokenNetwork,
    pieces: Sequence[Piece],
    n_records: int,
    *,
    kept: Callable[[Piece], slice],
    layer: int = -1,
    token_budget: int | None = None,
    progress: Progress | None = None,
) -> Float[np.ndarray, "record dim"]:
    """Return the mean embedding of each sequence, float32.

    Args:
        network: Used without gradients.
        pieces: The windows of all sequences; see `pieces_of`.
        n_records: How many sequences there are.
        kept: Which tokens of a piece count.
        layer: After which block embeddings are taken.
        token_budget: Most tokens in one batch; None for what suits the device.
        progress: Called with pieces done and pieces in all.
    """
    device = network.words.weight.device
    sums = torch.zeros(n_records, network.config.sizes.dim, device=device)
    counts = torch.zeros(n_records, device=device)
    with torch.inference_mode():
        for batch, packed, tokens in run_pieces(
            network, pieces, layer=layer, token_budget=token_budget, progress=progress
        ):
            records = np.full(packed.n_tokens, -1, dtype=np.int64)
            for index, start in zip(batch, packed.record_offsets.tolist(), strict=False):
                place = kept(pieces[index])
                records[start + place.start : start + place.stop] = pieces[index].record
            is_kept = torch.from_numpy(records >= 0).to(device)
            chosen = torch.from_numpy(records[records >= 0]).to(device)
            sums.index_add_(0, chosen, tokens[is_kept].float())
            counts.index_add_(0, chosen, counts.new_ones(len(chosen)))
    return (sums / counts.clamp(min=1).unsqueeze(1)).cpu().numpy()

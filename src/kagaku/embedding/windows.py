"""From checked records to vectors, window by window, in memory that does not grow with them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from kagaku.data import Records
from kagaku.errors import InputError
from kagaku.modalities import RecordTokens, n_tokens
from kagaku.modalities.checking import tokenize_records
from kagaku.models.embedding import embed_columns
from kagaku.models.encoder import Encoder
from kagaku.models.public import PublicEncoder
from kagaku.science_tasks.public_embeddings import FrozenEncoder, embed_public

if TYPE_CHECKING:
    from kagaku.modalities import Modality

WINDOW_BYTES = 64_000_000
"""Most bytes of tokens that are sorted into batches together: a million residues take 20 MB."""

LETTERS_AT_ONCE = 4_000_000
"""Most letters of texts or sequences that a public encoder gets at once: as tokens, in windows that
overlap, they take about 64 MB."""

RECORDS_AT_ONCE = 64
"""Records that are tokenised together: 64 of the largest images have 70 MB of tokens."""

Moved = Callable[[int, int], None]
"""Called with (records done, tokens done); of a public encoder, letters."""


def embed_records(
    encoder: FrozenEncoder,
    records: Records,
    modalities: "Mapping[str, Modality[Any]]",
    moved: Moved,
) -> tuple[Float[np.ndarray, "record dim"], int]:
    """Return one float32 vector per record, the mean over its inputs, and how many tokens it took.

    Of a public encoder, whose tokens are its own, letters are counted instead. Records are
    tokenised, sorted by length and embedded window by window, so that memory is bounded however
    many there are.

    Args:
        encoder: Used as it is, without gradients.
        records: Checked; each has at least one input.
        modalities: By name, fitted.
        moved: Told after each batch.

    Raises:
        InputError: A vector holds numbers that are not finite.
    """
    if isinstance(encoder, PublicEncoder):
        vectors, tokens = _embed_public(encoder, records, moved)
    else:
        vectors, tokens = _embed_own(encoder, records, modalities, moved)
    odd = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
    if len(odd):
        raise InputError(
            f"the vectors of {len(odd):,} rows are not finite, first that of row "
            f"{records.rows[odd[0]]}",
            fix="Compute in float32 (--precision float32), or check the model's weights.",
        )
    return vectors, tokens


def _embed_own(
    encoder: Encoder,
    records: Records,
    modalities: "Mapping[str, Modality[Any]]",
    moved: Moved,
) -> tuple[Float[np.ndarray, "record dim"], int]:
    """Do so with an encoder of the suite, whose modalities tokenise."""
    vectors = np.zeros((len(records), encoder.dim), dtype=np.float32)
    n_columns = len(records.schema.inputs)
    start = tokens = 0
    for window in _windows(records, modalities):
        n_here = sum(n_tokens(one) for one in window)

        tell = partial(_tell, moved, (start, tokens), n_here)
        means, present = embed_columns(encoder, window, n_columns, progress=tell)
        counts = np.maximum(present.sum(axis=1, keepdims=True), 1)
        vectors[start : start + len(window)] = means.sum(axis=1) / counts
        start, tokens = start + len(window), tokens + n_here
    return vectors, tokens


def _windows(
    records: Records, modalities: "Mapping[str, Modality[Any]]"
) -> Iterator[list[RecordTokens]]:
    """Yield the tokens of all records in lists of about `WINDOW_BYTES` at most."""
    window: list[RecordTokens] = []
    held = 0
    for first in range(0, len(records), RECORDS_AT_ONCE):
        some = range(first, min(first + RECORDS_AT_ONCE, len(records)))
        tokenized = tokenize_records(records.subset(some), modalities)
        n_bytes = sum(_bytes(one) for one in tokenized)
        if window and held + n_bytes > WINDOW_BYTES:
            yield window
            window, held = [], 0
        window = [*window, *tokenized]
        held += n_bytes
    if window:
        yield window


def _bytes(record: RecordTokens) -> int:
    return sum(
        one.ids.nbytes + one.values.nbytes + one.positions.nbytes for _, one in record.values()
    )


def _tell(moved: Moved, before: tuple[int, int], n_tokens: int, done: int, total: int) -> None:
    """Tell how far a window is; its tokens are taken as spread evenly over its records."""
    moved(before[0] + done, before[1] + n_tokens * done // total)


def _embed_public(
    encoder: PublicEncoder, records: Records, moved: Moved
) -> tuple[Float[np.ndarray, "record dim"], int]:
    """Do the same with a public encoder, whose tokens are its own: letters are counted instead.

    It sorts and batches by itself, so it gets as many records at once as memory allows.
    """
    vectors = np.zeros((len(records), encoder.dim), dtype=np.float32)
    names = [one.name for one in records.schema.inputs if one.modality == encoder.modality]
    counts = [
        sum(len(one) for one in values if isinstance(one, str))
        for values in zip(*(records.inputs[name] for name in names), strict=True)
    ]
    start = letters = 0
    for stop in _stops(counts):
        n_here = sum(counts[start:stop])
        tell = partial(_tell_share, moved, (start, letters), (stop - start, n_here))
        means, present = embed_public(encoder, records.subset(range(start, stop)), progress=tell)
        assert present.any(axis=1).all(), "rows without what the encoder reads are bad rows"
        vectors[start:stop] = means.sum(axis=1) / present.sum(axis=1, keepdims=True)
        start, letters = stop, letters + n_here
    return vectors, letters


def _stops(counts: Sequence[int]) -> Iterator[int]:
    """Yield where each run of records ends that has `LETTERS_AT_ONCE` at most, unless one alone."""
    held = 0
    for place, count in enumerate(counts):
        if held and held + count > LETTERS_AT_ONCE:
            yield place
            held = 0
        held += count
    if counts:
        yield len(counts)


def _tell_share(
    moved: Moved, before: tuple[int, int], here: tuple[int, int], done: int, total: int
) -> None:
    """Tell how far some records are, by the share of their values that is done."""
    moved(before[0] + here[0] * done // total, before[1] + here[1] * done // total)

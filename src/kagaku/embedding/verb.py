"""Embedding a file, a DataFrame or a list that fits into memory: one vector per record."""

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int

from kagaku.bases import not_trained_on, open_base
from kagaku.computing import Computing
from kagaku.data import (
    BadCell,
    BadRowsError,
    Grid,
    Records,
    Schema,
    Table,
    grid_records,
    parse_records,
    read,
    without_bad_rows,
)
from kagaku.data import infer_schema as infer
from kagaku.data.columns import CELL_MODALITIES
from kagaku.data.table import table_from_frame
from kagaku.errors import InputError
from kagaku.modalities import RecordTokens, n_tokens
from kagaku.modalities.checking import (
    check_records,
    fit_modalities,
    make_modalities,
    tokenize_records,
)
from kagaku.modalities.text import ANY_LENGTH, Text, TextConfig
from kagaku.models.checkpoint import encoder_checksum
from kagaku.models.embedding import embed_columns
from kagaku.models.extending import extended
from kagaku.models.public import PublicEncoder
from kagaku.reporting.verdict import untrained_sentence
from kagaku.science_tasks.public_embeddings import (
    FrozenEncoder,
    check_readable,
    embed_public,
    unread_rows,
)
from kagaku.terminal import Terminal

if TYPE_CHECKING:
    from kagaku.modalities import Modality

LISTED = "value"
"""Name of the one column that a list becomes."""

WINDOW_BYTES = 64_000_000
"""Most bytes of tokens that are sorted into batches together: a million residues take 20 MB."""

LETTERS_AT_ONCE = 4_000_000
"""Most letters of texts or sequences that a public encoder gets at once: as tokens, in windows that
overlap, they take about 64 MB."""

RECORDS_AT_ONCE = 64
"""Records that are tokenised together: 64 of the largest images have 70 MB of tokens."""

NAMED = 5
"""Most columns of one modality that are told by name."""

Moved = Callable[[int, int], None]
"""Called with (records done, tokens done); of a public encoder, letters."""


@dataclass(frozen=True)
class Embedded:
    """The vectors of some records, in their order, and what could not be embedded."""

    rows: Int[np.ndarray, " record"]
    """See `Records.rows`; every row of the input, the bad ones too."""

    ids: tuple[str, ...] | None
    """See `Records.ids`."""

    vectors: Float[np.ndarray, "record dim"]
    """Float32; NaN where the row could not be used."""

    is_bad: Bool[np.ndarray, " record"]
    """Which rows could not be used."""

    bad: tuple[BadCell, ...]
    """Why, cell by cell."""

    n_tokens: int
    """How many tokens the records have together; letters, if the encoder is a public one."""

    def __len__(self) -> int:
        return len(self.rows)


def embed_source(
    data: "str | Path | Sequence[object] | pd.DataFrame",
    *,
    inputs: Sequence[str] | None,
    model: str | None,
    skip_bad_rows: bool = False,
    computing: Computing | None = None,
    terminal: Terminal,
) -> Embedded:
    """Return one vector for each record; see `kagaku.embed`."""
    computing = (computing or Computing()).settled()
    computing.check()
    if (warning := computing.warning()) is not None:
        terminal.say(warning)
    source = source_of(data)
    if inputs is not None and list(source.columns if isinstance(source, Table) else ()) == [LISTED]:
        # The one column of a list has no name that its owner could know.
        inputs = [f"{LISTED}: {one}" if one in CELL_MODALITIES else one for one in inputs]
    encoder, fitted = encoder_of(model)
    schema = infer(source, targets=[], inputs=inputs)
    terminal.say(told_inputs(schema))
    records, bad = parse(source, schema)
    check_readable(encoder, schema)
    checked, bad = checked_for(encoder, records, bad, modalities_for(encoder, schema, fitted))
    if bad and not skip_bad_rows:
        raise BadRowsError(bad, len(records))
    good = without_bad_rows(checked, bad) if bad else checked
    # Statistics of the data at hand, where no run brings its own.
    modalities = {**fit_modalities(good), **fitted}
    encoder = reading(encoder, schema, terminal)
    computing.place(encoder)
    with terminal.progress("embedding") as progress, computing.running(encoder):
        vectors, tokens = embed_records(
            encoder, good, modalities, lambda done, _: progress(done, len(good), "")
        )
    return with_bad_rows(checked, vectors, bad, tokens)


def parse(source: Table | Grid, schema: Schema) -> tuple[Records, list[BadCell]]:
    """Return the records of a table or grid without targets, and the cells that cannot be read."""
    if isinstance(source, Grid):
        return grid_records(source, schema, with_targets=False), []
    return parse_records(source, schema, with_targets=False)


def told_inputs(schema: Schema) -> str:
    """Return what each input is read as, in words: a wrong guess would not show in the vectors."""
    columns: dict[str, list[str]] = {}
    for one in schema.inputs:
        columns.setdefault(one.modality, []).append(one.name)
    told = [f"{_listed(names)} as {modality}" for modality, names in columns.items()]
    return f"Reading {'; '.join(told)}"


def _listed(names: Sequence[str]) -> str:
    more = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {more:,} more" if more > 0 else "")


def modalities_for(
    encoder: FrozenEncoder, schema: Schema, fitted: "Mapping[str, Modality[Any]]"
) -> "dict[str, Modality[Any]]":
    """Return the modalities that check what an encoder embeds.

    Texts for a public encoder may have any length, since it cuts them into windows itself.

    Args:
        encoder: What will embed.
        schema: Its inputs are to be embedded.
        fitted: Those of a run, which take the place of fresh ones.
    """
    made = {**make_modalities(schema), **fitted}
    if isinstance(encoder, PublicEncoder) and encoder.modality == Text.name:
        made[Text.name] = Text(TextConfig(max_tokens=ANY_LENGTH))
    return made


def checked_for(
    encoder: FrozenEncoder,
    records: Records,
    bad: Sequence[BadCell],
    modalities: "Mapping[str, Modality[Any]]",
) -> tuple[Records, list[BadCell]]:
    """Return the records in canonical form, and all cells for which a row cannot be embedded.

    Args:
        encoder: What will embed.
        records: As `parse` gives them.
        bad: Cells that could not be read.
        modalities: See `modalities_for`.
    """
    checked, more = check_records(records, modalities)
    found = [*bad, *more]
    return checked, [*found, *unread_rows(encoder, checked, {cell.row for cell in found})]


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
    """
    if isinstance(encoder, PublicEncoder):
        return _embed_public(encoder, records, moved)
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


def _embed_public(encoder: PublicEncoder, records: Records, moved: Moved) -> tuple[np.ndarray, int]:
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


def checksum_of(encoder: FrozenEncoder) -> str:
    """Return a checksum of an encoder's weights, public or not."""
    if isinstance(encoder, PublicEncoder):
        return encoder.origin.checksum
    return encoder_checksum(encoder)


def _tell(moved: Moved, before: tuple[int, int], n_tokens: int, done: int, total: int) -> None:
    """Tell how far a window is; its tokens are taken as spread evenly over its records."""
    moved(before[0] + done, before[1] + n_tokens * done // total)


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


def with_bad_rows(
    records: Records,
    vectors: Float[np.ndarray, "good dim"],
    bad: Sequence[BadCell],
    tokens: int,
) -> Embedded:
    """Return the vectors of the good records, with an empty one for each record with a bad cell.

    Args:
        records: All records, good and bad.
        vectors: Those of the good ones, in their order.
        bad: The bad cells.
        tokens: See `Embedded.n_tokens`.
    """
    rejected = {cell.row for cell in bad}
    is_bad = np.array([int(row) in rejected for row in records.rows], dtype=bool)
    filled = np.full((len(records), vectors.shape[1]), np.nan, dtype=np.float32)
    filled[~is_bad] = vectors
    return Embedded(records.rows, records.ids, filled, is_bad, tuple(bad), tokens)


def source_of(data: "str | Path | Sequence[object] | pd.DataFrame") -> Table | Grid:
    """Return the table or grid that a user gave: a file, a DataFrame, or a list of strings.

    Raises:
        InputError: It cannot be read, or a list holds something else.
    """
    if isinstance(data, str | Path):
        return read(data)
    if isinstance(data, pd.DataFrame):
        return table_from_frame(data)
    values = list(data)
    if not all(isinstance(value, str) for value in values):
        raise InputError(
            "a list of values must hold strings only",
            fix="Give SMILES, sequences or texts, or a DataFrame with named columns.",
        )
    return table_from_frame(pd.DataFrame({LISTED: values}), source="list")


def reading(encoder: FrozenEncoder, schema: Schema, terminal: Terminal) -> FrozenEncoder:
    """Return the encoder, able to read every input; says what it has learnt nothing of.

    A public encoder reads one modality, and must find it.

    Args:
        encoder: Not changed.
        schema: Its inputs are to be embedded.
        terminal: Told; a quiet one warns.

    Raises:
        InputError: A public encoder finds no input that it reads.
    """
    check_readable(encoder, schema)
    if isinstance(encoder, PublicEncoder):
        return encoder
    modalities = {one.modality for one in schema.inputs}
    told = untrained_sentence(encoder.config.name, not_trained_on(encoder, modalities))
    if told and terminal.quiet:
        # A vector does not show that it means nothing, and there is no report that could say so.
        warnings.warn(told, UserWarning, stacklevel=4)
    elif told:
        terminal.say(told)
    return extended(encoder, modalities)


def encoder_of(model: str | None) -> "tuple[FrozenEncoder, dict[str, Modality[Any]]]":
    """Return an encoder, with the fitted modalities where it comes from a run.

    Args:
        model: A weights name, or a folder with an encoder or a run; None takes the default.

    Raises:
        InputError: There is none of that name, or the run holds no encoder.
    """
    if model is not None and (Path(model) / "metrics.json").exists():
        from kagaku.run import Run

        run = Run.load(model)
        encoder = run.model.encoder
        if encoder is None:
            raise InputError(
                f"the run {model!r} uses classical features only, so it holds no encoder",
                fix="Name the base it started from, or leave the model out.",
            )
        return encoder, dict(run.model.modalities)
    return open_base(model), {}

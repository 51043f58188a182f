"""Embedding a file, a DataFrame or a list: one vector per record."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from kagaku.bases import load_base, not_trained_on
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
)
from kagaku.data import infer_schema as infer
from kagaku.data.columns import MODALITIES
from kagaku.data.table import table_from_frame
from kagaku.errors import InputError
from kagaku.modalities.checking import check_records, fit_modalities, tokenize_records
from kagaku.models.embedding import embed_columns
from kagaku.models.extending import extended
from kagaku.outputs import check_ending
from kagaku.terminal import Terminal
from kagaku.verdict import untrained_sentence

if TYPE_CHECKING:
    from kagaku.modalities import Modality
    from kagaku.models import Encoder

WRITABLE = (".parquet", ".csv", ".npy")

LISTED = "value"
"""Name of the one column that a list becomes."""


def embed_source(
    data: "str | Path | Sequence[object] | pd.DataFrame",
    *,
    inputs: Sequence[str] | None,
    model: str | None,
    terminal: Terminal,
) -> tuple[Records, np.ndarray]:
    """Return the records and one vector for each, float32 (record, dim); see `kagaku.embed`."""
    source = _source(data)
    if inputs is not None and list(source.columns if isinstance(source, Table) else ()) == [LISTED]:
        # The one column of a list has no name that its owner could know.
        inputs = [f"{LISTED}: {one}" if one in MODALITIES else one for one in inputs]
    encoder, fitted = _encoder(model)
    schema = infer(source, targets=[], inputs=inputs)
    if isinstance(source, Grid):
        records, bad = grid_records(source, schema, with_targets=False), list[BadCell]()
    else:
        records, bad = parse_records(source, schema, with_targets=False)
    modalities = fit_modalities(records.subset([])) | fitted
    checked, more = check_records(records, modalities)
    if everything := [*bad, *more]:
        raise BadRowsError(everything, len(records))
    if not fitted:
        # Statistics of the data at hand, where no run brings its own.
        modalities = fit_modalities(checked)
    encoder = _reading(encoder, schema, terminal)
    with terminal.progress("embedding") as progress:
        means, present = embed_columns(
            encoder,
            tokenize_records(checked, modalities),
            len(schema.inputs),
            progress=lambda done, total: progress(done, total, ""),
        )
    counts = np.maximum(present.sum(axis=1, keepdims=True), 1)
    vectors: np.ndarray = means.sum(axis=1) / counts
    return checked, vectors.astype(np.float32)


def _source(data: "str | Path | Sequence[object] | pd.DataFrame") -> Table | Grid:
    if isinstance(data, str | Path):
        return read(data)
    if isinstance(data, pd.DataFrame):
        return table_from_frame(data)
    values = list(data)
    if not all(isinstance(value, str) for value in values):
        raise InputError(
            "a list to embed must hold strings only",
            fix="Give SMILES, sequences or texts, or a DataFrame with named columns.",
        )
    return table_from_frame(pd.DataFrame({LISTED: values}), source="list")


def _reading(encoder: "Encoder", schema: Schema, terminal: Terminal) -> "Encoder":
    """Return the encoder, able to read every input; says what it has learnt nothing of."""
    modalities = {one.modality for one in schema.inputs}
    told = untrained_sentence(encoder.config.name, not_trained_on(encoder, modalities))
    if told and terminal.quiet:
        # A vector does not show that it means nothing, and there is no report that could say so.
        warnings.warn(told, UserWarning, stacklevel=4)
    elif told:
        terminal.say(told)
    return extended(encoder, modalities)


def _encoder(model: str | None) -> "tuple[Encoder, dict[str, Modality[object]]]":
    """Return an encoder, with the fitted modalities where it comes from a run."""
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
    return load_base(model), {}


def check_output(output: Path) -> None:
    """Refuse an output that cannot be written, before any work.

    Raises:
        InputError: The ending is none that can be written, or no file can be made there.
    """
    check_ending(output, WRITABLE, "vectors")


def write_embeddings(records: Records, vectors: np.ndarray, output: Path) -> None:
    """Write vectors, with the row each came from, through a temporary name."""
    output.parent.mkdir(parents=True, exist_ok=True)
    partial = output.with_name(f"{output.stem}.partial{output.suffix}")
    if output.suffix == ".npy":
        np.save(partial, vectors)
    else:
        frame = pd.DataFrame(vectors, columns=[f"e{i}" for i in range(vectors.shape[1])])
        frame.insert(0, "row", records.rows)
        if records.ids is not None:
            frame.insert(1, "id", records.ids)
        if output.suffix == ".csv":
            frame.to_csv(partial, index=False)
        else:
            frame.to_parquet(partial, index=False)
    partial.replace(output)

"""Embedding a file, a DataFrame or a list: one vector per record."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from kagaku.bases import open_base
from kagaku.data import (
    BadCell,
    BadRowsError,
    Grid,
    Records,
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
from kagaku.models.public import PublicEncoder
from kagaku.outputs import check_ending
from kagaku.science_tasks.public_embeddings import FrozenEncoder, check_readable, embed_records
from kagaku.terminal import Terminal

if TYPE_CHECKING:
    from kagaku.modalities import Modality

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
    check_readable(encoder, schema)
    if isinstance(source, Grid):
        records, bad = grid_records(source, schema, with_targets=False), list[BadCell]()
    else:
        records, bad = parse_records(source, schema, with_targets=False)
    modalities = fitted or fit_modalities(records.subset([]))
    checked, more = check_records(records, modalities)
    if everything := [*bad, *more]:
        raise BadRowsError(everything, len(records))
    if not fitted:
        # Statistics of the data at hand, where no run brings its own.
        modalities = fit_modalities(checked)
    with terminal.progress("embedding") as progress:

        def report(done: int, total: int) -> None:
            progress(done, total, "")

        if isinstance(encoder, PublicEncoder):
            means, present = embed_records(encoder, checked, progress=report)
        else:
            tokens = tokenize_records(checked, modalities)
            means, present = embed_columns(encoder, tokens, len(schema.inputs), progress=report)
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


def _encoder(model: str | None) -> "tuple[FrozenEncoder, dict[str, Modality[object]]]":
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
    return open_base(model), {}


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

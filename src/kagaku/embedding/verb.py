"""Embedding a file, a DataFrame or a list that fits into memory: one vector per record."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from kagaku.computing import Computing
from kagaku.data import BadRowsError, Table, without_bad_rows
from kagaku.data import infer_schema as infer
from kagaku.data.columns import CELL_MODALITIES
from kagaku.embedding.encoders import checked_for, encoder_of, modalities_for, reading
from kagaku.embedding.source import LISTED, parse, source_of, told_inputs
from kagaku.embedding.vectors import Embedded, with_bad_rows
from kagaku.embedding.windows import embed_records
from kagaku.modalities.checking import fit_modalities
from kagaku.science_tasks.public_embeddings import check_readable
from kagaku.terminal import Terminal


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

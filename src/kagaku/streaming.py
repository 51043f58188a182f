"""Predicting files of any length in bounded memory, piece by piece, resumable after a stop."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import xarray as xr

from kagaku.bad_cells import BadCells
from kagaku.data import Table, read_tables
from kagaku.data.whole_files import written_whole
from kagaku.errors import InputError
from kagaku.frames import storable
from kagaku.input_files import NamedFiles, input_state
from kagaku.job_folder import JobFolder
from kagaku.outputs import (
    check_apart,
    check_writable,
    writing_alone,
    writing_told,
)
from kagaku.prediction_table import predictions_frame
from kagaku.run import Run
from kagaku.terminal import Terminal

ROWS_PER_CHUNK = 5_000
"""Rows in memory at once; the model's own batches are smaller."""

WRITABLE = (".csv", ".parquet")

FORMAT_VERSION = 2
"""Raised by one whenever kept parts would mean something else."""

JOB = "prediction.json"
"""What the parts are of."""


def predict_file(
    run: Run,
    source: Path,
    output: Path,
    *,
    abstain: bool = False,
    skip_bad_rows: bool = False,
    terminal: Terminal,
) -> int:
    """Write the input's columns and the predictions to ``output``, and return how many rows.

    Stopped half-way, the same call goes on after the last finished piece. The output appears
    under its name only when it is whole.

    Args:
        run: What predicts.
        source: A table that can be read in pieces.
        output: CSV or Parquet.
        abstain: See `Run.predict`.
        skip_bad_rows: See `Run.predict`.
        terminal: Shows progress.

    Raises:
        InputError: A column is missing, rows cannot be used, the output cannot be written or is
            being written by another process, or finished parts of another prediction lie in its
            place.
    """
    check_output(run, source, output)
    settings = {"abstain": abstain, "skip_bad_rows": skip_bad_rows}
    job = JobFolder(output, mark=JOB, what="prediction", identity=_identity(run, source, settings))
    with writing_alone(output):
        kept = job.kept()
        if kept is None:
            kept = _check_all(run, source, output, skip_bad_rows, terminal)
            with writing_told(output, "predictions"):
                job.begin(kept)
        else:
            chunks = read_tables(source, rows_per_chunk=ROWS_PER_CHUNK)
            job.check_files(kept, NamedFiles(run.schema).add_all(chunks).digest)
        with writing_told(output, "predictions"), terminal.progress("predicting") as progress:
            done, with_lists = 0, output.suffix != ".csv"
            for n_here in _finished_chunks(
                run, source, job.path, abstain=abstain, with_lists=with_lists
            ):
                done += n_here
                progress(done, kept["n_rows"], "")
            _join(sorted(job.path.glob("*.parquet")), output)
            job.remove()
    return done


def check_output(run: Run, source: Path, output: Path) -> None:
    """Refuse an output that cannot be written, before any work.

    Raises:
        InputError: Its ending does not suit the run, it is the input itself or lies in it, is a
            folder, or lies where no folder can be made.
    """
    is_field = any(target.kind == "field" for target in run.schema.targets)
    if (output.suffix == ".nc") != is_field or output.suffix not in (*WRITABLE, ".nc"):
        raise InputError(
            f"this run's predictions cannot be written as {output.suffix!r}",
            fix="Name a file that ends in "
            + (".nc: they are fields." if is_field else f"{' or '.join(WRITABLE)}."),
            where=str(output),
        )
    if output.is_dir():
        raise InputError("this is a folder", fix="Name a file in it.", where=str(output))
    check_apart(source, output)
    check_writable(output)


def _check_all(
    run: Run, source: Path, output: Path, skip_bad_rows: bool, terminal: Terminal
) -> dict[str, Any]:
    """Return how many rows there are and which files they name; stop if some cannot be used."""
    n_rows, bad, files = 0, BadCells(), NamedFiles(run.schema)
    with terminal.progress("checking") as progress:
        for chunk in read_tables(source, rows_per_chunk=ROWS_PER_CHUNK):
            n_rows += len(chunk)
            files.add(chunk)
            if not skip_bad_rows:
                bad.add(run.records(chunk)[1])
            progress(n_rows, n_rows, bad.told)
    bad.refuse(n_rows, output, terminal)
    return {"n_rows": n_rows, "files": files.digest}


def _finished_chunks(
    run: Run, source: Path, parts: Path, *, abstain: bool, with_lists: bool
) -> Iterator[int]:
    """Write each part that is missing, and yield the rows of every chunk when its part is there."""
    for number, chunk in enumerate(read_tables(source, rows_per_chunk=ROWS_PER_CHUNK)):
        part = parts / f"{number:06d}.parquet"
        if not part.exists():
            frame = _predict_chunk(run, chunk, abstain=abstain)
            with written_whole(part) as partial:
                storable(frame, with_lists=with_lists).to_parquet(partial, index=False)
        yield len(chunk)


def _predict_chunk(run: Run, chunk: Table, *, abstain: bool) -> pd.DataFrame:
    """Return the chunk's own columns with the predictions beside them."""
    records, bad = run.records(chunk)
    predicted = predictions_frame(run.schema.targets, run.model.predict(records), abstain=abstain)
    if bad:
        predicted = run.with_bad_rows(predicted, records, chunk, bad)
    else:
        predicted["problem"] = ""
    own = chunk.frame.reset_index(drop=True)
    # A measured column of the target's name stays, under another name.
    own = own.rename(columns={name: f"input_{name}" for name in own if name in predicted})
    return pd.concat([own, predicted.reset_index(drop=True)], axis=1)


def _identity(run: Run, source: Path, settings: dict[str, bool]) -> dict[str, Any]:
    """Return what a prediction depends on: the input, the run and the settings."""
    parts = {"format_version": FORMAT_VERSION, "rows_per_chunk": ROWS_PER_CHUNK}
    return {
        "input": input_state(source),
        "weights": run.model.fingerprint(),
        "settings": {**settings, **parts},
    }


def write_prediction(predicted: "pd.DataFrame | xr.Dataset", output: Path) -> int:
    """Write a prediction that is in memory already, and return how many records it has.

    Raises:
        InputError: It cannot be written.
    """
    with (
        writing_alone(output),
        writing_told(output, "predictions"),
        written_whole(output) as partial,
    ):
        if isinstance(predicted, xr.Dataset):
            predicted.to_netcdf(partial)
        elif output.suffix == ".csv":
            predicted.to_csv(partial, index=False)
        else:
            storable(predicted).to_parquet(partial, index=False)
    if isinstance(predicted, pd.DataFrame):
        return len(predicted)
    return max(len(one) for one in predicted.data_vars.values())


def _join(parts: list[Path], output: Path) -> None:
    """Write the pieces as one file, through a temporary name, one piece in memory at a time."""
    schema = pa.unify_schemas(
        [pa.parquet.read_schema(part) for part in parts], promote_options="permissive"
    )
    with written_whole(output) as partial:
        if output.suffix == ".parquet":
            with pa.parquet.ParquetWriter(partial, schema) as writer:
                for table in _tables(parts, schema):
                    writer.write_table(table)
        else:
            with pa.csv.CSVWriter(partial, schema) as writer:
                for table in _tables(parts, schema):
                    writer.write_table(table)


def _tables(parts: list[Path], schema: pa.Schema) -> Iterator[pa.Table]:
    for part in parts:
        yield pa.parquet.read_table(part).cast(schema)

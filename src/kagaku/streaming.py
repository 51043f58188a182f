"""Predicting files of any length in bounded memory, piece by piece, resumable after a stop."""

import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import xarray as xr

from kagaku.data import BadCell, BadRowsError, Table, read_tables, write_rejected
from kagaku.data.bad_rows import SHOWN
from kagaku.errors import InputError
from kagaku.frames import storable
from kagaku.outputs import check_writable, writing_told
from kagaku.prediction_table import predictions_frame
from kagaku.run import Run
from kagaku.terminal import Terminal

ROWS_PER_CHUNK = 5_000
"""Rows in memory at once; the model's own batches are smaller."""

KEPT_BAD_CELLS = 100_000
"""Most bad cells that are listed one by one, so that a wholly wrong file does not fill memory."""

WRITABLE = (".csv", ".parquet")


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
        InputError: A column is missing, rows cannot be used, or the output cannot be written.
    """
    check_output(run, source, output)
    n_rows = _check_all(run, source, output, skip_bad_rows=skip_bad_rows, terminal=terminal)
    parts = output.with_name(f"{output.name}.parts")
    settings = {"abstain": abstain, "skip_bad_rows": skip_bad_rows}
    with writing_told(output, "predictions"):
        _prepare(parts, _fingerprint(run, source, settings))
    with writing_told(output, "predictions"), terminal.progress("predicting") as progress:
        done = 0
        for number, chunk in enumerate(read_tables(source, rows_per_chunk=ROWS_PER_CHUNK)):
            part = parts / f"{number:06d}.parquet"
            if not part.exists():
                frame = _predict_chunk(run, chunk, abstain=abstain)
                frame = storable(frame, with_lists=output.suffix != ".csv")
                partial = part.with_suffix(".partial")
                frame.to_parquet(partial, index=False)
                partial.replace(part)
            done += len(chunk)
            progress(done, n_rows, "")
        _join(sorted(parts.glob("*.parquet")), output)
        shutil.rmtree(parts)
    return n_rows


def check_output(run: Run, source: Path, output: Path) -> None:
    """Refuse an output that cannot be written, before any work.

    Raises:
        InputError: Its ending does not suit the run, it is the input itself, a folder, or lies
            where no folder can be made.
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
    if output.resolve() == source.resolve():
        raise InputError(
            "the output is the same file as the input",
            fix="Choose another --output.",
            where=str(output),
        )
    check_writable(output)


def _check_all(
    run: Run, source: Path, output: Path, *, skip_bad_rows: bool, terminal: Terminal
) -> int:
    """Count the rows, and stop before any work if some cannot be used."""
    n_rows, n_bad, bad = 0, 0, list[BadCell]()
    with terminal.progress("checking") as progress:
        for chunk in read_tables(source, rows_per_chunk=ROWS_PER_CHUNK):
            n_rows += len(chunk)
            if not skip_bad_rows:
                _, found = run.records(chunk)
                n_bad += len(found)
                bad += found[: KEPT_BAD_CELLS - len(bad)]
            progress(n_rows, n_rows, f"{n_bad} bad cells" if n_bad else "")
    if bad:
        rejected = output.with_name("rejected.csv")
        write_rejected(bad, rejected)
        if len(bad) > SHOWN:
            terminal.say(f"All bad cells are listed in {rejected}")
        raise BadRowsError(bad, n_rows)
    return n_rows


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


def _fingerprint(run: Run, source: Path, settings: dict[str, bool]) -> str:
    """Return what identifies this prediction: the model, the file and the settings."""
    files = sorted(source.iterdir()) if source.is_dir() else [source]
    states = [(str(one.resolve()), one.stat().st_size, one.stat().st_mtime_ns) for one in files]
    stated = [run.model.fingerprint(), states, settings]
    return hashlib.sha256(json.dumps(stated).encode()).hexdigest()


def write_prediction(predicted: "pd.DataFrame | xr.Dataset", output: Path) -> int:
    """Write a prediction that is in memory already, and return how many records it has.

    Raises:
        InputError: It cannot be written.
    """
    partial = output.with_name(f"{output.stem}.partial{output.suffix}")
    with writing_told(output, "predictions"):
        output.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(predicted, xr.Dataset):
            predicted.to_netcdf(partial)
        elif output.suffix == ".csv":
            predicted.to_csv(partial, index=False)
        else:
            storable(predicted).to_parquet(partial, index=False)
        partial.replace(output)
    if isinstance(predicted, pd.DataFrame):
        return len(predicted)
    return max(len(one) for one in predicted.data_vars.values())


def _prepare(parts: Path, fingerprint: str) -> None:
    """Keep the finished pieces of the same prediction; clear those of any other."""
    marker = parts / "fingerprint.txt"
    if parts.exists() and (not marker.exists() or marker.read_text() != fingerprint):
        shutil.rmtree(parts)
    parts.mkdir(parents=True, exist_ok=True)
    marker.write_text(fingerprint)


def _join(parts: list[Path], output: Path) -> None:
    """Write the pieces as one file, through a temporary name, one piece in memory at a time."""
    partial = output.with_name(f"{output.name}.partial")
    schema = pa.unify_schemas(
        [pa.parquet.read_schema(part) for part in parts], promote_options="permissive"
    )
    if output.suffix == ".parquet":
        with pa.parquet.ParquetWriter(partial, schema) as writer:
            for table in _tables(parts, schema):
                writer.write_table(table)
    else:
        with pa.csv.CSVWriter(partial, schema) as writer:
            for table in _tables(parts, schema):
                writer.write_table(table)
    partial.replace(output)


def _tables(parts: list[Path], schema: pa.Schema) -> Iterator[pa.Table]:
    for part in parts:
        yield pa.parquet.read_table(part).cast(schema)

"""Verbs about a laboratory's own files: fine-tuning, predicting, embedding."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer()


@app.command()
def finetune(
    data: Annotated[
        Path | None,
        typer.Argument(
            help="CSV, TSV, Parquet, Excel, FASTA, SDF, a folder of images with a table, NetCDF "
            "or Zarr."
        ),
    ] = None,
    target: Annotated[
        list[str] | None,
        typer.Option(help='What to predict, such as "logS [log10(mol/L)]"; may be repeated.'),
    ] = None,
    inputs: Annotated[
        list[str] | None,
        typer.Option(
            "--input",
            help='What to predict from, such as smiles, "temp [degC]" or "note: text"; may be '
            "repeated. Default: every column that looks like an input.",
        ),
    ] = None,
    output: Annotated[Path | None, typer.Option(help="The run folder to write.")] = None,
    recipe: Annotated[
        Path | None, typer.Option(help="A YAML recipe; the flags given here override it.")
    ] = None,
    method: Annotated[str | None, typer.Option(help="auto, readout or full.")] = None,
    split: Annotated[
        str | None,
        typer.Option(
            help="auto, random, scaffold, sequence, chemical-system, group, time or file."
        ),
    ] = None,
    test_fraction: Annotated[float | None, typer.Option(help="Share held out for testing.")] = None,
    group: Annotated[
        str | None, typer.Option(help="A column whose equal values stay together.")
    ] = None,
    time: Annotated[str | None, typer.Option(help="A column that orders the rows in time.")] = None,
    lead: Annotated[
        str | None, typer.Option(help='For grids, how far ahead to predict, such as "3 months".')
    ] = None,
    indices: Annotated[
        Path | None, typer.Option(help="A JSON file with the rows of train and test.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Fixes whatever is random.")] = None,
    base: Annotated[
        str | None, typer.Option(help="The weights to start from: a name or a folder.")
    ] = None,
    confidence: Annotated[
        float | None, typer.Option(help="How often an interval shall contain the truth.")
    ] = None,
    max_seconds: Annotated[
        float | None, typer.Option(help="Start no new candidate after this many seconds.")
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes in full fine-tuning.")] = None,
    learning_rate: Annotated[
        float | None, typer.Option(help="The largest in full fine-tuning.")
    ] = None,
    nested: Annotated[
        bool | None,
        typer.Option(
            "--nested",
            help="Repeat the whole choosing in each fold of the training rows, for a score that "
            "owes nothing to it; takes about five times as long besides.",
        ),
    ] = None,
    skip_bad_rows: Annotated[
        bool | None, typer.Option("--skip-bad-rows", help="Go on without rows that cannot be read.")
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a finished run in the output folder.")
    ] = False,
) -> None:
    """Fine-tune on a table or grid and leave a run folder with a report."""
    from kagaku.terminal import Terminal

    terminal = Terminal()
    if data is not None:
        terminal.say(f"Reading {data}")  # before the imports, which take seconds
    from kagaku.api import finetune_config
    from kagaku.finetuning.verb import train

    flags = {
        "data": None if data is None else str(data),
        "target": target or None,
        "inputs": inputs or None,
        "output": None if output is None else str(output),
        "method": method,
        "split": split,
        "test_fraction": test_fraction,
        "group": group,
        "time": time,
        "lead": lead,
        "indices": None if indices is None else str(indices),
        "seed": seed,
        "base": base,
        "confidence": confidence,
        "max_seconds": max_seconds,
        "epochs": epochs,
        "learning_rate": learning_rate,
        "nested": nested,
        "skip_bad_rows": skip_bad_rows,
    }
    config = finetune_config(recipe, flags)
    train(config, terminal=terminal, overwrite=overwrite)


@app.command()
def predict(
    run: Annotated[Path, typer.Argument(help="A run folder.")],
    data: Annotated[Path, typer.Argument(help="What to predict: a file as in finetune.")],
    output: Annotated[Path, typer.Option(help="Where to write: .csv or .parquet; .nc for fields.")],
    abstain: Annotated[
        bool,
        typer.Option("--abstain", help="Give no answer for records unlike the training data."),
    ] = False,
    skip_bad_rows: Annotated[
        bool, typer.Option("--skip-bad-rows", help="Leave rows that cannot be read empty.")
    ] = False,
) -> None:
    """Predict every row of a file, with intervals; files of any length, resumable."""
    from kagaku.terminal import Terminal

    Terminal().say(f"Loading {run}")  # before the imports, which take seconds
    from kagaku.api import predict_to_file

    predict_to_file(run, data, output, abstain=abstain, skip_bad_rows=skip_bad_rows)


@app.command()
def embed(
    data: Annotated[Path, typer.Argument(help="What to embed: a file as in finetune.")],
    output: Annotated[Path, typer.Option(help="Where to write: .parquet, .csv or .npy.")],
    inputs: Annotated[
        list[str] | None, typer.Option("--input", help="Columns to embed; may be repeated.")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            "--base",
            "--model",
            help="A weights name, or the folder of an encoder, a run or a public model.",
        ),
    ] = None,
    skip_bad_rows: Annotated[
        bool, typer.Option("--skip-bad-rows", help="Leave rows that cannot be read empty.")
    ] = False,
    workers: Annotated[
        str | None,
        typer.Option(help="A number of processes, or dask for a cluster. Default: none beside."),
    ] = None,
    scheduler: Annotated[
        str | None, typer.Option(help="Address of a running Dask scheduler to work on.")
    ] = None,
    slurm: Annotated[
        int | None, typer.Option(min=1, help="SLURM jobs to work on, through dask-jobqueue.")
    ] = None,
    device: Annotated[
        str, typer.Option(help="cpu, cuda, or auto: the GPU where there is one.")
    ] = "auto",
    precision: Annotated[
        str, typer.Option(help="What is computed in: float32 or bfloat16. Vectors are float32.")
    ] = "float32",
) -> None:
    """Turn every record of a file into one vector; files of any length, resumable."""
    from kagaku.terminal import Terminal

    terminal = Terminal()
    terminal.say(f"Reading {data}")  # before the imports, which take seconds
    from kagaku.api import embed_to_file
    from kagaku.computing import Computing
    from kagaku.embedding.workers import Workforce

    embed_to_file(
        data,
        output,
        inputs=inputs or None,
        model=model,
        skip_bad_rows=skip_bad_rows,
        workforce=Workforce(workers, scheduler, slurm),
        computing=Computing(device, precision),
        terminal=terminal,
    )


@app.command()
def doctor(
    data: Annotated[
        Path | None, typer.Argument(help="A table, to tell what fine-tuning on it would cost.")
    ] = None,
    target: Annotated[
        list[str] | None, typer.Option(help="The target, if its name does not tell.")
    ] = None,
    inputs: Annotated[
        list[str] | None,
        typer.Option("--input", help="What to predict from; default: what looks like an input."),
    ] = None,
    base: Annotated[
        str | None, typer.Option(help="The weights to start from: a name or a folder.")
    ] = None,
) -> None:
    """Tell whether this machine is ready, and what a given table would cost."""
    from kagaku.doctor import show
    from kagaku.terminal import Terminal

    show(Terminal(), data, target or [], inputs or None, base)


@app.command()
def samples(
    name: Annotated[str | None, typer.Argument(help="The sample to copy; none lists them.")] = None,
    output: Annotated[Path, typer.Option(help="The folder to copy it to.")] = Path(),
) -> None:
    """List the shipped example data, or copy one."""
    from kagaku.example_data import copy_or_list_samples

    copy_or_list_samples(name, output)

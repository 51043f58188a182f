"""What a scientist calls: plain Python and pandas in, pandas out."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kagaku.bases import open_base
from kagaku.computing import Computing
from kagaku.embedding.verb import embed_source
from kagaku.embedding.workers import Workforce
from kagaku.errors import InputError
from kagaku.experiment import FinetuneConfig, load_recipe, override
from kagaku.finetuning.verb import train, train_frame
from kagaku.run import Run
from kagaku.terminal import Terminal

if TYPE_CHECKING:
    import pandas as pd

    from kagaku.models import Encoder
    from kagaku.models.public import PublicEncoder


def finetune(
    data: "str | Path | pd.DataFrame",
    target: str | Sequence[str],
    output: str | Path,
    *,
    inputs: Sequence[str] | None = None,
    method: str = "auto",
    split: str = "auto",
    seed: int = 0,
    base: str | None = None,
    nested: bool = False,
    skip_bad_rows: bool = False,
    overwrite: bool = False,
    quiet: bool = False,
    settings: Mapping[str, Any] | None = None,
) -> Run:
    """Fine-tune on a table or grid, and return the run.

    Args:
        data: CSV, TSV, Parquet, Excel, FASTA, SDF, a folder of images with a table, NetCDF, Zarr,
            or a DataFrame.
        target: What to predict, with its unit in brackets: ``"logS [log10(mol/L)]"``; a list for
            several.
        output: The run folder to write.
        inputs: What to predict from, such as ``["smiles", "temp [degC]"]``; None takes every
            column that looks like an input.
        method: ``"auto"``, ``"readout"`` or ``"full"``.
        split: ``"auto"``, ``"random"``, ``"scaffold"``, ``"sequence"``,
            ``"chemical-system"``, ``"group"``, ``"time"`` or ``"file"``.
        seed: Fixes whatever is random.
        base: The weights to start from: a name or a folder; or a public model, which
            ``"full"`` trains, ``"readout"`` reads frozen, and ``"auto"`` trains where it is quick.
        nested: Repeat the whole procedure in each fold of the training rows, for a score that owes
            nothing to having chosen; takes about five times as long besides.
        skip_bad_rows: Go on without the rows that cannot be read, instead of stopping.
        overwrite: Replace a finished run in ``output``.
        quiet: Print nothing.
        settings: Any other field of `FinetuneConfig`, by name, such as ``{"lead": "3 months"}``.

    Raises:
        InputError: Something in the data or the settings cannot be used; says what and how to
            mend it.
    """
    import pandas as pd

    flags: dict[str, Any] = {
        "target": (target,) if isinstance(target, str) else tuple(target),
        "inputs": None if inputs is None else tuple(inputs),
        "output": str(output),
        "method": method,
        "split": split,
        "seed": seed,
        "base": base,
        "nested": nested,
        "skip_bad_rows": skip_bad_rows,
        **(settings or {}),
    }
    terminal = Terminal(quiet=quiet)
    if isinstance(data, pd.DataFrame):
        return train_frame(data, flags, terminal=terminal, overwrite=overwrite)
    config = finetune_config(None, {"data": str(data), **flags})
    return train(config, terminal=terminal, overwrite=overwrite)


def finetune_config(recipe: Path | None, flags: Mapping[str, Any]) -> FinetuneConfig:
    """Return the settings of a recipe with the given flags laid over it; None is not a flag."""
    given = {name: value for name, value in flags.items() if value is not None}
    if recipe is not None:
        return load_recipe(recipe, given)
    for name, what in (("data", "a file"), ("target", "a target"), ("output", "a run folder")):
        if name not in given:
            raise InputError(
                f"{what} to {'write' if name == 'output' else 'work on'} is missing",
                fix='Such as: kagaku finetune lab.csv --target "logS [log10(mol/L)]" --output run/',
            )
    target = given["target"]
    start = FinetuneConfig(
        data=given["data"], target=(target,) if isinstance(target, str) else tuple(target)
    )
    return override(start, given)


def load(source: str | Path) -> "Run | Encoder | PublicEncoder":
    """Return a run, or the encoder of a weights name or folder.

    Args:
        source: A run folder, a weights name such as ``"kagaku-tiny"``, a folder with an encoder, or
            a public model: a folder of transformers' or timm's format, or the hub id of one in this
            machine's Hugging Face cache.

    Raises:
        InputError: There is nothing of that name.
    """
    path = Path(source)
    if (path / "metrics.json").exists() or (path / "UNFINISHED").exists():
        return Run.load(path)
    return open_base(str(source))


def embed(
    data: "str | Path | Sequence[str] | pd.DataFrame",
    *,
    inputs: Sequence[str] | None = None,
    model: str | None = None,
    skip_bad_rows: bool = False,
    device: str = "auto",
    precision: str = "float32",
    quiet: bool = True,
) -> np.ndarray:
    """Return one vector per record, float32 (record, dim), in the order of the input.

    For what does not fit into memory see `embed_to_file`.

    Args:
        data: A file as in `finetune`, a DataFrame, or a list of SMILES, sequences or texts.
        inputs: Columns to embed; None takes every column that looks like an input. For a list, what
            it holds, such as ``["molecule"]``: a few short values may be taken for words.
        model: A weights name, a folder with an encoder, a run or a public model, or the hub id of
            a public model in this machine's cache; None takes the default.
        skip_bad_rows: Leave the vectors of rows that cannot be used NaN, instead of stopping.
        device: ``"cpu"``, ``"cuda"``, or ``"auto"`` for the GPU where there is one.
        precision: ``"float32"``, or ``"bfloat16"`` for matrix products (of a public model, for
            everything); the vectors are float32 in any case.
        quiet: Show no progress bar.

    Raises:
        InputError: A value cannot be embedded; the message names its place.

    Warns:
        UserWarning: The model was never trained on one of the inputs' modalities, so what it says
            of them is as good as random.
    """
    return embed_source(
        data,
        inputs=inputs,
        model=model,
        skip_bad_rows=skip_bad_rows,
        computing=Computing(device, precision),
        terminal=Terminal(quiet=quiet),
    ).vectors


def predict_to_file(
    run: Path, data: Path, output: Path, *, abstain: bool, skip_bad_rows: bool
) -> None:
    """Predict a file and write the answer to another; see `Run.predict`."""
    from kagaku import streaming
    from kagaku.data.opening import find_file
    from kagaku.data.reading import is_grid

    terminal = Terminal()
    loaded = Run.load(run)
    source = find_file(data)
    streaming.check_output(loaded, source, output)
    if is_grid(source):
        if loaded.predicts_fields:
            n_rows = streaming.write_prediction(loaded.predict_fields(source, quiet=False), output)
        else:
            table = loaded.predict(source, abstain=abstain, quiet=False)
            n_rows = streaming.write_prediction(table, output)
    else:
        n_rows = streaming.predict_file(
            loaded, source, output, abstain=abstain, skip_bad_rows=skip_bad_rows, terminal=terminal
        )
    terminal.say(f"Wrote {n_rows:,} predictions to", path=output)


def embed_to_file(
    data: str | Path,
    output: str | Path,
    *,
    inputs: Sequence[str] | None = None,
    model: str | None = None,
    skip_bad_rows: bool = False,
    workforce: Workforce | None = None,
    computing: Computing | None = None,
    terminal: Terminal | None = None,
) -> None:
    """Write one vector for each row of a file of any length; stopped, the same call goes on.

    Args:
        data: As in `finetune`, but no DataFrame.
        output: Ends in .parquet, .csv or .npy.
        inputs: As in `embed`.
        model: As in `embed`.
        skip_bad_rows: Leave the vectors of rows that cannot be used empty, instead of stopping
            before any work.
        workforce: Who does the work; None is this process, which is all that a grid can have.
        computing: On which device, and in which precision; None is ``Computing()``.
        terminal: Where to tell what happens.

    Raises:
        InputError: See `bulk_embedding.embed_file`; or workers were asked for a grid.
    """
    from kagaku.data.opening import find_file
    from kagaku.data.reading import is_grid
    from kagaku.embedding import bulk as bulk_embedding
    from kagaku.embedding.output import check_output
    from kagaku.outputs import rejected_path

    terminal = terminal or Terminal()
    source, written = find_file(data), Path(output)
    check_output(source, written)
    if is_grid(source):
        if workforce is not None and not workforce.is_here:
            raise InputError(
                "a grid is embedded by this process alone, without workers",
                fix="Leave out --workers, --scheduler and --slurm.",
                where=str(source),
            )
        done = bulk_embedding.embed_grid(
            source, written, inputs=inputs, model=model, computing=computing, terminal=terminal
        )
    else:
        done = bulk_embedding.embed_file(
            source,
            written,
            inputs=inputs,
            model=model,
            skip_bad_rows=skip_bad_rows,
            workforce=workforce,
            computing=computing,
            terminal=terminal,
        )
    terminal.say(f"Wrote {done.n_rows:,} vectors of width {done.dim} to", path=written)
    if done.n_bad:
        told = f"{done.n_bad:,} of them are empty; what is wrong with their rows stands in"
        terminal.say(told, path=rejected_path(written))
    if done.speed:
        peak = bulk_embedding.peak_memory() / 1e6
        terminal.say(f"{done.speed}; this process held {peak:,.0f} MB at most.")


def trace(
    data: "str | Path | Sequence[str] | pd.DataFrame",
    *,
    corpus: str | Path | None = None,
    index: str | Path | None = None,
    inputs: Sequence[str] | None = None,
    weights: str | Path | None = None,
    most: int = 5,
    skip_bad_rows: bool = False,
    quiet: bool = True,
) -> "pd.DataFrame":
    """Return the training samples near each value: source, licence, and the steps that showed them.

    Molecules, proteins, nucleotides, texts, materials and images can be traced.

    Args:
        data: A file as in `finetune`, a DataFrame, or a list of SMILES, sequences, formulas or
            texts.
        corpus: A corpus that `kagaku corpus index` has made searchable; None asks only whether
            the weights were trained on each value, which their fingerprints tell.
        index: Where its index lies; None: inside the corpus.
        inputs: Columns to trace; None takes all that can be traced. For a list, what it holds, such
            as ``["molecule"]``: a few short values may be taken for words.
        weights: Whose training is asked for: a weights name, a release or a run folder; None takes
            the default.
        most: Most training samples for each value.
        skip_bad_rows: Leave out rows that cannot be read, instead of stopping.
        quiet: Print nothing.

    Returns:
        One row per sample found: ``row``, ``column``, ``modality`` and ``value`` of what was asked;
        ``trained_on`` (yes, a near-duplicate, no, or None where the weights have no fingerprints);
        ``rank``, ``is_same``, ``share`` (0 to 1), ``likeness`` in words; ``found``, ``source``,
        ``id``, ``input``, ``licence``, ``origin``, and ``steps``, counted from 1.

    Raises:
        InputError: A value cannot be read, nothing can be traced, or there is no index or no such
            weights.
    """
    from kagaku.tracing.output import to_frame
    from kagaku.tracing.verb import Wishes, trace_source

    wishes = Wishes(
        None if corpus is None else Path(corpus),
        None if index is None else Path(index),
        None if weights is None else str(weights),
        most,
        inputs,
        skip_bad_rows,
    )
    return to_frame(trace_source(data, wishes, Terminal(quiet=quiet)))

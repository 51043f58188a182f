"""From a file to a finished run folder: the steps of `kagaku finetune`, in order."""

import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kagaku.bases import not_trained_on, open_base
from kagaku.data import (
    BadCell,
    BadRowsError,
    Grid,
    Records,
    Schema,
    Split,
    SplitConfig,
    Table,
    check_targets,
    grid_records,
    infer_schema,
    parse_records,
    read,
    split_records,
    write_rejected,
)
from kagaku.data.bad_rows import SHOWN
from kagaku.data.table import table_from_frame
from kagaku.data.whole_files import write_json
from kagaku.errors import InputError
from kagaku.experiment import FinetuneConfig
from kagaku.finetuning.folder import (
    FRAME_FILE,
    REJECTED_FILE,
    WORK_FOLDER,
    check_output,
    open_folder,
    plain,
    write_run,
)
from kagaku.finetuning.tables import (
    show_candidates,
    show_nested,
    show_schema,
    show_scores,
)
from kagaku.frames import storable
from kagaku.held_out import save_held_out
from kagaku.modalities.checking import check_records, make_modalities
from kagaku.models.multitask import FinetuningConfig
from kagaku.models.public import PublicEncoder
from kagaku.provenance import collect
from kagaku.reporting.model_card import write_card
from kagaku.reporting.report import write_report
from kagaku.reporting.verdict import untrained_sentence
from kagaku.run import (
    RUN_FORMAT_VERSION,
    UNFINISHED_FILE,
    Run,
)
from kagaku.science_tasks.evaluation import Evaluation, evaluate
from kagaku.science_tasks.fit_settings import FitSettings, check_rows
from kagaku.science_tasks.fitting import fit_property
from kagaku.science_tasks.network_reach import check_method
from kagaku.science_tasks.public_embeddings import FrozenEncoder, check_readable, name_of
from kagaku.terminal import Terminal

if TYPE_CHECKING:
    import pandas as pd


def train(config: FinetuneConfig, *, terminal: Terminal, overwrite: bool = False) -> Run:
    """Fine-tune as the configuration says, and return the finished run.

    Raises:
        InputError: Something cannot be used; nothing has been trained then.
    """
    check_output(_output(config), overwrite=overwrite)
    return _train(config, read(config.data), terminal)


def train_frame(
    frame: "pd.DataFrame", flags: Mapping[str, Any], *, terminal: Terminal, overwrite: bool = False
) -> Run:
    """Fine-tune on a DataFrame; a copy of it is kept in the run folder."""
    given = {name: value for name, value in flags.items() if value is not None}
    config = FinetuneConfig(data=str(Path(flags["output"]) / FRAME_FILE), **given)
    check_output(_output(config), overwrite=overwrite)
    return _train(config, table_from_frame(frame), terminal, is_frame=True)


def _output(config: FinetuneConfig) -> Path:
    if config.output is None:
        raise InputError(
            "the run folder to write is missing", fix="Name it as output (--output run/)."
        )
    return Path(config.output)


@dataclass(frozen=True)
class Prepared:
    """All that is known before anything is fitted."""

    schema: Schema
    """What the columns are."""

    records: Records
    """The usable records of both sides."""

    n_skipped: int
    """Rows that were left out."""

    split: Split
    """The two sides."""

    settings: FitSettings
    """How to fit."""

    encoder: FrozenEncoder
    """The base."""

    base: dict[str, Any]
    """What the run's metrics say of the base."""


def _train(
    config: FinetuneConfig,
    source: Table | Grid,
    terminal: Terminal,
    *,
    is_frame: bool = False,
) -> Run:
    started = time.time()
    folder = _output(config)
    ready = _prepare(config, source, folder, terminal)
    try:
        open_folder(folder, has_rejected=ready.n_skipped > 0)
        if is_frame:
            assert isinstance(source, Table)
            storable(source.frame).to_parquet(config.data, index=False)
        _fit_and_write(config, source, ready, folder, terminal, started)
    except OSError as error:
        raise InputError(
            f"the run folder cannot be written ({error.strerror or error})",
            fix="Free some disk space or choose another --output, then run the command again: "
            "it goes on where it stopped.",
            where=str(folder),
        ) from error
    (folder / UNFINISHED_FILE).unlink()
    shutil.rmtree(folder / WORK_FOLDER, ignore_errors=True)
    ending = "nc" if any(target.kind == "field" for target in ready.schema.targets) else "csv"
    terminal.say("\nThe report, and the way to predict:")
    terminal.command(f"{folder / 'report.html'}")
    terminal.command(f"kagaku predict {folder} NEW_FILE --output predictions.{ending}")
    return Run.load(folder)


def _prepare(
    config: FinetuneConfig, source: Table | Grid, folder: Path, terminal: Terminal
) -> Prepared:
    """Return what is to be fitted, after every check that needs no fit."""
    schema = infer_schema(
        source,
        targets=config.target,
        inputs=config.inputs,
        group=config.group,
        time=config.time,
        lead=config.lead,
    )
    show_schema(schema, terminal)
    records, n_skipped = usable_records(source, schema, config, folder, terminal)
    check_targets(records)
    records, split = only_used(records, split_records(records, split_config(config)))
    settings = fit_settings(config, split)
    check_rows(records, split.train, settings)
    encoder = open_base(config.base)
    check_readable(encoder, schema)
    check_method(encoder, config.method, records)
    base: dict[str, Any] = {
        "name": name_of(encoder),
        "not_trained_on": not_trained_on(encoder, (one.modality for one in schema.inputs)),
    }
    if told := untrained_sentence(base["name"], base["not_trained_on"]):
        terminal.say(told)
    terminal.say(f"{len(split.train)} rows to train, {len(split.test)} held out: {split.reason}")
    if settings.nested:
        terminal.say(
            f"Nested: after the fit, all of it is repeated in up to {settings.folds} folds of the "
            f"training rows, so this takes about {settings.folds + 1} times as long as without."
        )
    return Prepared(schema, records, n_skipped, split, settings, encoder, base)


def _fit_and_write(
    config: FinetuneConfig,
    source: Table | Grid,
    ready: Prepared,
    folder: Path,
    terminal: Terminal,
    started: float,
) -> None:
    """Fit, score the held-out rows, print the tables, and fill the folder."""
    split, records, encoder = ready.split, ready.records, ready.encoder
    with terminal.progress("fitting") as progress:
        fitted = fit_property(
            records,
            split.train,
            encoder=encoder,
            settings=ready.settings,
            work=folder / WORK_FOLDER,
            progress=progress,
        )
    with terminal.progress("scoring the held-out rows"):
        evaluation = evaluate(fitted, split.test, seed=config.seed)
    show_candidates(evaluation, terminal)
    show_nested(evaluation, terminal)
    show_scores(evaluation, terminal)
    metrics = run_metrics(config, split, evaluation, len(records), ready.n_skipped)
    metrics["base"] = ready.base
    metrics["seconds"] = round(time.time() - started, 1)
    with terminal.progress("writing the report"):
        write_run(folder, config, fitted, metrics)
        save_held_out(folder, ready.schema, records.subset(split.test), evaluation, source)
        provenance = collect([Path(config.data)], started)
        if isinstance(encoder, PublicEncoder):
            provenance["base"] = encoder.origin.describe()
        write_json(plain(provenance), folder / "provenance.json")
        write_report(folder)
        write_card(folder)


def usable_records(
    source: Table | Grid,
    schema: Schema,
    config: FinetuneConfig,
    folder: Path,
    terminal: Terminal,
) -> tuple[Records, int]:
    """Return the records without bad rows, and how many rows were left out.

    Raises:
        BadRowsError: Some rows cannot be used, and the settings do not say to skip them.
    """
    if isinstance(source, Grid):
        records, bad = grid_records(source, schema, with_targets=True), list[BadCell]()
    else:
        records, bad = parse_records(source, schema, with_targets=True)
    records, more = check_records(records, make_modalities(schema))
    bad = [*bad, *more]
    if not bad:
        return records, 0
    write_rejected(bad, folder / REJECTED_FILE)
    if not config.skip_bad_rows:
        if len(bad) > SHOWN:
            terminal.say(f"All {len(bad)} bad cells are listed in {folder / REJECTED_FILE}")
        raise BadRowsError(bad, len(source))
    rejected = {cell.row for cell in bad}
    kept = [index for index, row in enumerate(records.rows) if int(row) not in rejected]
    terminal.say(
        f"Going on without {len(rejected)} of {len(source)} rows; they are listed in "
        f"{folder / REJECTED_FILE}"
    )
    return records.subset(kept), len(rejected)


def only_used(records: Records, split: Split) -> tuple[Records, Split]:
    """Return the records of a split without those on neither side, which would cost for nothing."""
    used = np.union1d(split.train, split.test)
    train, test = (np.searchsorted(used, side) for side in (split.train, split.test))
    return records.subset(used), replace(split, train=train, test=test)


def split_config(config: FinetuneConfig) -> SplitConfig:
    """Return the settings of the split."""
    return SplitConfig(
        kind="file" if config.indices is not None else config.split,
        test_fraction=config.test_fraction,
        seed=config.seed,
        path=None if config.indices is None else Path(config.indices),
    )


def fit_settings(config: FinetuneConfig, split: Split) -> FitSettings:
    """Return the settings of the fit."""
    network = FinetuningConfig(seed=config.seed, token_budget=config.token_budget)
    if config.epochs is not None:
        network = replace(network, epochs=config.epochs)
    if config.learning_rate is not None:
        network = replace(network, learning_rate=config.learning_rate)
    return FitSettings(
        method=config.method,
        confidence=config.confidence,
        folds=config.folds,
        fold_kind=split.keeps_apart,
        seed=config.seed,
        max_seconds=config.max_seconds,
        nested=config.nested,
        network=network,
    )


def run_metrics(
    config: FinetuneConfig, split: Split, evaluation: Evaluation, n_rows: int, n_skipped: int
) -> dict[str, Any]:
    """Return the contents of metrics.json."""
    return {
        "format_version": RUN_FORMAT_VERSION,
        "confidence": config.confidence,
        "method": config.method,
        "split": {
            "kind": split.kind,
            "reason": split.reason,
            "n_train": len(split.train),
            "n_test": len(split.test),
            "seed": config.seed,
        },
        "n_rows": n_rows,
        "n_skipped": n_skipped,
        "targets": evaluation.targets,
    }

"""From a file to a finished run folder: the steps of `kagaku finetune`, in order."""

import json
import shutil
import time
from collections.abc import Mapping
from dataclasses import replace
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
from kagaku.errors import InputError
from kagaku.experiment import FinetuneConfig, save_recipe
from kagaku.frames import storable
from kagaku.held_out import FIELDS_FILE, PREDICTIONS_FILE, save_held_out
from kagaku.modalities.checking import check_records, make_modalities
from kagaku.models.multitask import FinetuningConfig
from kagaku.models.public import PublicEncoder
from kagaku.outputs import check_writable
from kagaku.provenance import collect
from kagaku.reporting.model_card import write_card
from kagaku.reporting.report import write_report
from kagaku.reporting.verdict import untrained_sentence
from kagaku.run import (
    CONFIG_FILE,
    METRICS_FILE,
    MODEL_FOLDER,
    RUN_FORMAT_VERSION,
    SCHEMA_FILE,
    UNFINISHED_FILE,
    Run,
)
from kagaku.science_tasks.evaluation import Evaluation, evaluate
from kagaku.science_tasks.fitting import (
    FitSettings,
    PropertyFit,
    check_method,
    check_rows,
    fit_property,
)
from kagaku.science_tasks.public_embeddings import check_readable, name_of
from kagaku.terminal import Terminal

if TYPE_CHECKING:
    import pandas as pd

WORK_FOLDER = "work"
"""Inside an unfinished run: what a stopped fine-tuning goes on from."""

FRAME_FILE = "data.parquet"
"""Inside a run made from a DataFrame: its copy, so that the recipe can replay the run."""

REJECTED_FILE = "rejected.csv"
"""Lists the cells that cannot be used, if there are any."""

RESULT_FILES = (PREDICTIONS_FILE, FIELDS_FILE, "report.html", "card.md", "provenance.json")
"""What a finished run shows; removed before it is replaced."""


def train(config: FinetuneConfig, *, terminal: Terminal, overwrite: bool = False) -> Run:
    """Fine-tune as the configuration says, and return the finished run.

    Raises:
        InputError: Something cannot be used; nothing has been trained then.
    """
    _check_output(_output(config), overwrite=overwrite)
    return _train(config, read(config.data), terminal)


def train_frame(
    frame: "pd.DataFrame", flags: Mapping[str, Any], *, terminal: Terminal, overwrite: bool = False
) -> Run:
    """Fine-tune on a DataFrame; a copy of it is kept in the run folder."""
    given = {name: value for name, value in flags.items() if value is not None}
    config = FinetuneConfig(data=str(Path(flags["output"]) / FRAME_FILE), **given)
    _check_output(_output(config), overwrite=overwrite)
    return _train(config, table_from_frame(frame), terminal, is_frame=True)


def _output(config: FinetuneConfig) -> Path:
    if config.output is None:
        raise InputError(
            "the run folder to write is missing", fix="Name it as output (--output run/)."
        )
    return Path(config.output)


def _train(
    config: FinetuneConfig,
    source: Table | Grid,
    terminal: Terminal,
    *,
    is_frame: bool = False,
) -> Run:
    started = time.time()
    folder = _output(config)
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
    check_method(encoder, config.method)
    check_readable(encoder, schema)
    base: dict[str, Any] = {
        "name": name_of(encoder),
        "not_trained_on": not_trained_on(encoder, (one.modality for one in schema.inputs)),
    }
    if told := untrained_sentence(base["name"], base["not_trained_on"]):
        terminal.say(told)
    terminal.say(f"{len(split.train)} rows to train, {len(split.test)} held out: {split.reason}")
    try:
        _open_folder(folder, has_rejected=n_skipped > 0)
        if is_frame:
            assert isinstance(source, Table)
            storable(source.frame).to_parquet(config.data, index=False)
        with terminal.progress("fitting") as progress:
            fitted = fit_property(
                records,
                split.train,
                encoder=encoder,
                settings=settings,
                work=folder / WORK_FOLDER,
                progress=progress,
            )
        with terminal.progress("scoring the held-out rows"):
            evaluation = evaluate(fitted, split.test, seed=config.seed)
        show_candidates(evaluation, terminal)
        show_scores(evaluation, terminal)
        metrics = run_metrics(config, split, evaluation, len(records), n_skipped)
        metrics["base"] = base
        metrics["seconds"] = round(time.time() - started, 1)
        with terminal.progress("writing the report"):
            _write_run(folder, config, fitted, metrics)
            save_held_out(folder, schema, records.subset(split.test), evaluation, source)
            provenance = collect([Path(config.data)], started)
            if isinstance(encoder, PublicEncoder):
                provenance["base"] = encoder.origin.describe()
            _write_json(folder / "provenance.json", provenance)
            write_report(folder)
            write_card(folder)
    except OSError as error:
        raise InputError(
            f"the run folder cannot be written ({error.strerror or error})",
            fix="Free some disk space or choose another --output, then run the command again: "
            "it goes on where it stopped.",
            where=str(folder),
        ) from error
    (folder / UNFINISHED_FILE).unlink()
    shutil.rmtree(folder / WORK_FOLDER, ignore_errors=True)
    ending = "nc" if any(target.kind == "field" for target in schema.targets) else "csv"
    terminal.say("\nThe report, and the way to predict:")
    terminal.command(f"{folder / 'report.html'}")
    terminal.command(f"kagaku predict {folder} NEW_FILE --output predictions.{ending}")
    return Run.load(folder)


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


def show_schema(schema: Schema, terminal: Terminal) -> None:
    """Print what each column was taken for, and why."""
    rows = [
        [one.column, "input", one.modality, one.unit or "", one.reason] for one in schema.inputs
    ]
    rows += [[one.column, "target", one.kind, one.unit or "", one.reason] for one in schema.targets]
    rows += [[one.column, "ignored", "", "", one.reason] for one in schema.ignored]
    terminal.table("Columns", ["column", "used as", "kind", "unit", "why"], rows)


def show_candidates(evaluation: Evaluation, terminal: Terminal) -> None:
    """Print the tables that the methods were chosen from."""
    for name, found in evaluation.targets.items():
        metric = found["selection_metric"]
        rows = [
            [
                ("> " if one["chosen"] else "  ") + one["name"],
                _number(one["score"]),
                _number(one["standard_error"]),
                _number(one["seconds"], 1),
            ]
            for one in found["candidates"]
            if one["score"] is not None
        ]
        terminal.table(
            f"{name}: cross-validation on training rows, lower is better",
            ["candidate", f"{metric}{_bracketed(found, metric)}", "standard error", "seconds"],
            rows,
        )
        for one in found["candidates"]:
            if one["note"]:
                terminal.say(f"{one['name']}: {one['note']}")


def show_scores(evaluation: Evaluation, terminal: Terminal) -> None:
    """Print the held-out scores beside the baselines, and the coverage."""
    for name, found in evaluation.targets.items():
        metric = found["metric"]
        rows = [["this run", *_score(found["test"].get(metric))]]
        rows += [[one["name"], *_score(one["test"].get(metric))] for one in found["baselines"]]
        heading = f"{metric}{_bracketed(found, metric)}"
        terminal.table(f"\n{name}: held-out rows", ["", heading, "95% interval"], rows)
        for sentence in (
            found["versus_best_baseline"]["sentence"],
            found["learned"]["sentence"],
            found["coverage"]["note"],
        ):
            if sentence:
                terminal.say(sentence)


def _bracketed(found: Mapping[str, Any], metric: str) -> str:
    """Return the target's unit in brackets, if the metric has it."""
    return f" [{found['unit']}]" if found["unit"] and metric in ("RMSE", "MAE") else ""


def _score(score: Mapping[str, Any] | None) -> list[str]:
    if score is None:
        return ["", ""]
    return [_number(score["value"]), f"{_number(score['lower'])} to {_number(score['upper'])}"]


def _number(value: float | None, digits: int = 3) -> str:
    return "" if value is None or not np.isfinite(value) else f"{value:.{digits}f}"


def _check_output(folder: Path, *, overwrite: bool) -> None:
    """Refuse a folder that holds something else; nothing is written yet.

    Raises:
        InputError: It is a file, a finished run that shall not be replaced, or holds other files.
    """
    if folder.exists() and not folder.is_dir():
        raise InputError(
            "this is a file, not a folder", fix="Choose another --output.", where=str(folder)
        )
    check_writable(folder)
    if not folder.is_dir() or (folder / UNFINISHED_FILE).exists():
        return
    if (folder / METRICS_FILE).exists():
        if not overwrite:
            raise InputError(
                "there is a finished run in this folder already",
                fix="Choose another --output, or replace it with --overwrite "
                "(overwrite=True in Python).",
                where=str(folder),
            )
    elif {one.name for one in folder.iterdir()} - {REJECTED_FILE, FRAME_FILE}:
        raise InputError(
            "the folder holds other files, which a run would mix with",
            fix="Choose an empty or a new folder as --output.",
            where=str(folder),
        )


def _open_folder(folder: Path, *, has_rejected: bool) -> None:
    """Make the run folder, reopen an unfinished one, or clear a finished one."""
    folder.mkdir(parents=True, exist_ok=True)
    is_finished = not (folder / UNFINISHED_FILE).exists()
    (folder / UNFINISHED_FILE).write_text("Run the same command again to go on.\n")
    if not has_rejected:
        (folder / REJECTED_FILE).unlink(missing_ok=True)
    if is_finished:
        for stale in (WORK_FOLDER, MODEL_FOLDER):
            shutil.rmtree(folder / stale, ignore_errors=True)
        # Not the recipe and the copied table: this run may have been asked for by them.
        for name in (METRICS_FILE, SCHEMA_FILE, *RESULT_FILES):
            (folder / name).unlink(missing_ok=True)


def _write_run(
    folder: Path, config: FinetuneConfig, fitted: PropertyFit, metrics: Mapping[str, Any]
) -> None:
    fitted.model.save(folder / MODEL_FOLDER)
    save_recipe(config, folder / CONFIG_FILE)
    _write_json(folder / SCHEMA_FILE, fitted.model.schema.to_json())
    _write_json(folder / METRICS_FILE, metrics)


def _write_json(path: Path, values: Mapping[str, Any]) -> None:
    partial = path.with_name(f"{path.name}.partial")
    partial.write_text(json.dumps(_plain(values), indent=1, ensure_ascii=False), encoding="utf-8")
    partial.replace(path)


def _plain(value: Any) -> Any:
    """Return nested values as strict JSON has them: no NaN, no NumPy scalars."""
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value

"""From a file to a finished run folder: the steps of `kagaku finetune`, in order."""

import json
import shutil
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kagaku.bases import load_base
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
from kagaku.held_out import save_held_out
from kagaku.modalities.checking import check_records, make_modalities
from kagaku.model_card import write_card
from kagaku.models.multitask import FinetuningConfig
from kagaku.provenance import collect
from kagaku.report import write_report
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
from kagaku.science_tasks.fitting import FitSettings, PropertyFit, fit_property
from kagaku.terminal import Terminal

if TYPE_CHECKING:
    import pandas as pd

WORK_FOLDER = "work"
"""Inside an unfinished run: what a stopped fine-tuning goes on from."""

FRAME_FILE = "data.parquet"
"""Inside a run made from a DataFrame: its copy, so that the recipe can replay the run."""


def train(config: FinetuneConfig, *, terminal: Terminal, overwrite: bool = False) -> Run:
    """Fine-tune as the configuration says, and return the finished run.

    Raises:
        InputError: Something cannot be used; nothing has been trained then.
    """
    return _train(config, read(config.data), Path(config.data), terminal, overwrite=overwrite)


def train_frame(
    frame: "pd.DataFrame", flags: Mapping[str, Any], *, terminal: Terminal, overwrite: bool = False
) -> Run:
    """Fine-tune on a DataFrame; a copy of it is kept in the run folder."""
    folder = Path(flags["output"])
    source = table_from_frame(frame)
    _open_folder(folder, overwrite=overwrite)
    copied = folder / FRAME_FILE
    source.frame.to_parquet(copied)
    given = {name: value for name, value in flags.items() if value is not None}
    config = FinetuneConfig(data=str(copied), **given)
    return _train(config, source, copied, terminal, overwrite=True)


def _train(
    config: FinetuneConfig,
    source: Table | Grid,
    file: Path,
    terminal: Terminal,
    *,
    overwrite: bool,
) -> Run:
    started = time.time()
    assert config.output is not None
    folder = Path(config.output)
    schema = infer_schema(
        source,
        targets=config.target,
        inputs=config.inputs,
        group=config.group,
        time=config.time,
        lead=config.lead,
    )
    show_schema(schema, terminal)
    _open_folder(folder, overwrite=overwrite)
    records, n_skipped = usable_records(source, schema, config, folder, terminal)
    check_targets(records)
    split = split_records(records, split_config(config))
    terminal.say(f"{len(split.train)} rows to train, {len(split.test)} held out: {split.reason}")
    try:
        with terminal.progress("fitting") as progress:
            fitted = fit_property(
                records,
                split.train,
                encoder=load_base(config.base),
                settings=fit_settings(config, split),
                work=folder / WORK_FOLDER,
                progress=progress,
            )
        evaluation = evaluate(fitted, split.test, seed=config.seed)
        show_candidates(evaluation, terminal)
        show_scores(evaluation, terminal)
        metrics = run_metrics(config, split, evaluation, len(records), n_skipped)
        metrics["seconds"] = round(time.time() - started, 1)
        _write_run(folder, config, fitted, metrics)
        save_held_out(folder, schema, records.subset(split.test), evaluation, source)
        _write_json(folder / "provenance.json", collect([file], started))
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
    terminal.say(
        f"Report: {folder / 'report.html'}\nPredict: kagaku predict {folder} NEW_FILE "
        "--output predictions.csv"
    )
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
    write_rejected(bad, folder / "rejected.csv")
    if not config.skip_bad_rows:
        if len(bad) > SHOWN:
            terminal.say(f"All {len(bad)} bad cells are listed in {folder / 'rejected.csv'}")
        raise BadRowsError(bad, len(source))
    rejected = {cell.row for cell in bad}
    kept = [index for index, row in enumerate(records.rows) if int(row) not in rejected]
    terminal.say(
        f"Going on without {len(rejected)} of {len(source)} rows; they are listed in "
        f"{folder / 'rejected.csv'}"
    )
    return records.subset(kept), len(rejected)


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
        # A given split file says nothing about what its sides share.
        fold_kind="random" if split.kind == "file" else split.kind,
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
        rows = [
            [
                ("> " if one["chosen"] else "  ") + one["name"],
                _number(one["score"]),
                _number(one["standard_error"]),
                _number(one["seconds"], 1),
                one["note"] or "",
            ]
            for one in found["candidates"]
        ]
        terminal.table(
            f"{name}: cross-validation on training rows, {found['selection_metric']}",
            ["candidate", found["selection_metric"], "standard error", "seconds", "note"],
            rows,
        )


def show_scores(evaluation: Evaluation, terminal: Terminal) -> None:
    """Print the held-out scores beside the baselines, and the coverage."""
    for name, found in evaluation.targets.items():
        metric = found["metric"]
        rows = [["this run", *_score(found["test"].get(metric))]]
        rows += [[one["name"], *_score(one["test"].get(metric))] for one in found["baselines"]]
        unit = f" [{found['unit']}]" if found["unit"] and metric in ("RMSE", "MAE") else ""
        terminal.table(f"{name}: held-out rows", ["", f"{metric}{unit}", "95% interval"], rows)
        for sentence in (
            found["versus_best_baseline"]["sentence"],
            found["learned"]["sentence"],
            found["coverage"]["note"],
        ):
            if sentence:
                terminal.say(sentence)


def _score(score: Mapping[str, Any] | None) -> list[str]:
    if score is None:
        return ["", ""]
    return [_number(score["value"]), f"{_number(score['lower'])} to {_number(score['upper'])}"]


def _number(value: float | None, digits: int = 3) -> str:
    return "" if value is None or not np.isfinite(value) else f"{value:.{digits}f}"


def _open_folder(folder: Path, *, overwrite: bool) -> None:
    """Make the run folder or reopen an unfinished one; replace a finished one only if asked."""
    if (folder / METRICS_FILE).exists() and not (folder / UNFINISHED_FILE).exists():
        if not overwrite:
            raise InputError(
                "there is a finished run in this folder already",
                fix="Choose another --output, or replace it with --overwrite.",
                where=str(folder),
            )
        for stale in (WORK_FOLDER, MODEL_FOLDER):
            shutil.rmtree(folder / stale, ignore_errors=True)
    elif folder.is_dir() and not (folder / UNFINISHED_FILE).exists() and any(folder.iterdir()):
        if {one.name for one in folder.iterdir()} - {"rejected.csv", FRAME_FILE}:
            raise InputError(
                "the folder holds other files, which a run would mix with",
                fix="Choose an empty or a new folder as --output.",
                where=str(folder),
            )
    elif folder.exists() and not folder.is_dir():
        raise InputError(
            "this is a file, not a folder", fix="Choose another --output.", where=str(folder)
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / UNFINISHED_FILE).write_text("Run the same command again to go on.\n")
    except OSError as error:
        raise InputError(
            f"the run folder cannot be made ({error.strerror})",
            fix="Choose another --output.",
            where=str(folder),
        ) from None


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

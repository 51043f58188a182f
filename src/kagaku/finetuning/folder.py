"""The run folder while it is made: refused, opened, filled."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from kagaku.data.whole_files import write_json
from kagaku.errors import InputError
from kagaku.experiment import FinetuneConfig, save_recipe
from kagaku.held_out import FIELDS_FILE, PREDICTIONS_FILE
from kagaku.outputs import check_writable
from kagaku.run import (
    CONFIG_FILE,
    METRICS_FILE,
    MODEL_FOLDER,
    SCHEMA_FILE,
    UNFINISHED_FILE,
)
from kagaku.science_tasks.fitting import PropertyFit

WORK_FOLDER = "work"
"""Inside an unfinished run: what a stopped fine-tuning goes on from."""

FRAME_FILE = "data.parquet"
"""Inside a run made from a DataFrame: its copy, so that the recipe can replay the run."""

REJECTED_FILE = "rejected.csv"
"""Lists the cells that cannot be used, if there are any."""

RESULT_FILES = (PREDICTIONS_FILE, FIELDS_FILE, "report.html", "card.md", "provenance.json")
"""What a finished run shows; removed before it is replaced."""


def check_output(folder: Path, *, overwrite: bool) -> None:
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


def open_folder(folder: Path, *, has_rejected: bool) -> None:
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


def write_run(
    folder: Path, config: FinetuneConfig, fitted: PropertyFit, metrics: Mapping[str, Any]
) -> None:
    """Write the model, the recipe, the schema and the scores."""
    fitted.model.save(folder / MODEL_FOLDER)
    save_recipe(config, folder / CONFIG_FILE)
    write_json(plain(fitted.model.schema.to_json()), folder / SCHEMA_FILE)
    write_json(plain(metrics), folder / METRICS_FILE)


def plain(value: Any) -> Any:
    """Return nested values as strict JSON has them: no NaN, no NumPy scalars."""
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value

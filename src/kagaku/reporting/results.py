"""The result files of a run folder, read for the report and the card."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np
import pandas as pd
import xarray as xr

from kagaku.data.schema import Schema, Target
from kagaku.errors import InputError

_ANY_CALENDAR = xr.coders.CFDatetimeCoder(use_cftime=True)

METRICS_FORMAT = 1
"""The newest layout of metrics.json that this version reads."""


@dataclass(frozen=True)
class Results:
    """What a fine-tuning found: everything that the report and the card are made from."""

    folder: Path
    """The run folder."""

    schema: Schema
    """What the columns mean."""

    metrics: Mapping[str, Any]
    """metrics.json: scores on held-out rows, beside the baselines."""

    recipe: str
    """config.yaml as text; replays the run."""

    provenance: Mapping[str, Any]
    """provenance.json: versions, machine, checksums; empty if there is none."""

    predictions: pd.DataFrame
    """Predictions of the held-out rows; empty if every target is a field."""

    fields: xr.Dataset | None = None
    """Predicted fields of the held-out times, if a target is a field."""

    def targets(self) -> list[Target]:
        """Return the targets that have metrics, in the schema's order."""
        return [one for one in self.schema.targets if one.name in self.metrics["targets"]]

    def column(self, target: Target, suffix: str = "") -> pd.Series:
        """Return one column of a target's predictions, such as ``"_lower"``.

        Raises:
            InputError: predictions.parquet has no such column.
        """
        name = f"{target.name}{suffix}"
        if name not in self.predictions.columns:
            raise InputError(
                f"there is no column {name!r}",
                fix="Copy the run folder again, or fine-tune again.",
                where=str(self.folder / "predictions.parquet"),
            )
        return self.predictions[name]

    def numbers(self, target: Target, suffix: str = "") -> np.ndarray:
        """Return one numeric column of a target's predictions, float (row,); NaN if missing."""
        return self.column(target, suffix).to_numpy(dtype=np.float64, na_value=np.nan)

    def texts(self, target: Target, suffix: str = "") -> np.ndarray:
        """Return one column of a target's predictions as words, object (row,); "" if missing."""
        return self.column(target, suffix).astype("string").fillna("").to_numpy(dtype=object)

    def measured(self, target: Target) -> np.ndarray:
        """Return which rows have a measured value, bool (row,); no label at all is one, too."""
        return self.column(target, "_measured").notna().to_numpy(dtype=bool)

    def flags(self, target: Target, suffix: str) -> np.ndarray:
        """Return a yes-or-no column of a target's predictions, bool (row,); yes if missing."""
        return self.column(target, suffix).astype("boolean").fillna(value=True).to_numpy(bool)


def read_results(folder: Path | str) -> Results:
    """Read the result files of a run folder.

    Raises:
        InputError: The folder is no run folder, a file is damaged, or a newer kagaku wrote it.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError("there is no such run folder", fix="Check the path.", where=str(folder))
    metrics = _read_json(folder / "metrics.json")
    _check_metrics(metrics, folder / "metrics.json")
    provenance = folder / "provenance.json"
    recipe = folder / "config.yaml"
    return Results(
        folder=folder,
        schema=Schema.from_json(_read_json(folder / "schema.json")),
        metrics=metrics,
        recipe=recipe.read_text(encoding="utf-8") if recipe.is_file() else "",
        provenance=_read_json(provenance) if provenance.is_file() else {},
        predictions=_read_predictions(folder / "predictions.parquet"),
        fields=_read_fields(folder / "test_fields.nc"),
    )


def is_number(value: object) -> TypeGuard[float]:
    """Tell whether a stored value is a finite number, as null and NaN are not."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _check_metrics(metrics: Mapping[str, Any], path: Path) -> None:
    version = metrics.get("format_version")
    if not isinstance(version, int):
        raise InputError(
            "the file has no format version", fix="Copy the run folder again.", where=str(path)
        )
    if version > METRICS_FORMAT:
        raise InputError(
            f"the file has format {version}, newer than the {METRICS_FORMAT} known here",
            fix="Upgrade kagaku: pip install --upgrade kagaku",
            where=str(path),
        )
    if not isinstance(metrics.get("targets"), dict):
        raise InputError(
            "the file lists no targets", fix="Copy the run folder again.", where=str(path)
        )


def _read_json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise InputError(
            f"{path.name} is missing, so this is not a complete run folder",
            fix="Name the folder that `kagaku finetune` wrote.",
            where=str(path.parent),
        )
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(
            f"the file is damaged ({error})", fix="Copy the run folder again.", where=str(path)
        ) from None
    if not isinstance(stored, dict):
        raise InputError(
            "the file is damaged (not a mapping)",
            fix="Copy the run folder again.",
            where=str(path),
        )
    return stored


def _read_predictions(path: Path) -> pd.DataFrame:
    if not path.is_file():
        return pd.DataFrame()
    try:
        return pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise InputError(
            f"the file is damaged ({str(error).splitlines()[0]})",
            fix="Copy the run folder again.",
            where=str(path),
        ) from None


def _read_fields(path: Path) -> xr.Dataset | None:
    if not path.is_file():
        return None
    try:
        with xr.open_dataset(path, decode_times=_ANY_CALENDAR, decode_timedelta=False) as dataset:
            return dataset.load()
    except (OSError, ValueError) as error:
        raise InputError(
            f"the file is damaged ({str(error).splitlines()[0]})",
            fix="Copy the run folder again.",
            where=str(path),
        ) from None

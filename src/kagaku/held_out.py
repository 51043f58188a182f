"""The held-out part of a run: what was measured and what was predicted, row by row."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from kagaku.data import Grid, Records, Schema, Table, Target
from kagaku.data.whole_files import written_whole
from kagaku.prediction_fields import predictions_dataset
from kagaku.prediction_table import LABEL_SEPARATOR, target_columns
from kagaku.science_tasks.evaluation import Evaluation

PREDICTIONS_FILE, FIELDS_FILE = "predictions.parquet", "test_fields.nc"


def save_held_out(
    folder: Path, schema: Schema, held_out: Records, evaluation: Evaluation, source: Table | Grid
) -> None:
    """Write predictions.parquet, and test_fields.nc where a target is a field."""
    columns: dict[str, Any] = {"row": held_out.rows}
    for target in schema.targets:
        if target.kind == "field":
            continue
        predicted = evaluation.predictions[target.name]
        columns[f"{target.name}_measured"] = measured_column(target, held_out)
        columns |= target_columns(target, predicted)
        columns[f"{target.name}_distance"] = predicted.distance
        if target.kind == "regression":
            columns[f"{target.name}_censoring"] = held_out.targets[target.name].censoring
    with written_whole(folder / PREDICTIONS_FILE) as partial:
        pd.DataFrame(columns).to_parquet(partial, index=False)
    if any(target.kind == "field" for target in schema.targets):
        assert isinstance(source, Grid)
        dataset = predictions_dataset(schema, source, held_out, evaluation.predictions)
        for target in schema.targets:
            if target.kind == "field":
                dataset[f"{target.name}_measured"] = xr.DataArray(
                    held_out.targets[target.name].values.astype(np.float32),
                    dims=dataset[target.name].dims,
                    attrs=dataset[target.name].attrs,
                )
        dataset.to_netcdf(folder / FIELDS_FILE)


def measured_column(target: Target, records: Records) -> list[Any] | np.ndarray:
    """Return the measured values as the file would have them: numbers, or labels."""
    values = records.targets[target.name].values
    if target.kind == "regression":
        return values
    if target.kind == "multilabel":
        return [
            None
            if np.isnan(row).all()
            else LABEL_SEPARATOR.join(
                name for name, one in zip(target.classes, row, strict=True) if one == 1
            )
            for row in values
        ]
    if target.kind == "per-token":
        return [
            None if one is None else "".join(target.classes[int(label)] for label in one)
            for one in values
        ]
    return [None if np.isnan(one) else target.classes[int(one)] for one in values]

"""Field predictions as an xarray Dataset on the input's own grid."""

from collections.abc import Mapping

import numpy as np
import xarray as xr

from kagaku.data import Grid, Records, Schema
from kagaku.science_tasks.property import TargetPrediction


def predictions_dataset(
    schema: Schema, grid: Grid, records: Records, predictions: Mapping[str, TargetPrediction]
) -> xr.Dataset:
    """Return every target: fields on the grid, numbers over time.

    Args:
        schema: What was predicted.
        grid: Where the records came from; gives the coordinates.
        records: One per time step.
        predictions: By target name.
    """
    coordinates = {name: grid.dataset[name] for name in (grid.latitude, grid.longitude)}
    record_dim = grid.time or "record"
    if grid.time is not None:
        # Record rows of a grid count its time steps from 1.
        coordinates[record_dim] = grid.dataset[grid.time].isel({grid.time: records.rows - 1})
    variables: dict[str, xr.DataArray] = {}
    for target in schema.targets:
        predicted = predictions[target.name]
        is_field = target.kind == "field"
        dims = (record_dim, grid.latitude, grid.longitude) if is_field else (record_dim,)
        attributes = {"units": target.unit or ""}
        for suffix, values in (
            ("", predicted.prediction.mean),
            ("_lower", predicted.lower),
            ("_upper", predicted.upper),
        ):
            assert values is not None
            variables[target.name + suffix] = xr.DataArray(
                values.astype(np.float32), dims=dims, attrs=attributes
            )
        variables[f"{target.name}_in_domain"] = xr.DataArray(
            predicted.in_domain, dims=(record_dim,)
        )
    return xr.Dataset(variables, coords=coordinates)

"""Panels for predicted fields: maps of one field, and where and when errors are large."""

from collections.abc import Iterator

import numpy as np
import xarray as xr

from kagaku.data.grids import area_weights
from kagaku.data.schema import Target
from kagaku.reporting import figures, map_figures
from kagaku.reporting.panel import Panel, make_panel, promised_coverage
from kagaku.reporting.results import Results
from kagaku.reporting.verdict import percent, unit_label


def field_errors(results: Results, target: Target) -> tuple[list[str], np.ndarray]:
    """Return the name of each held-out field and its area-weighted RMSE in the target's unit."""
    measured, predicted = _field_pair(results, target)
    squared = (predicted - measured) ** 2
    latitude = measured[measured.dims[1]]
    weights = xr.DataArray(area_weights(latitude.to_numpy()), dims=latitude.dims)
    error = squared.weighted(weights).mean(measured.dims[1:]).to_numpy() ** 0.5
    first = str(measured.dims[0])
    names = [_short_time(value) for value in measured[first].values.tolist()]
    return names, error.astype(np.float64)


def map_panels(results: Results, target: Target) -> Iterator[Panel]:
    """Yield the panels of a field target."""
    measured, predicted = _field_pair(results, target)
    names, errors = field_errors(results, target)
    if not np.isfinite(errors).any():
        return
    unit = unit_label(target)
    typical = int(
        np.argsort(np.where(np.isfinite(errors), errors, np.inf))[
            int(np.isfinite(errors).sum() - 1) // 2
        ]
    )
    latitudes = measured[measured.dims[1]].to_numpy().astype(np.float64)
    longitudes = measured[measured.dims[2]].to_numpy().astype(np.float64)
    real = measured.to_numpy().astype(np.float64)
    guess = predicted.to_numpy().astype(np.float64)
    limits = map_figures.colour_limits(np.stack([real[typical], guess[typical]]), "value")
    label = figures.with_unit(target.name, unit)
    kind, when = str(measured.dims[0]), names[typical]
    when = when if "-" in when else f"{kind} {when}"  # a date speaks for itself, a number does not
    shown: list[tuple[str, str, np.ndarray, str]] = [
        ("measured", f"Measured, {when}", real[typical], label),
        ("predicted", f"Predicted, {when}", guess[typical], label),
    ]
    for key, title, values, bar in shown:
        yield make_panel(
            target,
            key,
            title,
            map_figures.field_map(values, latitudes, longitudes, bar, kind="value", limits=limits),
            "The held-out field whose error is the median; both maps share one scale.",
        )
    yield make_panel(
        target,
        "difference",
        f"Predicted minus measured, {when}",
        map_figures.field_map(
            guess[typical] - real[typical],
            latitudes,
            longitudes,
            figures.with_unit("difference", unit),
            kind="difference",
        ),
        "Red is predicted too high, blue too low. Large patches of one colour are a bias there.",
    )
    error = np.abs(guess - real)
    counted = np.isfinite(error).sum(axis=0)
    mean = np.where(counted > 0, np.nansum(error, axis=0) / np.maximum(counted, 1), np.nan)
    yield make_panel(
        target,
        "mean-error",
        "Mean absolute error",
        map_figures.field_map(
            mean, latitudes, longitudes, figures.with_unit("mean error", unit), kind="size"
        ),
        f"Over all {len(errors)} held-out fields: where the predictions can be trusted least.",
    )
    yield make_panel(
        target,
        "by-time",
        "Error of each field",
        map_figures.error_by_time(errors, unit, f"held-out {measured.dims[0]}, in order"),
        "Area-weighted over the whole region. A rise means that the predictions age.",
    )
    yield from _field_coverage(results, target, measured, latitudes, longitudes)


def _field_coverage(
    results: Results,
    target: Target,
    measured: xr.DataArray,
    latitudes: np.ndarray,
    longitudes: np.ndarray,
) -> Iterator[Panel]:
    """Yield where the intervals of a field hold, if they were stored."""
    assert results.fields is not None, "a field's panels are drawn from test_fields.nc"
    if f"{target.name}_lower" not in results.fields or f"{target.name}_upper" not in results.fields:
        return
    real = measured.to_numpy().astype(np.float64)
    lower = results.fields[f"{target.name}_lower"].transpose(*measured.dims).to_numpy()
    upper = results.fields[f"{target.name}_upper"].transpose(*measured.dims).to_numpy()
    known = np.isfinite(real)
    held = (known & (lower <= real) & (real <= upper)).sum(axis=0)
    share = np.where(known.any(axis=0), held / np.maximum(known.sum(axis=0), 1), np.nan)
    promised = promised_coverage(results, target)
    yield make_panel(
        target,
        "coverage-map",
        "Coverage of the intervals",
        map_figures.field_map(
            share, latitudes, longitudes, "share of times inside", kind="value", limits=(0.5, 1.0)
        ),
        f"Promised everywhere: {percent(promised)}. In dark places they are too narrow.",
    )


def _field_pair(results: Results, target: Target) -> tuple[xr.DataArray, xr.DataArray]:
    """Return the measured and predicted fields, both (time or record, lat, lon)."""
    assert results.fields is not None, "a field's panels are drawn from test_fields.nc"
    measured = results.fields[f"{target.name}_measured"]
    return measured, results.fields[target.name].transpose(*measured.dims)


def _short_time(value: object) -> str:
    """Return a time without a midnight that says nothing."""
    return str(value).removesuffix(" 00:00:00").removesuffix("T00:00:00")

"""How good a forecast of fields is: area-weighted errors, anomaly correlation, spread and bias.

Each field is one item, and its columns are what the measures need of it, so that items can be
resampled. Errors are computed by the `scores` package; anomaly correlation and the share within
intervals, which it has not by field and area, here.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from jaxtyping import Float
from scipy.stats import norm

from kagaku.science_tasks.benchmark.column_measures import mean_of, root_mean_of
from kagaku.science_tasks.benchmark.measures import SQUARED_ERROR, Measure
from kagaku.science_tasks.climate.field_case import FieldCase
from kagaku.science_tasks.prediction import Prediction

if TYPE_CHECKING:
    import xarray

BLOCK = "block"
"""Column of the answers that says which stretch of time an item belongs to."""

CONFIDENCE = 0.9
"""How often a cell's interval shall hold the truth."""


def field_answers(
    case: FieldCase,
    mean: Float[np.ndarray, "item lat lon"],
    spread: Float[np.ndarray, "item lat lon"] | None = None,
    rows: np.ndarray | None = None,
) -> pd.DataFrame:
    """Return the answers to a case, or to other items of it.

    Args:
        case: What was asked.
        mean: The forecast of each item, in the case's unit.
        spread: Its standard deviation, for spread, skill and coverage.
        rows: The items that were forecast; those of the test part if None.
    """
    import xarray as xr
    from scores.continuous import additive_bias, mse

    rows = case.rows.test if rows is None else rows
    truth = case.truth[rows]
    assert mean.shape == truth.shape, (mean.shape, truth.shape)
    dims = ("item", "lat", "lon")
    given, seen = xr.DataArray(mean, dims=dims), xr.DataArray(truth, dims=dims)
    weights = xr.DataArray(case.weights, dims=dims[1:])
    usual = case.climatology(case.rows.train)[rows]
    answers = {
        SQUARED_ERROR: mse(given, seen, preserve_dims=["item"], weights=weights).to_numpy(),
        "error": additive_bias(given, seen, preserve_dims=["item"], weights=weights).to_numpy(),
        "acc": anomaly_correlation(mean - usual, truth - usual, case.weights),
        BLOCK: case.blocks[rows],
        **{name: column[rows] for name, column in case.extra.items()},
    }
    if spread is not None:
        answers |= _spread_columns(given, seen, xr.DataArray(spread, dims=dims), weights)
    return pd.DataFrame(answers)


def answered(case: FieldCase, prediction: Prediction) -> pd.DataFrame:
    """Return the answers that a prediction of the test items gives."""
    assert prediction.mean is not None
    return field_answers(case, prediction.mean, prediction.spread)


def _spread_columns(
    given: "xarray.DataArray",
    seen: "xarray.DataArray",
    spread: "xarray.DataArray",
    weights: "xarray.DataArray",
) -> dict[str, np.ndarray]:
    """Return the mean variance of each field, and the share of its area within the intervals."""
    width = spread * norm.ppf(0.5 + CONFIDENCE / 2)
    inside = (abs(given - seen) <= width).where(seen.notnull())
    variance = (spread**2).where(seen.notnull())
    return {
        "variance": variance.weighted(weights).mean(("lat", "lon")).to_numpy(),
        "inside": inside.weighted(weights).mean(("lat", "lon")).to_numpy(),
    }


def anomaly_correlation(
    given: Float[np.ndarray, "item lat lon"],
    seen: Float[np.ndarray, "item lat lon"],
    weights: Float[np.ndarray, "lat lon"],
) -> Float[np.ndarray, " item"]:
    """Return the area-weighted, uncentred anomaly correlation of each field; 0 without anomaly.

    As WeatherBench defines it, appendix of https://doi.org/10.1029/2020MS002203, but with no mean
    taken off.

    Args:
        given: Forecast less climatology.
        seen: Truth less climatology.
        weights: Relative area of each cell.
    """
    both = np.isfinite(given) & np.isfinite(seen)
    area = np.where(both, weights, 0.0)
    given, seen = np.where(both, given, 0.0), np.where(both, seen, 0.0)

    def product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        total: np.ndarray = (area * a * b).sum(axis=(1, 2))
        return total

    length = np.sqrt(product(given, given) * product(seen, seen))
    return np.where(length > 1e-12, product(given, seen) / np.maximum(length, 1e-12), 0.0)


def _ratio(answers: pd.DataFrame) -> float:
    return float(np.sqrt(answers["variance"].mean() / answers[SQUARED_ERROR].mean()))


def _mean_root(answers: pd.DataFrame) -> float:
    return float(np.sqrt(answers[SQUARED_ERROR]).mean())


def field_measures(unit: str, *, leading: str = "RMSE") -> tuple[Measure, ...]:
    """Return what is measured of forecasts of fields.

    ``RMSE`` is the root of the mean over all fields and the area. ``mean RMSE`` is the mean over
    fields of each one's own, as in WeatherBench (https://doi.org/10.1029/2020MS002203), which is
    smaller where some fields are much harder than others. ``ACC`` is the mean anomaly correlation,
    ``bias`` the mean error (neither up nor down is better), ``spread / skill`` 1 for a forecast
    that knows how sure it is, and ``in 90% interval`` the share of the area whose truth lay within.

    Args:
        unit: The fields' unit.
        leading: Which of the two RMSE comparisons are about.
    """
    measures = (
        root_mean_of(SQUARED_ERROR, "RMSE", unit=unit),
        Measure("mean RMSE", _mean_root, unit, True, (SQUARED_ERROR,)),
        mean_of("acc", "ACC"),
        mean_of("error", "bias", unit=unit, ideal=0.0),
        Measure("spread / skill", _ratio, columns=("variance", SQUARED_ERROR), ideal=1.0),
        mean_of("inside", "in 90% interval", ideal=0.9),
    )
    return tuple(sorted(measures, key=lambda one: one.name != leading))


def rmse(answers: pd.DataFrame | Sequence[pd.DataFrame]) -> float:
    """Return the root mean squared error of answers, or of several joined, in the fields' unit."""
    frames = [answers] if isinstance(answers, pd.DataFrame) else list(answers)
    return float(np.sqrt(np.mean(np.concatenate([one[SQUARED_ERROR] for one in frames]))))

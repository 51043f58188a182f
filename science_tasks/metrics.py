"""How good predictions are, in physical units, with intervals over the test records."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import xarray as xr
from jaxtyping import Bool, Float, Int
from scores.continuous import additive_bias, rmse
from scores.functions import create_latitude_weights

from kagaku.data.records import EXACT, TargetValues
from kagaku.data.schema import Kind
from kagaku.science_tasks.metric_functions import (
    BINARY,
    LABEL_SUMS,
    MULTICLASS,
    MULTILABEL,
    REGRESSION,
    SUMS,
    accuracy,
    class_log_loss,
    label_log_loss,
    macro_f1,
    root_mean_square_error,
)
from kagaku.science_tasks.prediction import Prediction
from kagaku.science_tasks.resampling import (
    Metric,
    Sums,
    interval,
    interval_of_sums,
    members_of,
    paired_difference,
)

__all__ = [
    "BINARY",
    "MULTICLASS",
    "MULTILABEL",
    "REGRESSION",
    "SMALLER_IS_BETTER",
    "SUMS",
    "Metric",
    "Score",
    "anomaly_correlation",
    "class_log_loss",
    "label_log_loss",
    "paired_difference",
    "root_mean_square_error",
    "score_intervals",
    "score_prediction",
    "score_sets",
]


SMALLER_IS_BETTER = frozenset({"RMSE", "MAE", "log loss", "Brier", "mean width", "bias"})


@dataclass(frozen=True)
class Score:
    """One metric on one set of records."""

    name: str
    """The metric's usual name."""

    value: float
    """NaN where it is not defined; see ``note``."""

    low: float
    """Lower end of the 95% bootstrap interval over records (or groups); NaN where undefined."""

    high: float
    """Upper end of the same interval."""

    unit: str | None = None
    """The target's unit for errors and widths; None for dimensionless scores."""

    n_records: int = 0
    """How many records (tokens, for per-token targets) it was computed on."""

    note: str = ""
    """Why it is not defined, or what to keep in mind."""


def score_prediction(
    prediction: Prediction,
    target: TargetValues,
    kind: Kind,
    *,
    unit: str | None = None,
    groups: np.ndarray | None = None,
    latitudes: np.ndarray | None = None,
    climatology: Float[np.ndarray, "record lat lon"] | None = None,
    seed: int = 0,
) -> list[Score]:
    """Return the metrics that suit the kind, each with a 95% bootstrap interval.

    Censored and missing values take no part. Fields are weighted by the cosine of latitude.

    Args:
        prediction: Predictions of the records (or tokens) of ``target``.
        target: Their measured values.
        kind: What kind of answer it is.
        unit: Unit of the target, for the report.
        groups: By record, what must be resampled together (replicates, a scaffold, a year).
        latitudes: Degrees north of a field's rows.
        climatology: What a field usually is, for the anomaly correlation.
        seed: Fixes the resampling.
    """
    if kind == "field":
        assert prediction.mean is not None
        assert latitudes is not None
        return _field_scores(prediction.mean, target, latitudes, climatology, unit, groups, seed)
    if kind == "regression":
        assert prediction.mean is not None
        kept = target.present() & (target.censoring == EXACT)
        truth, given = target.values[kept].astype(np.float64), prediction.mean[kept]
        inside = None if groups is None else groups[kept]
        return _scores(REGRESSION, truth, given, inside, unit, seed)
    assert prediction.probabilities is not None
    if kind == "per-token":
        return _token_scores(prediction.probabilities, target, seed)
    kept = target.present()
    inside = None if groups is None else groups[kept]
    table, truth = prediction.probabilities[kept], target.values[kept]
    metrics = {"binary": BINARY, "multiclass": MULTICLASS, "multilabel": MULTILABEL}[kind]
    sums = LABEL_SUMS if kind == "multilabel" else None
    return _scores(metrics, truth, table, inside, None, seed, sums)


def score_intervals(
    low: Float[np.ndarray, " record *grid"],
    high: Float[np.ndarray, " record *grid"],
    target: TargetValues,
    *,
    unit: str | None = None,
    seed: int = 0,
) -> list[Score]:
    """Return how often the truth lay within its interval, and how wide intervals were.

    Missing and censored values take no part; in fields every cell counts.
    """
    exact = target.censoring == EXACT
    n_records = int(exact.sum())
    truth = target.values[exact].reshape(n_records, -1).astype(np.float64)
    low, high = low[exact].reshape(n_records, -1), high[exact].reshape(n_records, -1)
    known = ~np.isnan(truth) & ~np.isnan(low)
    rows = known.any(axis=1)
    inside = np.where(known, (low <= truth) & (truth <= high), np.nan)[rows]
    width = np.where(known, high - low, np.nan)[rows]
    averages: dict[str, Metric] = {"coverage": _cell_mean, "mean width": _cell_mean}
    return [
        _scores({name: metric}, values, values, None, unit if "width" in name else None, seed)[0]
        for (name, metric), values in zip(averages.items(), (inside, width), strict=True)
    ]


def score_sets(
    sets: Bool[np.ndarray, "record choice"], target: TargetValues, *, seed: int = 0
) -> list[Score]:
    """Return how often the true class was in its set, and how many classes sets held.

    For binary and multiclass targets; the records of ``target`` are the rows of ``sets``.
    """
    kept = np.flatnonzero(target.present())
    inside = sets[kept, target.values[kept].astype(np.int64)].astype(np.float64)
    sizes = sets[kept].sum(axis=1).astype(np.float64)
    pairs = {"coverage": inside, "mean set size": sizes}
    return [
        _scores({name: _cell_mean}, values, values, None, None, seed)[0]
        for name, values in pairs.items()
    ]


def _scores(
    metrics: Mapping[str, Metric],
    truth: np.ndarray,
    given: np.ndarray,
    groups: np.ndarray | None,
    unit: str | None,
    seed: int,
    sums: Mapping[str, "Sums"] | None = None,
) -> list[Score]:
    table = []
    members = members_of(len(truth), groups)
    for name, metric in metrics.items():
        has_unit = name in ("RMSE", "MAE", "bias", "mean width")

        def of_rows(rows: np.ndarray, metric: Metric = metric) -> float:
            return metric(truth[rows], given[rows])

        value = metric(truth, given) if len(truth) else float("nan")
        low, high = float("nan"), float("nan")
        note = "" if np.isfinite(value) else _why_undefined(truth)
        if np.isfinite(value):
            parts = (SUMS if sums is None else sums).get(name)
            if parts is None:
                low, high = interval(of_rows, members, seed)
            else:
                low, high = interval_of_sums(parts[0](truth, given), parts[1], members, seed)
        table.append(Score(name, value, low, high, unit if has_unit else None, len(truth), note))
    return table


def _why_undefined(truth: np.ndarray) -> str:
    if not len(truth):
        return "no measured record to score"
    if len(truth) == 1:
        return "one record is too few"
    return "all measured values are equal, or one class is missing"


def _cell_mean(truth: np.ndarray, _: np.ndarray) -> float:
    return float(np.nanmean(truth))


def _token_scores(
    table: Float[np.ndarray, "token choice"], target: TargetValues, seed: int
) -> list[Score]:
    """Return token metrics, resampled by record: neighbouring tokens are not independent."""
    labels = [one for one in target.values if one is not None]
    truth = np.concatenate(labels) if labels else np.zeros(0, dtype=np.int64)
    record: Int[np.ndarray, " token"] = np.repeat(
        np.arange(len(labels)), [len(one) for one in labels]
    )
    known = ~np.isnan(truth.astype(np.float64))
    metrics: dict[str, Metric] = {"accuracy": accuracy, "macro F1": macro_f1}
    return _scores(metrics, truth[known], table[known], record[known], None, seed)


def _field_scores(
    mean: Float[np.ndarray, "record lat lon"],
    target: TargetValues,
    latitudes: np.ndarray,
    climatology: np.ndarray | None,
    unit: str | None,
    groups: np.ndarray | None,
    seed: int,
) -> list[Score]:
    kept = target.present()
    inside = None if groups is None else groups[kept]
    weights = create_latitude_weights(latitudes.astype(np.float64))[None, :, None]
    metrics: dict[str, Metric] = {
        "RMSE": lambda y, x: _weighted(rmse, y, x, latitudes),
        "bias": lambda y, x: _weighted(additive_bias, y, x, latitudes),
    }

    def parts(losses: np.ndarray) -> np.ndarray:
        known = ~np.isnan(losses)
        weighted = np.where(known, weights * losses, 0.0).sum(axis=(1, 2))
        return np.stack([weighted, (weights * known).sum(axis=(1, 2))], axis=1)

    sums: dict[str, Sums] = {
        "RMSE": (lambda y, x: parts(np.square(y - x)), lambda s: np.sqrt(s[0] / s[1])),
        "bias": (lambda y, x: parts(x - y), lambda s: s[0] / s[1]),
        "ACC": (
            lambda y, x: np.stack([parts(x * y)[:, 0], parts(x * x)[:, 0], parts(y * y)[:, 0]], 1),
            lambda s: s[0] / np.sqrt(s[1] * s[2]),
        ),
    }
    truth, given = target.values[kept].astype(np.float64), mean[kept].astype(np.float64)
    table = _scores(metrics, truth, given, inside, unit, seed, sums)
    if climatology is not None:
        usual = climatology[kept]
        score: dict[str, Metric] = {"ACC": lambda y, x: anomaly_correlation(y, x, latitudes)}
        table += _scores(score, truth - usual, given - usual, inside, None, seed, sums)
    return table


def _weighted(
    metric: Callable[..., xr.DataArray], truth: np.ndarray, given: np.ndarray, lat: np.ndarray
) -> float:
    rows = xr.DataArray(lat.astype(np.float64), dims="lat", coords={"lat": lat})
    weights = create_latitude_weights(rows)
    axes = ("record", "lat", "lon")
    pair = [xr.DataArray(one, dims=axes, coords={"lat": lat}) for one in (given, truth)]
    return float(metric(pair[0], pair[1], weights=weights))


def anomaly_correlation(truth: np.ndarray, given: np.ndarray, latitudes: np.ndarray) -> float:
    """Return the area-weighted, uncentred correlation of anomalies; NaN if one is flat.

    Args:
        truth: Measured minus usual, (record, lat, lon).
        given: Predicted minus usual.
        latitudes: Degrees north of the rows.
    """
    weights = np.cos(np.deg2rad(latitudes))[None, :, None]
    known = ~np.isnan(truth) & ~np.isnan(given)
    a, b = np.where(known, truth, 0.0), np.where(known, given, 0.0)
    power = (weights * a**2).sum() * (weights * b**2).sum()
    return float((weights * a * b).sum() / np.sqrt(power)) if power > 0 else float("nan")

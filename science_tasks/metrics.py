"""How good predictions are, in physical units, with intervals over the test records."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr
from jaxtyping import Bool, Float, Int
from scipy.stats import kendalltau, spearmanr
from scores.continuous import additive_bias, rmse
from scores.functions import create_latitude_weights
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    brier_score_loss,
    f1_score,
    log_loss,
    matthews_corrcoef,
    mean_absolute_error,
    r2_score,
    roc_auc_score,
    root_mean_squared_error,
)

from kagaku.data.records import EXACT, TargetValues
from kagaku.data.schema import Kind
from kagaku.science_tasks.prediction import Prediction

BOOTSTRAPS = 500
"""Resamples behind every interval."""

Metric = Callable[[np.ndarray, np.ndarray], float]
"""(truth, prediction) of the same records -> score."""

Sums = tuple[Callable[[np.ndarray, np.ndarray], np.ndarray], Callable[[np.ndarray], np.ndarray]]
"""A metric in two steps: (truth, prediction) -> parts by record, (record, part); and summed parts,
(part, resample) -> metric by resample."""

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


def paired_difference(
    metric: Metric,
    y: np.ndarray,
    a: np.ndarray,
    b: np.ndarray,
    groups: np.ndarray | None = None,
    seed: int = 0,
) -> tuple[float, float, float]:
    """Return metric(y, a) - metric(y, b) and its 95% interval over paired bootstrap resamples.

    Both predictions are scored on the same resampled records, so what is hard for both cancels.

    Args:
        metric: Score of predictions; resamples where it is NaN are left out.
        y: Truth.
        a: Predictions of one method.
        b: Predictions of the other.
        groups: By record, what is resampled together.
        seed: Fixes the resampling.
    """

    def difference(rows: np.ndarray) -> float:
        return metric(y[rows], a[rows]) - metric(y[rows], b[rows])

    low, high = _interval(difference, _members(len(y), groups), seed)
    return difference(np.arange(len(y))), low, high


def _interval(
    statistic: Callable[[np.ndarray], float], members: Sequence[np.ndarray], seed: int
) -> tuple[float, float]:
    """Return the interval of a statistic over resampled groups of rows."""
    rng = np.random.default_rng(seed)
    values = []
    for _ in range(BOOTSTRAPS if len(members) > 1 else 0):
        drawn = rng.integers(0, len(members), len(members))
        values.append(statistic(np.concatenate([members[i] for i in drawn])))
    return _central(np.array(values))


def _interval_of_sums(
    sums: Float[np.ndarray, "record part"],
    total: Callable[[np.ndarray], np.ndarray],
    members: Sequence[np.ndarray],
    seed: int,
) -> tuple[float, float]:
    """Return the same interval for a statistic that is a function of sums over records.

    All resamples are one matrix product, hundreds of times faster than scoring each.
    """
    if len(members) < 2:
        return float("nan"), float("nan")
    rng = np.random.default_rng(seed)
    of_groups = np.stack([sums[rows].sum(axis=0) for rows in members])
    counts = np.zeros((BOOTSTRAPS, len(members)))
    drawn = rng.integers(0, len(members), counts.shape)
    np.add.at(counts, (np.arange(BOOTSTRAPS)[:, None], drawn), 1.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        values = total((counts @ of_groups).T)
    return _central(values)


def _central(values: np.ndarray) -> tuple[float, float]:
    finite = values[np.isfinite(values)]
    if not len(finite):
        return float("nan"), float("nan")
    low, high = np.quantile(finite, [0.025, 0.975])
    return float(low), float(high)


def _members(n_records: int, groups: np.ndarray | None) -> Sequence[np.ndarray]:
    if groups is None:
        return [np.array([i]) for i in range(n_records)]
    # As strings, so that a group column may mix numbers and words.
    _, codes = np.unique(np.asarray(groups).astype(str), return_inverse=True)
    order = np.argsort(codes, kind="stable")
    return np.split(order, np.cumsum(np.bincount(codes))[:-1])


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
    members = _members(len(truth), groups)
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
                low, high = _interval(of_rows, members, seed)
            else:
                low, high = _interval_of_sums(parts[0](truth, given), parts[1], members, seed)
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


def _varies(values: np.ndarray) -> bool:
    return len(values) > 1 and bool((values != values[0]).any())


def root_mean_square_error(truth: np.ndarray, given: np.ndarray) -> float:
    """Return the root of the mean squared error, in the target's unit."""
    return float(root_mean_squared_error(truth, given))


def _mean_absolute(truth: np.ndarray, given: np.ndarray) -> float:
    return float(mean_absolute_error(truth, given))


def _r2(truth: np.ndarray, given: np.ndarray) -> float:
    return float(r2_score(truth, given)) if _varies(truth) else float("nan")


def _spearman(truth: np.ndarray, given: np.ndarray) -> float:
    both = _varies(truth) and _varies(given)
    return float(spearmanr(truth, given).statistic) if both else float("nan")


def _kendall(truth: np.ndarray, given: np.ndarray) -> float:
    both = _varies(truth) and _varies(given)
    return float(kendalltau(truth, given).statistic) if both else float("nan")


def _area_under_curve(truth: np.ndarray, given: np.ndarray) -> float:
    return float(roc_auc_score(truth, given[:, 1])) if _varies(truth) else float("nan")


def _average_precision(truth: np.ndarray, given: np.ndarray) -> float:
    return float(average_precision_score(truth, given[:, 1])) if truth.any() else float("nan")


def _matthews(truth: np.ndarray, given: np.ndarray) -> float:
    defined = _varies(truth)
    return float(matthews_corrcoef(truth, given.argmax(axis=1))) if defined else float("nan")


def _accuracy(truth: np.ndarray, given: np.ndarray) -> float:
    return float(accuracy_score(truth, given.argmax(axis=1)))


def _brier(truth: np.ndarray, given: np.ndarray) -> float:
    return float(brier_score_loss(truth, given[:, 1], pos_label=1))


def class_log_loss(truth: np.ndarray, given: np.ndarray) -> float:
    """Return the mean negative log probability of the true class, in nats."""
    table = np.clip(given, 1e-7, None)
    table = table / table.sum(axis=1, keepdims=True)
    return float(log_loss(truth.astype(np.int64), table, labels=np.arange(given.shape[1])))


def label_log_loss(truth: np.ndarray, given: np.ndarray) -> float:
    """Return the mean log loss over labels and records, leaving missing labels out; in nats."""
    known = ~np.isnan(truth)
    chance = np.where(truth == 1, given, 1 - given)[known]
    return float(-np.log(np.clip(chance, 1e-7, 1)).mean()) if known.any() else float("nan")


def _macro_f1(truth: np.ndarray, given: np.ndarray) -> float:
    guess = given.argmax(axis=1)
    return float(f1_score(truth.astype(np.int64), guess, average="macro", zero_division=0.0))


def _per_label(metric: Metric, truth: np.ndarray, given: np.ndarray) -> float:
    """Return the mean of a binary metric over the labels for which it is defined."""
    values = []
    for label, chance in zip(truth.T, given.T, strict=True):
        known = ~np.isnan(label)
        if known.any():
            table = np.stack([1 - chance[known], chance[known]], axis=1)
            values.append(metric(label[known], table))
    finite = [value for value in values if np.isfinite(value)]
    return float(np.mean(finite)) if finite else float("nan")


def _macro_area(truth: np.ndarray, given: np.ndarray) -> float:
    return _per_label(_area_under_curve, truth, given)


def _label_f1(truth: np.ndarray, given: np.ndarray) -> float:
    def one(label: np.ndarray, table: np.ndarray) -> float:
        guess = table[:, 1] > 0.5
        return float(f1_score(label.astype(np.int64), guess, zero_division=0.0))

    return _per_label(one, truth, given)


def _mean_of(losses: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Sums:
    return (lambda y, x: _with_count(losses(y, x)), lambda sums: sums[0] / sums[1])


def _with_count(losses: np.ndarray) -> Float[np.ndarray, "record two"]:
    """Return sum and count of each record's losses; NaN is not counted."""
    flat = losses.reshape(len(losses), -1)
    known = ~np.isnan(flat)
    return np.stack([np.where(known, flat, 0.0).sum(axis=1), known.sum(axis=1)], axis=1)


def _r2_parts(truth: np.ndarray, given: np.ndarray) -> np.ndarray:
    away = truth - truth.mean()
    return np.stack([np.square(truth - given), away, away**2, np.ones_like(away)], axis=1)


def _class_losses(truth: np.ndarray, given: np.ndarray) -> np.ndarray:
    table = np.clip(given, 1e-7, None)
    table = table / table.sum(axis=1, keepdims=True)
    losses: np.ndarray = -np.log(table[np.arange(len(truth)), truth.astype(np.int64)])
    return losses


SUMS: dict[str, Sums] = {
    "RMSE": (
        lambda y, x: _with_count(np.square(y - x)),
        lambda sums: np.sqrt(sums[0] / sums[1]),
    ),
    "MAE": _mean_of(lambda y, x: np.abs(y - x)),
    "R2": (_r2_parts, lambda sums: 1 - sums[0] / (sums[2] - sums[1] ** 2 / sums[3])),
    "accuracy": _mean_of(lambda y, x: (x.argmax(axis=1) == y).astype(np.float64)),
    "Brier": _mean_of(lambda y, x: np.square(y - x[:, 1])),
    "log loss": _mean_of(_class_losses),
    "coverage": _mean_of(lambda y, _: y),
    "mean width": _mean_of(lambda y, _: y),
    "mean set size": _mean_of(lambda y, _: y),
}
"""The metrics whose resamples need no more than sums over records. The tests hold them against the
libraries."""

LABEL_SUMS: dict[str, Sums] = {
    "log loss": _mean_of(
        lambda y, x: np.where(
            np.isnan(y), np.nan, -np.log(np.clip(np.where(y == 1, x, 1 - x), 1e-7, 1))
        )
    )
}
"""The same for several labels."""

REGRESSION: dict[str, Metric] = {
    "RMSE": root_mean_square_error,
    "MAE": _mean_absolute,
    "R2": _r2,
    "Spearman": _spearman,
    "Kendall": _kendall,
}
BINARY: dict[str, Metric] = {
    "ROC-AUC": _area_under_curve,
    "average precision": _average_precision,
    "MCC": _matthews,
    "accuracy": _accuracy,
    "Brier": _brier,
    "log loss": class_log_loss,
}
MULTICLASS: dict[str, Metric] = {
    "accuracy": _accuracy,
    "macro F1": _macro_f1,
    "MCC": _matthews,
    "log loss": class_log_loss,
}
MULTILABEL: dict[str, Metric] = {
    "macro ROC-AUC": _macro_area,
    "macro F1": _label_f1,
    "log loss": label_log_loss,
}


def _token_scores(
    table: Float[np.ndarray, "token choice"], target: TargetValues, seed: int
) -> list[Score]:
    """Return token metrics, resampled by record: neighbouring tokens are not independent."""
    labels = [one for one in target.values if one is not None]
    truth = np.concatenate(labels) if labels else np.zeros(0, dtype=np.int64)
    record: Int[np.ndarray, " token"] = np.repeat(
        np.arange(len(labels)), [len(one) for one in labels]
    )
    metrics: dict[str, Metric] = {"accuracy": _accuracy, "macro F1": _macro_f1}
    return _scores(metrics, truth, table, record, None, seed)


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

"""Single metrics: computed by the libraries, and the parts that make their resampling fast."""

import math
from collections.abc import Callable

import numpy as np
from jaxtyping import Float
from scipy.stats import kendalltau, spearmanr
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

from kagaku.science_tasks.resampling import Metric, Sums


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


def accuracy(truth: np.ndarray, given: np.ndarray) -> float:
    """Return the share of rows whose likeliest class is the true one."""
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


def macro_f1(truth: np.ndarray, given: np.ndarray) -> float:
    """Return the mean over classes of the harmonic mean of precision and recall."""
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
    flat = losses.reshape(len(losses), math.prod(losses.shape[1:]))
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


def _one_hot(classes: np.ndarray, n_classes: int) -> Float[np.ndarray, "record class"]:
    return np.asarray(classes.astype(np.int64)[:, None] == np.arange(n_classes), dtype=np.float64)


def _f1_parts(truth: np.ndarray, given: np.ndarray) -> Float[np.ndarray, "record part"]:
    """Return hits of each class, then records guessed to be of it, then records of it."""
    wanted = _one_hot(truth, given.shape[1])
    guessed = _one_hot(given.argmax(axis=1), given.shape[1])
    return np.concatenate([wanted * guessed, guessed, wanted], axis=1)


def _f1_of_parts(sums: np.ndarray) -> np.ndarray:
    hits, guessed, wanted = np.split(sums, 3)
    return mean_of_defined(2 * hits / (guessed + wanted))


def _matthews_of_parts(sums: np.ndarray) -> np.ndarray:
    hits, guessed, wanted = np.split(sums, 3)
    n_records = wanted.sum(axis=0)
    both = hits.sum(axis=0) * n_records - (guessed * wanted).sum(axis=0)
    of_guesses = n_records**2 - (guessed**2).sum(axis=0)
    of_truth = n_records**2 - (wanted**2).sum(axis=0)
    found = np.where(of_guesses > 0, both / np.sqrt(of_guesses * of_truth), 0.0)
    return np.where(of_truth > 0, found, np.nan)


def _label_f1_parts(truth: np.ndarray, given: np.ndarray) -> Float[np.ndarray, "record part"]:
    """Return hits of each label, then guesses, then wants, then whether it is known."""
    known, wanted = ~np.isnan(truth), truth == 1
    guessed = known & (given > 0.5)
    return np.concatenate([wanted & guessed, guessed, wanted, known], axis=1).astype(np.float64)


def _label_f1_of_parts(sums: np.ndarray) -> np.ndarray:
    hits, guessed, wanted, known = np.split(sums, 4)
    either = guessed + wanted
    return mean_of_defined(
        np.where(known > 0, np.where(either > 0, 2 * hits / either, 0.0), np.nan)
    )


def mean_of_defined(
    scores: Float[np.ndarray, "score resample"],
) -> Float[np.ndarray, " resample"]:
    """Return the mean of the scores that are not NaN; NaN where all are."""
    known = ~np.isnan(scores)
    return np.asarray(np.where(known, scores, 0.0).sum(axis=0) / known.sum(axis=0))


SUMS: dict[str, Sums] = {
    "RMSE": (
        lambda y, x: _with_count(np.square(y - x)),
        lambda sums: np.sqrt(sums[0] / sums[1]),
    ),
    "MAE": _mean_of(lambda y, x: np.abs(y - x)),
    "R2": (_r2_parts, lambda sums: 1 - sums[0] / (sums[2] - sums[1] ** 2 / sums[3])),
    "accuracy": _mean_of(lambda y, x: (x.argmax(axis=1) == y).astype(np.float64)),
    "macro F1": (_f1_parts, _f1_of_parts),
    "MCC": (_f1_parts, _matthews_of_parts),
    "Brier": _mean_of(lambda y, x: np.square(y - x[:, 1])),
    "log loss": _mean_of(_class_losses),
    "coverage": _mean_of(lambda y, _: y),
    "mean width": _mean_of(lambda y, _: y),
    "mean set size": _mean_of(lambda y, _: y),
}
"""The metrics whose resamples need no more than sums over records. The tests hold them against the
libraries."""

LABEL_SUMS: dict[str, Sums] = {
    "macro F1": (_label_f1_parts, _label_f1_of_parts),
    "log loss": _mean_of(
        lambda y, x: np.where(
            np.isnan(y), np.nan, -np.log(np.clip(np.where(y == 1, x, 1 - x), 1e-7, 1))
        )
    ),
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
    "accuracy": accuracy,
    "Brier": _brier,
    "log loss": class_log_loss,
}
MULTICLASS: dict[str, Metric] = {
    "accuracy": accuracy,
    "macro F1": macro_f1,
    "MCC": _matthews,
    "log loss": class_log_loss,
}
MULTILABEL: dict[str, Metric] = {
    "macro ROC-AUC": _macro_area,
    "macro F1": _label_f1,
    "log loss": label_log_loss,
}

"""Scores, their intervals, and what they say when they are not defined."""

import numpy as np
import pytest

from kagaku.data.records import ABOVE, TargetValues
from kagaku.science_tasks import resampling
from kagaku.science_tasks.metrics import (
    BINARY,
    REGRESSION,
    SUMS,
    Metric,
    Score,
    anomaly_correlation,
    class_log_loss,
    label_log_loss,
    paired_difference,
    root_mean_square_error,
    score_intervals,
    score_prediction,
    score_sets,
)
from kagaku.science_tasks.prediction import Prediction


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resampling, "BOOTSTRAPS", 150)


def exact(values: np.ndarray) -> TargetValues:
    return TargetValues(values, np.zeros(len(values), dtype=np.int64))


def by_name(scores: list[Score]) -> dict[str, Score]:
    return {score.name: score for score in scores}


def regression(mean: np.ndarray) -> Prediction:
    return Prediction(mean=mean, spread=np.ones_like(mean))


def test_regression_scores_are_those_of_the_textbook() -> None:
    truth = np.array([1.0, 2.0, 3.0, 4.0])
    scores = by_name(
        score_prediction(
            regression(truth + np.array([1, -1, 1, -1])), exact(truth), "regression", unit="K"
        )
    )
    assert list(scores) == ["RMSE", "MAE", "R2", "Spearman", "Kendall"]
    assert scores["RMSE"].value == scores["MAE"].value == pytest.approx(1)
    assert scores["R2"].value == pytest.approx(1 - 4 / 5)
    assert scores["RMSE"].unit == "K"
    assert scores["R2"].unit is None
    assert scores["RMSE"].n_records == 4


def test_intervals_narrow_with_more_records_and_hold_the_value() -> None:
    rng = np.random.default_rng(0)
    widths = []
    for n_records in (30, 1_000):
        truth = rng.normal(size=n_records)
        given = truth + rng.normal(size=n_records)
        score = score_prediction(regression(given), exact(truth), "regression")[0]
        assert score.low < score.value < score.high
        widths.append(score.high - score.low)
    assert widths[1] < 0.5 * widths[0]


def test_records_of_a_group_are_resampled_together() -> None:
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(10), 20)
    truth = np.zeros(200)
    given = rng.normal(size=10)[groups]
    alone = score_prediction(regression(given), exact(truth), "regression")[0]
    together = score_prediction(regression(given), exact(truth), "regression", groups=groups)[0]
    assert together.high - together.low > 2 * (alone.high - alone.low)


def test_bounds_and_missing_values_are_not_scored() -> None:
    truth = np.array([1.0, np.nan, 100.0, 2.0])
    target = TargetValues(truth, np.array([0, 0, ABOVE, 0]))
    scores = score_prediction(regression(np.array([1.0, 5.0, 5.0, 2.0])), target, "regression")
    assert scores[0].value == 0
    assert scores[0].n_records == 2


def test_binary_scores_are_those_of_the_textbook() -> None:
    chance = np.array([0.1, 0.6, 0.4, 0.9])
    table = Prediction(probabilities=np.stack([1 - chance, chance], axis=1))
    scores = by_name(score_prediction(table, exact(np.array([0.0, 0, 1, 1])), "binary"))
    assert scores["ROC-AUC"].value == 0.75
    assert scores["accuracy"].value == 0.5
    assert scores["MCC"].value == 0
    assert scores["Brier"].value == pytest.approx((0.01 + 0.36 + 0.36 + 0.01) / 4)
    expected = -np.log([0.9, 0.4, 0.4, 0.9]).mean()
    assert scores["log loss"].value == pytest.approx(expected)


def test_one_class_in_the_test_set_gives_nan_and_says_why() -> None:
    table = Prediction(probabilities=np.array([[0.4, 0.6], [0.2, 0.8]]))
    scores = by_name(score_prediction(table, exact(np.ones(2)), "binary"))
    assert np.isnan(scores["ROC-AUC"].value)
    assert np.isnan(scores["ROC-AUC"].low)
    assert scores["ROC-AUC"].note == "all measured values are equal, or one class is missing"
    assert scores["accuracy"].value == 1
    assert scores["accuracy"].note == ""


def test_no_or_one_measured_record_gives_nan_and_says_why() -> None:
    none = score_prediction(regression(np.ones(2)), exact(np.full(2, np.nan)), "regression")
    assert all(np.isnan(score.value) for score in none)
    assert none[0].note == "no measured record to score"
    one = by_name(score_prediction(regression(np.ones(1)), exact(np.ones(1)), "regression"))
    assert one["RMSE"].value == 0
    assert one["R2"].note == "one record is too few"


def test_multiclass_scores_know_classes_that_are_not_in_the_test_set() -> None:
    table = Prediction(probabilities=np.array([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1]]))
    scores = by_name(score_prediction(table, exact(np.array([0.0, 1.0])), "multiclass"))
    assert scores["accuracy"].value == scores["macro F1"].value == 1
    assert scores["log loss"].value == pytest.approx(-np.log([0.7, 0.8]).mean())


def test_labels_are_averaged_over_those_that_are_defined() -> None:
    truth = np.array([[1, 0, np.nan], [0, 0, np.nan], [1, 0, np.nan]], dtype=float)
    table = np.array([[0.9, 0.2, 0.5], [0.3, 0.1, 0.5], [0.2, 0.1, 0.5]])
    scores = by_name(score_prediction(Prediction(probabilities=table), exact(truth), "multilabel"))
    assert scores["macro ROC-AUC"].value == 0.5
    assert scores["macro F1"].value == pytest.approx((2 / 3 + 0) / 2)
    known = [0.9, 0.7, 0.2, 0.8, 0.9, 0.9]
    assert scores["log loss"].value == pytest.approx(-np.log(known).mean())


def test_tokens_are_scored_in_a_row_and_resampled_by_record() -> None:
    labels = np.empty(3, dtype=object)
    labels[:] = [np.array([0, 1]), None, np.array([1, 1, 0])]
    table = np.array([[0.9, 0.1], [0.2, 0.8], [0.3, 0.7], [0.6, 0.4], [0.9, 0.1]])
    scores = by_name(score_prediction(Prediction(probabilities=table), exact(labels), "per-token"))
    assert scores["accuracy"].value == 0.8
    assert scores["accuracy"].n_records == 5


def test_fields_are_weighted_by_the_area_of_their_cells() -> None:
    latitudes = np.array([0.0, 60.0])
    truth = np.zeros((4, 2, 3))
    given = truth.copy()
    given[:, 0] = 3.0
    scores = by_name(
        score_prediction(regression(given), exact(truth), "field", unit="K", latitudes=latitudes)
    )
    # cos(60 degrees) is one half, so the equator has two thirds of the weight.
    assert scores["RMSE"].value == pytest.approx(np.sqrt(9 * 2 / 3))
    assert scores["bias"].value == pytest.approx(3 * 2 / 3)
    assert scores["RMSE"].unit == scores["bias"].unit == "K"


def test_missing_cells_of_fields_are_left_out() -> None:
    truth = np.zeros((3, 2, 2))
    truth[:, 0, 0] = np.nan
    given = np.ones((3, 2, 2))
    given[:, 0, 0] = 99.0
    latitudes = np.array([0.0, 0.0])
    scores = score_prediction(regression(given), exact(truth), "field", latitudes=latitudes)
    assert scores[0].value == pytest.approx(1)


def test_the_anomaly_correlation_compares_with_what_is_usual() -> None:
    rng = np.random.default_rng(0)
    usual = np.full((5, 2, 3), 280.0)
    truth = usual + rng.normal(size=usual.shape)
    latitudes = np.array([10.0, 20.0])
    scores = score_prediction(
        regression(usual + 2 * (truth - usual)),
        exact(truth),
        "field",
        latitudes=latitudes,
        climatology=usual,
    )
    assert by_name(scores)["ACC"].value == pytest.approx(1)
    flat = anomaly_correlation(truth - usual, np.zeros_like(usual), latitudes)
    assert np.isnan(flat)


def test_coverage_and_width_count_what_was_measured() -> None:
    truth = np.array([0.0, 0.5, 2.0, np.nan, 9.0])
    target = TargetValues(truth, np.array([0, 0, 0, 0, ABOVE]))
    low, high = np.full(5, -1.0), np.full(5, 1.0)
    scores = by_name(score_intervals(low, high, target, unit="K"))
    assert scores["coverage"].value == pytest.approx(2 / 3)
    assert scores["coverage"].unit is None
    assert scores["mean width"].value == 2
    assert scores["mean width"].unit == "K"


def test_sets_are_scored_by_coverage_and_size() -> None:
    sets = np.array([[True, False], [True, True], [True, False]])
    scores = by_name(score_sets(sets, exact(np.array([0.0, 1.0, 1.0]))))
    assert scores["coverage"].value == pytest.approx(2 / 3)
    assert scores["mean set size"].value == pytest.approx(4 / 3)


def test_a_paired_difference_sees_what_two_intervals_do_not() -> None:
    rng = np.random.default_rng(0)
    truth = rng.normal(size=300)
    noise = rng.normal(size=300)
    a, b = truth + noise, truth + 1.1 * noise
    difference, low, high = paired_difference(root_mean_square_error, truth, a, b)
    assert low < difference < high < 0
    same = paired_difference(root_mean_square_error, truth, a, a)
    assert same == (0, 0, 0)


def test_a_certain_mistake_costs_much_but_not_infinitely() -> None:
    assert class_log_loss(np.array([1.0]), np.array([[1.0, 0.0]])) == pytest.approx(16.1, abs=0.1)
    assert label_log_loss(np.array([[1.0]]), np.array([[0.0]])) == pytest.approx(16.1, abs=0.1)
    assert np.isnan(label_log_loss(np.array([[np.nan]]), np.array([[0.5]])))


@pytest.mark.parametrize(
    ("name", "metric"), [*REGRESSION.items(), *((k, v) for k, v in BINARY.items())]
)
def test_sums_over_records_give_the_metric_of_the_library(name: str, metric: Metric) -> None:
    rng = np.random.default_rng(0)
    truth = rng.normal(size=50) if name in REGRESSION else rng.integers(0, 2, 50).astype(float)
    given = truth + rng.normal(size=50) if name in REGRESSION else rng.dirichlet([1, 1], 50)
    if name not in SUMS:
        assert name in {"Spearman", "Kendall", "ROC-AUC", "average precision"}
        return
    parts, total = SUMS[name]
    found = total(parts(truth, given).sum(axis=0)[:, None])
    assert found[0] == pytest.approx(metric(truth, given))


def test_both_ways_to_resample_give_the_same_interval() -> None:
    rng = np.random.default_rng(0)
    truth = rng.normal(size=200)
    given = truth + rng.normal(size=200)
    fast = score_prediction(regression(given), exact(truth), "regression")[0]
    _, low, high = paired_difference(root_mean_square_error, truth, given, truth)
    # Two sets of 150 resamples: quantiles agree to a small part of the interval.
    width = fast.high - fast.low
    assert abs(low - fast.low) < 0.2 * width
    assert abs(high - fast.high) < 0.2 * width

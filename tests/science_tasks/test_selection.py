"""Choosing a method by cross-validation."""

from dataclasses import dataclass

import numpy as np
import pytest

from kagaku.data.records import ABOVE, TargetValues
from kagaku.errors import InputError
from kagaku.science_tasks.blending import BLEND, blend
from kagaku.science_tasks.candidate_scores import Fold
from kagaku.science_tasks.prediction import Prediction
from kagaku.science_tasks.selection import Candidate, select

RNG = np.random.default_rng(0)
TRUTH = RNG.normal(size=120)
NOISE = RNG.normal(size=(4, 120))


def known(values: np.ndarray | None) -> np.ndarray:
    assert values is not None
    return values


def exact(values: np.ndarray) -> TargetValues:
    return TargetValues(values, np.zeros(len(values), dtype=np.int64))


def folds(n_records: int = 120, n_folds: int = 4) -> list[Fold]:
    parts = np.array_split(np.random.default_rng(1).permutation(n_records), n_folds)
    every = np.arange(n_records)
    return [(np.setdiff1d(every, part), part) for part in parts]


@dataclass
class Oracle:
    """Knows the truth up to a fixed error, and remembers what it was fitted to."""

    name: str
    error: np.ndarray
    fitted: list[np.ndarray]

    def fit(self, train_index: np.ndarray) -> "Oracle":
        self.fitted.append(train_index)
        return self

    def predict(self, index: np.ndarray) -> Prediction:
        assert not set(index) & set(self.fitted[-1])
        return Prediction(mean=TRUTH[index] + self.error[index], spread=np.ones(len(index)))


def oracle(name: str, size: float, noise: int = 0) -> Oracle:
    return Oracle(name, size * NOISE[noise], [])


def test_the_candidate_with_the_smallest_error_wins() -> None:
    made: list[Candidate] = [oracle("poor", 1.0), oracle("good", 0.1), oracle("fair", 0.5)]
    found = select(made, exact(TRUTH), folds(), "regression")
    assert found.metric == "RMSE"
    assert found.best == "good"
    assert found.members == ("good",)
    assert [row.name for row in found.rows if row.name != BLEND] == ["good", "fair", "poor"]
    good = next(row for row in found.rows if row.name == "good")
    assert good.score == pytest.approx(0.1 * np.sqrt(np.square(NOISE[0]).mean()))
    assert 0 < good.standard_error < good.score
    assert good.seconds >= 0
    assert found.note == ""


def test_out_of_fold_predictions_are_in_the_order_of_the_index() -> None:
    found = select([oracle("good", 0.1)], exact(TRUTH), folds(), "regression")
    mean = found.best_out_of_fold.mean
    assert mean is not None
    np.testing.assert_allclose(known(mean), TRUTH[found.index] + 0.1 * NOISE[0][found.index])
    assert sorted(found.index) == list(range(120))
    assert found.margin is None
    assert found.runner_up is None


def test_a_blend_wins_where_errors_are_independent() -> None:
    made: list[Candidate] = [oracle(f"m{i}", 0.5, noise=i) for i in range(4)]
    found = select(made, exact(TRUTH), folds(), "regression")
    assert found.best == BLEND
    assert len(found.members) > 2
    assert " + ".join(found.members) == found.rows[0].note
    without = select(made, exact(TRUTH), folds(), "regression", with_blend=False)
    assert without.best != BLEND
    assert BLEND not in without.out_of_fold


def test_a_blend_passes_over_near_copies() -> None:
    copies = [oracle(f"copy{i}", 0.5 + 0.01 * i) for i in range(4)]
    made: list[Candidate] = [*copies, oracle("other", 0.6, noise=1)]
    found = select(made, exact(TRUTH), folds(), "regression")
    assert found.best == BLEND
    assert found.members[:2] == ("copy0", "other")


def test_the_margin_to_the_runner_up_is_paired() -> None:
    made: list[Candidate] = [oracle("a", 0.5), oracle("b", 0.6)]
    found = select(made, exact(TRUTH), folds(), "regression")
    assert found.margin is not None
    assert found.runner_up == "b"
    difference, low, high = found.margin
    assert low < difference < high < 0


def test_the_winner_is_fitted_again_to_all_training_records() -> None:
    made: list[Candidate] = [oracle(f"m{i}", 0.5, noise=i) for i in range(3)]
    found = select(made, exact(TRUTH), folds(), "regression")
    fitted = found.fit_best(made, np.arange(100))
    mean = fitted.predict(np.arange(100, 120)).mean
    errors = np.mean([0.5 * NOISE[i] for i in range(3)], axis=0)
    np.testing.assert_allclose(known(mean), (TRUTH + errors)[100:120])


def test_bounds_do_not_count() -> None:
    values, censoring = TRUTH.copy(), np.zeros(120, dtype=np.int64)
    values[:50], censoring[:50] = 1e6, ABOVE
    found = select([oracle("a", 0.1)], TargetValues(values, censoring), folds(), "regression")
    assert found.rows[0].score < 1


def test_when_the_time_is_up_the_rest_is_listed_but_not_started() -> None:
    late = oracle("late", 0.0)
    made: list[Candidate] = [oracle("first", 1.0), late]
    found = select(made, exact(TRUTH), folds(), "regression", max_seconds=0.0)
    assert found.best == "first"
    assert not late.fitted
    assert found.rows[-1].note == "not started: the time ran out"
    assert found.note == "the time ran out before late"


def test_progress_is_told_before_every_fit_and_at_the_end() -> None:
    heard: list[tuple[int, int, str]] = []
    made: list[Candidate] = [oracle("a", 0.5), oracle("b", 0.6)]
    select(
        made,
        exact(TRUTH),
        folds(),
        "regression",
        progress=lambda done, total, label: heard.append((done, total, label)),
    )
    assert heard[0] == (0, 8, "a, fold 1 of 4")
    assert heard[-1] == (8, 8, "done")
    assert [done for done, _, _ in heard] == list(range(9))


@dataclass
class Table:
    """Gives fixed probabilities, for records or for all tokens of records."""

    name: str
    rows: list[np.ndarray]

    def fit(self, train_index: np.ndarray) -> "Table":  # noqa: ARG002
        return self

    def predict(self, index: np.ndarray) -> Prediction:
        return Prediction(probabilities=np.concatenate([self.rows[i] for i in index]))


def test_classes_are_scored_by_log_loss() -> None:
    truth = np.array([0.0, 1, 0, 1])
    sure = Table(
        "sure", [np.array([[0.9, 0.1]]) if t == 0 else np.array([[0.2, 0.8]]) for t in truth]
    )
    found = select([sure], exact(truth), folds(4, 2), "binary")
    assert found.metric == "log loss"
    assert found.rows[0].score == pytest.approx(-np.log([0.9, 0.8]).mean())


def test_labels_that_are_missing_do_not_count() -> None:
    truth = np.array([[1, np.nan], [0, 1], [np.nan, np.nan], [1, 0]])
    given = Table("given", [np.array([[0.5, 0.9]])] * 4)
    found = select([given], exact(truth), folds(4, 2), "multilabel")
    expected = -np.log([0.5, 0.5, 0.9, 0.5, 0.1]).mean()
    assert found.rows[0].score == pytest.approx(expected)


def test_tokens_are_scored_one_by_one() -> None:
    labels = np.empty(4, dtype=object)
    labels[:] = [np.array([0, 1]), np.array([1]), np.array([0, 0, 0]), np.array([1])]
    given = Table("given", [np.tile([[0.25, 0.75]], (len(one), 1)) for one in labels])
    found = select([given], exact(labels), folds(4, 2), "per-token")
    expected = -np.log([0.25, 0.75, 0.75, 0.25, 0.25, 0.25, 0.75]).mean()
    assert found.rows[0].score == pytest.approx(expected)
    probabilities = found.best_out_of_fold.probabilities
    assert probabilities is not None
    assert probabilities.shape == (7, 2)


@dataclass
class Flat:
    """Predicts the same field for all."""

    name: str
    value: np.ndarray

    def fit(self, train_index: np.ndarray) -> "Flat":  # noqa: ARG002
        return self

    def predict(self, index: np.ndarray) -> Prediction:
        mean = np.repeat(self.value[None], len(index), axis=0)
        return Prediction(mean=mean, spread=np.ones_like(mean))


def test_fields_are_scored_by_area() -> None:
    truth = np.zeros((6, 2, 3))
    truth[0, 0, 0] = np.nan
    given = Flat("flat", np.array([[2.0] * 3, [0.0] * 3]))
    equal = select([given], exact(truth), folds(6, 2), "field")
    weighted = select(
        [given], exact(truth), folds(6, 2), "field", area_weights=np.array([0.5, 1.5])
    )
    assert equal.rows[0].score == pytest.approx(np.sqrt(4 * 17 / 35))
    assert weighted.rows[0].score == pytest.approx(np.sqrt(4 * 8.5 / (8.5 + 27)))


def test_a_blend_of_predictions_is_a_mixture() -> None:
    one = Prediction(mean=np.array([0.0]), spread=np.array([1.0]))
    other = Prediction(mean=np.array([2.0]), spread=np.array([1.0]))
    mixed = blend([one, other])
    np.testing.assert_allclose(known(mixed.mean), np.array([1.0]))
    np.testing.assert_allclose(known(mixed.spread), np.array([np.sqrt(2)]))
    assert blend([one]) is one
    tables = [Prediction(probabilities=np.array([[p, 1 - p]])) for p in (0.2, 0.6)]
    np.testing.assert_allclose(known(blend(tables).probabilities), np.array([[0.4, 0.6]]))


def test_nothing_to_choose_from_is_refused() -> None:
    with pytest.raises(InputError, match="no method can predict this kind of target"):
        select([], exact(TRUTH), folds(), "regression")
    with pytest.raises(InputError, match="there are no folds to compare methods on"):
        select([oracle("a", 1.0)], exact(TRUTH), [], "regression")
    with pytest.raises(InputError, match=r"the methods \['a'\] are named twice"):
        select([oracle("a", 1.0), oracle("a", 0.5)], exact(TRUTH), folds(), "regression")

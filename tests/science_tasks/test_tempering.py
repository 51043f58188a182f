"""How sure a method is does not decide which is chosen, and what it answers with is as sure."""

from dataclasses import dataclass

import numpy as np
import pytest
from scipy.special import expit

from kagaku.data.records import EXACT, TargetValues
from kagaku.science_tasks.prediction import Prediction
from kagaku.science_tasks.selection import Candidate, select
from kagaku.science_tasks.tempering import best_temperature, tempered

RNG = np.random.default_rng(0)
N = 400
LOG_ODDS = RNG.normal(0, 2, N)
TRUTH = (RNG.random(N) < expit(LOG_ODDS)).astype(np.float64)


def chances(log_odds: np.ndarray) -> np.ndarray:
    return np.stack([expit(-log_odds), expit(log_odds)], axis=1)


@dataclass
class Guess:
    name: str
    log_odds: np.ndarray

    def fit(self, train_index: np.ndarray) -> "Guess":  # noqa: ARG002 (it knows already)
        return self

    def predict(self, index: np.ndarray) -> Prediction:
        return Prediction(probabilities=chances(self.log_odds[index]))


def log_loss(given: Prediction) -> float:
    assert given.probabilities is not None
    return float(-np.log(given.probabilities[np.arange(N), TRUTH.astype(int)]).mean())


@pytest.mark.parametrize("factor", [0.3, 3.0])
def test_the_temperature_undoes_what_was_too_timid_or_too_bold(factor: float) -> None:
    given = Prediction(probabilities=chances(factor * LOG_ODDS))
    found = best_temperature(given, log_loss, has_labels=False)
    assert found == pytest.approx(factor, rel=0.25)
    better = tempered(given, found, has_labels=False)
    assert log_loss(better) < log_loss(given)
    assert better.probabilities is not None
    np.testing.assert_allclose(better.probabilities.sum(axis=1), 1)


def test_what_is_sure_enough_or_seldom_asked_stays() -> None:
    given = Prediction(probabilities=chances(LOG_ODDS))
    assert best_temperature(given, log_loss, has_labels=False) == 1
    few = Prediction(probabilities=chances(0.1 * LOG_ODDS[:20]))
    assert best_temperature(few, log_loss, has_labels=False) == 1
    numbers = Prediction(mean=np.zeros(3), spread=np.ones(3))
    assert tempered(numbers, 3.0, has_labels=False) is numbers


def test_labels_are_tempered_each_by_itself() -> None:
    given = Prediction(probabilities=np.array([[0.5, 0.9], [0.2, 0.2]]))
    bolder = tempered(given, 0.5, has_labels=True).probabilities
    assert bolder is not None
    np.testing.assert_allclose(bolder[0, 0], 0.5)
    np.testing.assert_allclose(bolder[0, 1], 0.81 / (0.81 + 0.01))


def test_a_timid_method_that_ranks_best_is_chosen_and_made_bolder() -> None:
    timid = Guess("timid", 0.25 * LOG_ODDS)
    bold = Guess("bold", 0.8 * LOG_ODDS + RNG.normal(0, 1.5, N))
    made: list[Candidate] = [bold, timid]
    index = np.arange(N)
    folds = [(index[index % 4 != i], index[index % 4 == i]) for i in range(4)]
    target = TargetValues(TRUTH, np.full(N, EXACT))
    found = select(made, target, folds, "binary", with_blend=False)
    assert found.best == "timid"
    assert found.temperatures["timid"] < 0.5
    given = found.fit_best(made, index).predict(index)
    assert log_loss(given) < log_loss(timid.predict(index))

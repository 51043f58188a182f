"""Each fold is predicted by what the other folds would have chosen."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from kagaku.data.records import ABOVE, TargetValues
from kagaku.data.schema import Kind
from kagaku.science_tasks.candidate_scores import Fold
from kagaku.science_tasks.cross_fitting import CrossFit
from kagaku.science_tasks.prediction import Prediction
from kagaku.science_tasks.selection import Candidate, Selection, select

N, N_FOLDS = 200, 5


@pytest.fixture(autouse=True)
def _few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    """Margins are not what is tested here."""
    monkeypatch.setattr("kagaku.science_tasks.resampling.BOOTSTRAPS", 4)


def folds(n_records: int = N, n_folds: int = N_FOLDS) -> list[Fold]:
    parts = np.array_split(np.random.default_rng(1).permutation(n_records), n_folds)
    every = np.arange(n_records)
    return [(np.setdiff1d(every, part), part) for part in parts]


def exact(values: np.ndarray) -> TargetValues:
    return TargetValues(values, np.zeros(len(values), dtype=np.int64))


@dataclass
class Given:
    """Predicts what it was given, record by record, whatever it is fitted to."""

    name: str
    mean: np.ndarray
    spread: float = 1.0

    def fit(self, train_index: np.ndarray) -> "Given":  # noqa: ARG002
        return self

    def predict(self, index: np.ndarray) -> Prediction:
        mean = self.mean[index]
        return Prediction(mean=mean, spread=np.full_like(mean, self.spread))


@dataclass
class GivenTable:
    """Predicts the probabilities that it was given, for records or for all their tokens."""

    name: str
    rows: list[np.ndarray]

    def fit(self, train_index: np.ndarray) -> "GivenTable":  # noqa: ARG002
        return self

    def predict(self, index: np.ndarray) -> Prediction:
        return Prediction(probabilities=np.concatenate([self.rows[i] for i in index]))


def crossed(found: Selection) -> CrossFit:
    assert found.cross_fitted is not None
    return found.cross_fitted


def own_score(found: Selection) -> float:
    return next(row.score for row in found.rows if row.name == found.best)


def test_the_winner_among_noise_looks_too_good_and_the_choosing_included_does_not() -> None:
    own, honest = [], []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        truth, noise = rng.normal(size=N), rng.normal(0, 0.5, (12, N))
        made: list[Candidate] = [Given(f"n{i}", one) for i, one in enumerate(noise)]
        found = select(made, exact(truth), folds(), "regression", with_blend=False)
        typical = np.square(noise - truth).mean()  # none is better than another on new records
        own.append(own_score(found) ** 2 - typical)
        honest.append(crossed(found).score ** 2 - typical)
    error = np.std(honest) / np.sqrt(len(honest))
    assert np.mean(own) < -5 * error
    assert abs(np.mean(honest)) < 3 * error


def test_a_clear_winner_is_chosen_by_every_fold_and_its_predictions_stay() -> None:
    truth = np.random.default_rng(0).normal(size=N)
    noise = np.random.default_rng(1).normal(size=(2, N))
    made: list[Candidate] = [
        Given("poor", truth + noise[0]),
        Given("good", truth + 0.1 * noise[1], spread=0.1),
    ]
    found = select(made, exact(truth), folds(), "regression")
    honest = crossed(found)
    assert {fold.members for fold in honest.folds} == {("good",)}
    assert honest.score == pytest.approx(own_score(found))
    for part in ("mean", "spread"):
        np.testing.assert_array_equal(
            getattr(honest.prediction, part), getattr(found.best_out_of_fold, part)
        )
    assert 0 < honest.standard_error < honest.score


@pytest.mark.parametrize("fold", range(N_FOLDS))
def test_the_values_of_a_fold_do_not_decide_what_predicts_it(fold: int) -> None:
    rng = np.random.default_rng(3)
    truth = rng.normal(size=N)
    made: list[Candidate] = [Given(f"n{i}", truth + rng.normal(0, 0.6, N)) for i in range(5)]
    before = select(made, exact(truth), folds(), "regression")
    changed = truth.copy()
    _, test = folds()[fold]
    fond = made[-1]
    assert isinstance(fond, Given)
    changed[test] = fond.mean[test]  # one candidate is right about this fold, to the last
    after = select(made, exact(changed), folds(), "regression")
    assert crossed(after).folds[fold].members == crossed(before).folds[fold].members
    others = [one for one in range(N_FOLDS) if one != fold]
    assert any(
        crossed(after).folds[one].members != crossed(before).folds[one].members for one in others
    )


def test_temperatures_of_a_fold_come_from_the_others() -> None:
    rng = np.random.default_rng(4)
    truth = (rng.random(N) < 0.5).astype(np.float64)
    right = np.where(rng.random(N) < 0.9, truth, 1 - truth)
    bold = [np.array([[1 - p, p]]) for p in np.where(right == 1, 0.999, 0.001)]
    _, test = folds()[0]
    before = crossed(select([GivenTable("bold", bold)], exact(truth), folds(), "binary"))
    wrong = truth.copy()
    wrong[test] = 1 - right[test]
    after = crossed(select([GivenTable("bold", bold)], exact(wrong), folds(), "binary"))
    assert after.folds[0].temperatures == before.folds[0].temperatures
    assert after.folds[1].temperatures[0] > 1.2 * before.folds[1].temperatures[0] > 1.2
    assert after.folds[0].score > before.folds[0].score


def test_one_fold_leaves_nothing_to_choose_on() -> None:
    truth = np.random.default_rng(0).normal(size=N)
    found = select([Given("a", truth + 0.1)], exact(truth), folds()[:1], "regression")
    assert found.cross_fitted is None
    assert found.calibrating is found.best_out_of_fold


def test_spreads_are_on_the_scale_of_the_winner() -> None:
    rng = np.random.default_rng(5)
    truth = rng.normal(size=N)
    error = rng.normal(0, 0.3, N)
    _, test = folds()[0]
    timid = truth + error
    timid[test] = truth[test]  # so good in one fold that it wins all in all, but not without it
    made: list[Candidate] = [
        Given("bold", truth + 0.97 * error, spread=0.01),
        Given("timid", timid, spread=100.0),
    ]
    found = select(made, exact(truth), folds(), "regression", with_blend=False)
    honest = crossed(found)
    assert found.best == "timid"
    assert honest.folds[0].members == ("bold",)
    spread = honest.prediction.spread
    assert spread is not None
    np.testing.assert_allclose(spread[: len(test)], 97.0, rtol=1e-6)
    np.testing.assert_array_equal(spread[len(test) :], 100.0)


def test_bounds_do_not_count() -> None:
    truth = np.random.default_rng(0).normal(size=N)
    values, censoring = truth.copy(), np.zeros(N, dtype=np.int64)
    values[:50], censoring[:50] = 1e6, ABOVE
    target = TargetValues(values, censoring)
    found = select([Given("a", truth + 0.1)], target, folds(), "regression")
    assert crossed(found).score == pytest.approx(0.1)


def tokens() -> tuple[TargetValues, list[np.ndarray]]:
    """Labels of records of 1 to 4 tokens, and probabilities of each."""
    rng = np.random.default_rng(0)
    labels = np.empty(120, dtype=object)
    labels[:] = [rng.integers(0, 2, 1 + i % 4) for i in range(120)]
    tables = []
    for one in labels:
        p = np.where(one == 1, 0.8, 0.3) + rng.normal(0, 0.05, len(one))
        tables.append(np.stack([1 - p, p], axis=1))
    return exact(labels), tables


def label_table() -> tuple[TargetValues, list[np.ndarray]]:
    """Three labels with gaps, and probabilities."""
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, (120, 3)).astype(np.float64)
    truth[rng.random(truth.shape) < 0.2] = np.nan
    given = np.where(truth == 1, 0.7, 0.2) + rng.normal(0, 0.05, truth.shape)
    return exact(truth), [row[None] for row in given]


@pytest.mark.parametrize("kind", ["per-token", "multilabel"])
def test_tokens_and_labels_stay_in_their_order(kind: Kind) -> None:
    target, rows = tokens() if kind == "per-token" else label_table()
    worse = [0.5 * row + 0.25 for row in rows]
    made: list[Candidate] = [GivenTable("worse", worse), GivenTable("good", rows)]
    found = select(made, target, folds(120, 4), kind, with_blend=False)
    honest = crossed(found)
    assert len(honest.folds) == 4
    given = honest.prediction.probabilities
    assert given is not None
    begin = 0
    for fold, (_, test) in zip(honest.folds, folds(120, 4), strict=True):
        alone = found_alone(made, fold.members[0], test)
        end = begin + len(alone)
        order = np.argsort(alone.ravel(), kind="stable")  # a temperature keeps the order
        assert (np.diff(given[begin:end].ravel()[order]) >= -1e-12).all()
        begin = end
    assert begin == len(given)
    assert honest.score == pytest.approx(own_score(found), rel=0.05)


def found_alone(made: list[Candidate], name: str, test: np.ndarray) -> np.ndarray:
    (one,) = [candidate for candidate in made if candidate.name == name]
    table = one.fit(test).predict(test).probabilities
    assert table is not None
    return table


def test_fields_are_predicted_fold_by_fold() -> None:
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(40, 3, 4))
    given = truth + rng.normal(0, [[[0.1]], [[0.2]]] * 20, truth.shape)
    truth[:, 0, 0] = np.nan
    made: list[Candidate] = [Given("a", given), Given("b", given + 0.5)]
    weights = np.array([0.5, 1.0, 1.5])
    found = select(made, exact(truth), folds(40, 4), "field", area_weights=weights)
    honest = crossed(found)
    assert honest.prediction.mean is not None
    np.testing.assert_array_equal(honest.prediction.mean, given[found.index])
    assert honest.score == pytest.approx(own_score(found))


def test_views_of_predictions_share_their_memory() -> None:
    whole = Prediction(mean=np.arange(6.0), spread=np.ones(6))
    part = whole.between(2, 4)
    assert part.mean is not None
    np.testing.assert_array_equal(part.mean, [2.0, 3.0])
    assert np.shares_memory(part.mean, whole.mean)
    assert replace(part, spread=None).probabilities is None

"""Conformal calibration: measured coverage, errors, storage."""

from pathlib import Path

import numpy as np
import pytest

from kagaku.data.records import ABOVE, TargetValues
from kagaku.data.schema import Kind
from kagaku.errors import InputError
from kagaku.science_tasks.conformal import Calibration, fewest_rows
from kagaku.science_tasks.prediction import Prediction
from kagaku.science_tasks.storage import load_state, save_state


def exact(values: np.ndarray) -> TargetValues:
    return TargetValues(values, np.zeros(len(values), dtype=np.int64))


def noisy(n_rows: int, seed: int) -> tuple[Prediction, np.ndarray]:
    """Predictions whose spread has the right shape but half the right size."""
    rng = np.random.default_rng(seed)
    mean, spread = rng.normal(size=n_rows), rng.uniform(0.2, 2.0, n_rows)
    return Prediction(mean=mean, spread=spread / 2), mean + spread * rng.standard_normal(n_rows)


def chances(n_rows: int, n_classes: int, seed: int) -> tuple[Prediction, np.ndarray]:
    rng = np.random.default_rng(seed)
    table = rng.dirichlet(np.full(n_classes, 0.5), n_rows)
    truth = np.array([rng.choice(n_classes, p=row) for row in table])
    return Prediction(probabilities=table), truth.astype(np.float64)


def test_ninety_percent_intervals_hold_ninety_percent_of_the_truth() -> None:
    covered = []
    for seed in range(40):
        calibration = Calibration().fit(*_pair(noisy(200, seed)), "regression")
        prediction, truth = noisy(500, 1_000 + seed)
        low, high = calibration.interval(prediction)
        covered.append(((low <= truth) & (truth <= high)).mean())
    # The mean of 40 runs has a standard error near 0.004.
    assert 0.885 < np.mean(covered) < 0.92


def test_intervals_are_wider_where_the_method_was_unsure() -> None:
    prediction, truth = noisy(300, 0)
    low, high = Calibration().fit(prediction, exact(truth), "regression").interval(prediction)
    assert prediction.spread is not None
    ratio = (high - low) / prediction.spread
    np.testing.assert_allclose(ratio, ratio[0])


def test_a_higher_confidence_gives_wider_intervals() -> None:
    prediction, truth = noisy(300, 0)
    widths = []
    for confidence in (0.5, 0.8, 0.95):
        calibration = Calibration().fit(prediction, exact(truth), "regression", confidence)
        low, high = calibration.interval(prediction)
        widths.append((high - low).mean())
    assert widths == sorted(widths)


@pytest.mark.parametrize("n_classes", [2, 5])
def test_ninety_percent_sets_hold_ninety_percent_of_the_classes(n_classes: int) -> None:
    covered = []
    kind: Kind = "binary" if n_classes == 2 else "multiclass"
    for seed in range(20):
        prediction, truth = chances(300, n_classes, seed)
        calibration = Calibration().fit(prediction, exact(truth), kind)
        new, new_truth = chances(500, n_classes, 1_000 + seed)
        sets = calibration.sets(new)
        assert sets.any(axis=1).all()
        covered.append(sets[np.arange(500), new_truth.astype(int)].mean())
    assert 0.88 < np.mean(covered) < 0.93


def test_each_label_of_several_is_calibrated_on_its_own() -> None:
    rng = np.random.default_rng(0)
    table = np.stack([rng.uniform(0, 1, 600), rng.uniform(0.4, 0.6, 600)], axis=1)
    truth = (rng.uniform(size=table.shape) < table).astype(np.float64)
    truth[:5] = np.nan
    prediction = Prediction(probabilities=table)
    calibration = Calibration().fit(prediction, exact(truth), "multilabel")
    possible, sure = calibration.sets(prediction), calibration.surely_present(prediction)
    assert possible.shape == sure.shape == (600, 2)
    assert not (sure & ~possible).any()
    missed = (truth[5:] == 1) & ~possible[5:] | (truth[5:] == 0) & sure[5:]
    assert 0.85 < 1 - missed[:, 0].mean() < 0.95
    # The second label is a coin toss, so nearly every set holds both answers.
    assert (possible[:, 1] & ~sure[:, 1]).mean() > 0.7


def test_tokens_are_calibrated_one_after_the_other() -> None:
    prediction, truth = chances(400, 3, 0)
    labels = np.empty(3, dtype=object)
    labels[:] = [truth[:100].astype(int), None, truth[100:].astype(int)]
    by_token = Calibration().fit(prediction, exact(labels), "per-token").sets(prediction)
    plain = Calibration().fit(prediction, exact(truth), "multiclass").sets(prediction)
    np.testing.assert_array_equal(by_token, plain)


def test_cells_of_fields_are_covered_and_masked_cells_stay_missing() -> None:
    rng = np.random.default_rng(0)
    mean, spread = rng.normal(size=(60, 5, 6)), np.full((60, 5, 6), 0.7)
    truth = mean + rng.standard_normal(mean.shape)
    mean[:, 0, 0] = truth[:, 0, 0] = np.nan
    calibration = Calibration().fit(Prediction(mean[:30], spread[:30]), exact(truth[:30]), "field")
    low, high = calibration.interval(Prediction(mean[30:], spread[30:]))
    assert np.isnan(low[:, 0, 0]).all()
    inside = (low <= truth[30:]) & (truth[30:] <= high)
    assert 0.86 < inside.reshape(30, -1)[:, 1:].mean() < 0.94


def test_bounds_and_missing_values_do_not_calibrate() -> None:
    prediction, truth = noisy(200, 0)
    spoilt = truth.copy()
    spoilt[:20], spoilt[20:40] = 1e6, np.nan
    censoring = np.zeros(200, dtype=np.int64)
    censoring[:20] = ABOVE
    with_bounds = Calibration().fit(prediction, TargetValues(spoilt, censoring), "regression")
    rest = Calibration().fit(prediction.subset(np.arange(40, 200)), exact(truth[40:]), "regression")
    np.testing.assert_array_equal(with_bounds.interval(prediction)[0], rest.interval(prediction)[0])


def test_a_stored_calibration_gives_the_same_bits(tmp_path: Path) -> None:
    prediction, truth = noisy(150, 0)
    calibration = Calibration().fit(prediction, exact(truth), "regression")
    save_state(calibration.state(), tmp_path / "calibration.safetensors")
    loaded = Calibration()
    loaded.load_state(load_state(tmp_path / "calibration.safetensors"))
    np.testing.assert_array_equal(calibration.interval(prediction), loaded.interval(prediction))
    table, classes = chances(150, 4, 0)
    calibration = Calibration().fit(table, exact(classes), "multiclass")
    loaded.load_state(calibration.state())
    np.testing.assert_array_equal(calibration.sets(table), loaded.sets(table))


def test_too_few_rows_are_refused_with_the_number_that_is_needed() -> None:
    prediction, truth = noisy(10, 0)
    with pytest.raises(InputError, match="10 measured rows cannot carry 90% confidence") as error:
        Calibration().fit(prediction, exact(truth), "regression")
    assert error.value.fix == "Measure at least 11 rows, or ask for a lower confidence."
    prediction, truth = noisy(fewest_rows(0.9), 0)
    Calibration().fit(prediction, exact(truth), "regression")


def test_an_impossible_confidence_is_refused() -> None:
    prediction, truth = noisy(50, 0)
    with pytest.raises(InputError, match=r"the confidence 1\.5 is not between 0 and 1"):
        Calibration().fit(prediction, exact(truth), "regression", 1.5)


def test_no_new_records_give_no_intervals_and_no_sets() -> None:
    prediction, truth = noisy(50, 0)
    low, _ = (
        Calibration()
        .fit(prediction, exact(truth), "regression")
        .interval(prediction.subset(np.arange(0)))
    )
    assert low.shape == (0,)
    table, classes = chances(50, 3, 0)
    none = Calibration().fit(table, exact(classes), "multiclass").sets(table.subset(np.arange(0)))
    assert none.shape == (0, 3)


def _pair(made: tuple[Prediction, np.ndarray]) -> tuple[Prediction, TargetValues]:
    return made[0], exact(made[1])

"""Bringing features to one scale."""

import numpy as np
import pytest

from kagaku.science_tasks.standardise import LIMIT, RobustScale


def fitted(train: np.ndarray) -> RobustScale:
    scale = RobustScale()
    scale.fit(train)
    return scale


def test_a_normal_column_gets_mean_zero_and_spread_one_whatever_its_outliers() -> None:
    train = np.random.default_rng(0).normal(50.0, 3.0, size=(2_000, 1))
    train[:20] = 1e9
    scaled = fitted(train)(train[20:])
    assert scaled.mean() == pytest.approx(0.0, abs=0.05)
    assert scaled.std() == pytest.approx(1.0, abs=0.05)


def test_a_rare_group_takes_its_standard_deviation() -> None:
    train = np.zeros((100, 1))
    train[:10] = 1.0
    assert fitted(train)(np.ones((1, 1)))[0, 0] == pytest.approx(1 / 0.3)


def test_outliers_are_clipped() -> None:
    scale = fitted(np.arange(10.0)[:, None])
    assert scale(np.array([[1e12], [-1e12]])).ravel().tolist() == [LIMIT, -LIMIT]


def test_what_is_no_number_becomes_the_median() -> None:
    scale = fitted(np.array([[1.0], [2.0], [np.nan], [np.inf], [9.0]]))
    assert scale(np.array([[np.nan], [np.inf], [-np.inf], [2.0]])).ravel().tolist() == [0.0] * 4


@pytest.mark.parametrize("value", [0.0, 0.1, 1e12, np.nan])
def test_a_column_that_never_varied_becomes_zero(value: float) -> None:
    scale = fitted(np.full((7, 1), value))
    assert scale(np.array([[value], [3.0]])).ravel().tolist() == [0.0, 0.0]

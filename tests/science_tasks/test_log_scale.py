"""Readouts on a log scale: when they are tried, and what they answer with."""

import numpy as np
import pytest

from kagaku.data.records import EXACT, TargetValues
from kagaku.science_tasks.features import FeatureBlock
from kagaku.science_tasks.readouts import READOUTS
from kagaku.science_tasks.readouts.log_scale import suits_log_scale

RNG = np.random.default_rng(0)
N = 200
FEATURES = RNG.standard_normal((N, 3)).astype(np.float32)
MODULI = np.exp(1.5 * FEATURES[:, 0] + 0.1 * RNG.standard_normal(N))


def exact(values: np.ndarray) -> TargetValues:
    return TargetValues(values, np.full(len(values), EXACT))


def blocks(rows: slice) -> list[FeatureBlock]:
    values = FEATURES[rows]
    return [FeatureBlock("x:descriptors", values, "rbf", np.ones(len(values), dtype=bool))]


@pytest.mark.parametrize(
    ("values", "suits"),
    [
        (MODULI, True),
        (MODULI[:20], False),
        (MODULI - MODULI.min(), False),
        (RNG.uniform(1, 9, N), False),
        (np.log(MODULI) + 10, False),
    ],
)
def test_positive_skewed_values_suit_a_log_scale(values: np.ndarray, suits: bool) -> None:
    assert suits_log_scale(exact(values)) is suits


@pytest.mark.parametrize("name", ["log-gp", "log-trees"])
def test_answers_are_in_the_unit_of_the_values(name: str) -> None:
    train, test = slice(0, 150), slice(150, N)
    readout = READOUTS[name]()
    readout.fit(blocks(train), exact(MODULI[train]), "regression", 0, seed=0)
    given = readout.predict(blocks(test))
    assert given.mean is not None
    assert given.spread is not None
    assert (given.mean > 0).all()
    ratio = given.mean / MODULI[test]
    assert 0.7 < np.median(ratio) < 1.4
    # The spread grows with the value, as it does on a log scale.
    assert np.corrcoef(given.mean, given.spread)[0, 1] > 0.8

    again = READOUTS[name]()
    again.load_state(readout.state())
    repeated = again.predict(blocks(test)).mean
    assert repeated is not None
    np.testing.assert_allclose(repeated, given.mean, rtol=1e-6)


def test_a_gaussian_process_gains_where_values_span_orders_of_magnitude() -> None:
    train, test = slice(0, 150), slice(150, N)
    errors = {}
    for name in ("gp", "log-gp"):
        readout = READOUTS[name]()
        readout.fit(blocks(train), exact(MODULI[train]), "regression", 0, seed=0)
        mean = readout.predict(blocks(test)).mean
        assert mean is not None
        errors[name] = np.sqrt(np.square(mean - MODULI[test]).mean())
    assert errors["log-gp"] < 0.7 * errors["gp"]

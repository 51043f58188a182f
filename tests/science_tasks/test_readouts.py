"""What every readout must do: learn, be deterministic, survive storage and tiny tables."""

from pathlib import Path

import numpy as np
import pytest

from kagaku.data.records import ABOVE, BELOW, EXACT, TargetValues
from kagaku.data.schema import Kind
from kagaku.errors import InputError
from kagaku.science_tasks.features import FeatureBlock
from kagaku.science_tasks.readouts import (
    field_readout,
    forest,
    gaussian_process_readout,
    linear,
    nearest,
    support_vectors,
    token_readout,
    trees,
)
from kagaku.science_tasks.readouts.readout import READOUTS
from kagaku.science_tasks.storage import load_state, save_state

MODULES = (
    field_readout,
    forest,
    gaussian_process_readout,
    linear,
    nearest,
    support_vectors,
    token_readout,
    trees,
)
NAMES = ("forest", "gp", "linear", "nearest", "svm", "trees")
KINDS: tuple[Kind, ...] = ("regression", "binary", "multiclass", "multilabel")


def exact(values: np.ndarray) -> TargetValues:
    return TargetValues(values, np.zeros(len(values), dtype=np.int64))


def made(n_rows: int, seed: int = 0) -> tuple[list[FeatureBlock], np.ndarray]:
    """Counts and dense features, and a number that depends on both."""
    rng = np.random.default_rng(seed)
    counts = rng.poisson(0.7, (n_rows, 24)).astype(np.float32)
    dense = rng.standard_normal((n_rows, 5)).astype(np.float32)
    present = np.ones(n_rows, dtype=bool)
    truth = counts[:, :4].sum(axis=1) - 3 + 1.5 * dense[:, 0] + np.sin(2 * dense[:, 1])
    blocks = [
        FeatureBlock("smiles:ecfp", counts, "tanimoto", present),
        FeatureBlock("smiles:descriptors", dense, "rbf", present),
    ]
    return blocks, truth + 0.2 * rng.standard_normal(n_rows)


def labels(kind: Kind, truth: np.ndarray) -> tuple[TargetValues, int]:
    if kind == "regression":
        return exact(truth), 0
    if kind == "binary":
        return exact((truth > 0).astype(np.float64)), 2
    if kind == "multiclass":
        return exact(np.digitize(truth, [-1.5, 1.5]).astype(np.float64)), 3
    table = np.stack([truth > 0, truth > 2], axis=1).astype(np.float64)
    table[:3, 0] = np.nan
    return exact(table), 2


def part(blocks: list[FeatureBlock], start: int, stop: int) -> list[FeatureBlock]:
    return [block.subset(np.arange(start, stop)) for block in blocks]


@pytest.mark.parametrize("name", NAMES)
def test_regression_beats_the_mean_and_knows_its_error(name: str) -> None:
    blocks, truth = made(300)
    readout = READOUTS[name]()
    readout.fit(part(blocks, 0, 200), exact(truth[:200]), "regression", 0, seed=0)
    given = readout.predict(part(blocks, 200, 300))
    assert given.mean is not None
    assert given.spread is not None
    error = given.mean - truth[200:]
    assert np.sqrt(np.square(error).mean()) < 0.85 * truth[200:].std()
    assert (given.spread > 0).all()
    # A spread is useful if errors in units of it are of order one.
    assert 0.4 < np.sqrt(np.square(error / given.spread).mean()) < 2.5


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", KINDS[1:])
def test_class_probabilities_are_probabilities_and_beat_the_shares(name: str, kind: Kind) -> None:
    blocks, truth = made(260)
    target, n_classes = labels(kind, truth)
    readout = READOUTS[name]()
    readout.fit(part(blocks, 0, 180), target.subset(range(180)), kind, n_classes, seed=0)
    table = readout.predict(part(blocks, 180, 260)).probabilities
    assert table is not None
    assert table.shape == (80, n_classes)
    assert ((table > 0) & (table < 1)).all()
    test = target.values[180:]
    if kind == "multilabel":
        chance = np.where(test == 1, table, 1 - table)
        share = np.nanmean(target.values[:180], axis=0)
        before = np.where(test == 1, share, 1 - share)
    else:
        np.testing.assert_allclose(table.sum(axis=1), 1)
        chance = table[np.arange(80), test.astype(int)]
        before = (np.bincount(target.values[:180].astype(int)) / 180)[test.astype(int)]
    assert -np.log(chance).mean() < -np.log(before).mean()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", KINDS)
def test_a_stored_readout_predicts_the_same_bits(name: str, kind: Kind, tmp_path: Path) -> None:
    blocks, truth = made(80)
    target, n_classes = labels(kind, truth)
    readout = READOUTS[name]()
    readout.fit(part(blocks, 0, 60), target.subset(range(60)), kind, n_classes, seed=0)
    save_state(readout.state(), tmp_path / "readout.safetensors")
    loaded = READOUTS[name]()
    loaded.load_state(load_state(tmp_path / "readout.safetensors"))
    before, after = (one.predict(part(blocks, 60, 80)) for one in (readout, loaded))
    for field in ("mean", "spread", "probabilities"):
        first, second = getattr(before, field), getattr(after, field)
        assert (first is None) == (second is None)
        if first is not None:
            np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("name", NAMES)
def test_the_same_seed_gives_the_same_bits(name: str) -> None:
    blocks, truth = made(70)
    answers = []
    for _ in range(2):
        readout = READOUTS[name]()
        readout.fit(part(blocks, 0, 60), exact(truth[:60]), "regression", 0, seed=3)
        answers.append(readout.predict(part(blocks, 60, 70)).mean)
    np.testing.assert_array_equal(answers[0], answers[1])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("n_rows", [1, 2, 4, 12])
def test_a_handful_of_rows_gives_finite_predictions(name: str, n_rows: int) -> None:
    blocks, truth = made(20)
    readout = READOUTS[name]()
    readout.fit(part(blocks, 0, n_rows), exact(truth[:n_rows]), "regression", 0, seed=0)
    given = readout.predict(part(blocks, 10, 20))
    assert given.mean is not None
    assert given.spread is not None
    assert np.isfinite(given.mean).all()
    assert (given.spread > 0).all()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", KINDS[1:])
def test_one_class_only_still_predicts(name: str, kind: Kind) -> None:
    blocks, _ = made(20)
    n_classes = 3 if kind == "multiclass" else 2
    shape = (12, 2) if kind == "multilabel" else (12,)
    readout = READOUTS[name]()
    readout.fit(part(blocks, 0, 12), exact(np.ones(shape)), kind, n_classes, seed=0)
    table = readout.predict(part(blocks, 12, 20)).probabilities
    assert table is not None
    assert table.shape == (8, n_classes)
    assert np.isfinite(table).all()


@pytest.mark.parametrize("name", NAMES)
def test_features_and_targets_that_never_change_give_that_target(name: str) -> None:
    present = np.ones(30, dtype=bool)
    blocks = [
        FeatureBlock("a:counts", np.ones((30, 3), dtype=np.float32), "tanimoto", present),
        FeatureBlock("a:dense", np.zeros((30, 2), dtype=np.float32), "rbf", present),
    ]
    readout = READOUTS[name]()
    readout.fit(part(blocks, 0, 25), exact(np.full(25, 7.0)), "regression", 0, seed=0)
    given = readout.predict(part(blocks, 25, 30))
    assert given.mean is not None
    assert given.spread is not None
    np.testing.assert_allclose(given.mean, 7.0, rtol=1e-6)
    assert (given.spread > 0).all()


@pytest.mark.parametrize("name", NAMES)
def test_records_with_missing_inputs_are_fitted_and_predicted(name: str) -> None:
    blocks, truth = made(120)
    rng = np.random.default_rng(1)
    holes = []
    for block in blocks:
        present = rng.uniform(size=120) > 0.3
        values = np.where(present[:, None], block.values, 0).astype(np.float32)
        holes.append(FeatureBlock(block.name, values, block.kernel, present))
    readout = READOUTS[name]()
    readout.fit(part(holes, 0, 100), exact(truth[:100]), "regression", 0, seed=0)
    given = readout.predict(part(holes, 100, 120))
    assert given.mean is not None
    assert np.isfinite(given.mean).all()


@pytest.mark.parametrize("name", sorted(set(NAMES) - {"nearest"}))
def test_bounds_pull_predictions_beyond_them(name: str) -> None:
    blocks, truth = made(220)
    limit = np.quantile(truth[:200], 0.6)
    capped = np.minimum(truth, limit)
    censoring = np.where(truth > limit, ABOVE, EXACT)
    answers = []
    for marks in (censoring, np.zeros_like(censoring)):
        readout = READOUTS[name]()
        target = TargetValues(capped[:200], marks[:200])
        readout.fit(part(blocks, 0, 200), target, "regression", 0, seed=0)
        mean = readout.predict(part(blocks, 200, 220)).mean
        assert mean is not None
        answers.append(mean)
    high = truth[200:] > limit
    # Taking ">limit" for "limit" underestimates what lies beyond it.
    assert answers[0][high].mean() > answers[1][high].mean()


def test_a_bound_on_the_other_side_pulls_down() -> None:
    blocks, truth = made(150)
    limit = np.quantile(truth, 0.4)
    floored = np.maximum(truth, limit)
    censoring = np.where(truth < limit, BELOW, EXACT)
    readout, naive = READOUTS["gp"](), READOUTS["gp"]()
    readout.fit(blocks, TargetValues(floored, censoring), "regression", 0, seed=0)
    naive.fit(blocks, exact(floored), "regression", 0, seed=0)
    low = part(blocks, 0, 150)
    a, b = readout.predict(low).mean, naive.predict(low).mean
    assert a is not None
    assert b is not None
    assert a[truth < limit].mean() < b[truth < limit].mean()


@pytest.mark.parametrize("name", NAMES)
def test_other_features_than_in_fitting_are_refused(name: str) -> None:
    blocks, truth = made(20)
    readout = READOUTS[name]()
    readout.fit(blocks, exact(truth), "regression", 0, seed=0)
    with pytest.raises(InputError, match=r"the model was fitted on the features .*ecfp"):
        readout.predict(blocks[1:])


@pytest.mark.parametrize("name", NAMES)
def test_no_new_records_give_no_predictions(name: str) -> None:
    blocks, truth = made(30)
    readout = READOUTS[name]()
    readout.fit(blocks, exact(truth), "regression", 0, seed=0)
    mean = readout.predict(part(blocks, 0, 0)).mean
    assert mean is not None
    assert mean.shape == (0,)


def test_every_readout_is_registered_under_its_own_name() -> None:
    assert {*NAMES, "field", "tokens"} <= set(READOUTS)
    for name in READOUTS:
        assert READOUTS[name].name == name
        assert READOUTS[name].kinds
